"""Who an SSH server must be, and what it must be able to do, before anything is said to it."""

from __future__ import annotations

import base64
import socket
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from sluicegate.base.errors import SignInRefused, Unreachable
from sluicegate.base.flaws import Misfit
from sluicegate.base.secret import Secret
from sluicegate.conformance.connection import CANARY, chain
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.net.ssh import HostKey, Login, read_host_keys, sftp
from tests.fixtures.sftp import make_key, start

GOOD = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyiUGhkPjAuLmK2eV9l2vYpWPTv5lmwPVMJEC7bHyHN"
BLOB = base64.b64decode(GOOD.split()[1])


@pytest.mark.parametrize(
    "text", [GOOD, f"{GOOD} comment", f"[host]:22 {GOOD}", f"# said by ssh-keyscan\n\n{GOOD}\n", f"  {GOOD}\r\n"]
)
def test_a_host_key_is_read_as_it_is_found(text):
    assert read_host_keys(text) == [HostKey("ssh-ed25519", BLOB)]


@pytest.mark.security
@pytest.mark.req("SEC-P11")
@given(
    some.one_of(
        some.text(max_size=80), some.lists(some.sampled_from([*GOOD.split(), "ssh-rsa", "#", "\n", "x"])).map(" ".join)
    )
)
@example("ssh-dss AAAAB3NzaC1kc3M=")
@example("@revoked * " + GOOD)
def test_any_text_names_a_key_of_its_kind_or_none(text):
    try:
        found = read_host_keys(text)
    except Misfit:
        return
    assert found
    for kind, blob in found:
        assert blob[4 : 4 + len(kind)] == kind.encode()
        assert kind != "ssh-dss"


@pytest.mark.security
@pytest.mark.req("SEC-N03")
@pytest.mark.parametrize(
    "weak",
    [
        "KexAlgorithms=diffie-hellman-group14-sha256",
        "Ciphers=aes128-cbc",
        "Macs=hmac-sha1",
        "HostKeyAlgorithms=ssh-rsa",
    ],
)
def test_a_server_with_weak_algorithms_alone_is_refused(tmp_path, weak):
    given = (
        ["Ciphers=aes128-ctr"] if weak.startswith("Macs") else []
    )  # a cipher that has a MAC of its own asks for none
    if weak.startswith("Host"):
        make_key(tmp_path / "rsa", "rsa")
        given += [f"HostKey={tmp_path / 'rsa'}"]
    port, host_key, process = start(tmp_path, *(part for each in (weak, *given) for part in ("-o", each)))
    try:
        host_key = (tmp_path / "rsa.pub").read_text() if weak.startswith("Host") else host_key
        net = Net(Egress.local())
        with pytest.raises(Unreachable, match="too weak"), sftp(net, "127.0.0.1", port, host_key, Login("u")):
            pass
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_a_password_is_sent_once_to_the_server_that_was_meant(tmp_path):
    """A server of paramiko's own, since OpenSSH asks the machine for passwords of its accounts."""

    import paramiko

    make_key(tmp_path / "host", "ed25519")
    own = paramiko.Ed25519Key.from_private_key_file(tmp_path / "host")
    tried = []

    class Guard(paramiko.ServerInterface):
        def get_allowed_auths(self, username):
            return "password"

        def check_auth_password(self, username, password):
            tried.append((username, password))
            return paramiko.AUTH_SUCCESSFUL if password == CANARY else paramiko.AUTH_FAILED

        def check_channel_request(self, kind, chanid):
            return paramiko.OPEN_SUCCEEDED

    door = socket.create_server(("127.0.0.1", 0))
    lines = []

    def serve():
        for _ in range(3):
            line = paramiko.Transport(door.accept()[0])
            lines.append(line)
            line.add_server_key(own)
            line.set_subsystem_handler("sftp", paramiko.SFTPServer)
            line.start_server(event=threading.Event(), server=Guard())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    net, port, key = Net(Egress.local()), door.getsockname()[1], (tmp_path / "host.pub").read_text()
    try:
        with sftp(net, "127.0.0.1", port, key, Login("ada", Secret(CANARY))) as client:
            assert client.normalize(".")
        with (
            pytest.raises(SignInRefused, match="does not let us in"),
            sftp(net, "127.0.0.1", port, key, Login("ada", Secret("no"))),
        ):
            pass
        assert tried == [("ada", CANARY), ("ada", "no")]
        with (
            pytest.raises(Unreachable, match="another host key") as refused,
            sftp(net, "127.0.0.1", port, GOOD, Login("ada", Secret(CANARY))),
        ):
            pass
        assert len(tried) == 2
        assert CANARY not in chain(refused.value)
    finally:
        thread.join(5)
        door.close()
        for line in lines:
            line.close()
