"""Against OpenSSH's own server."""

from __future__ import annotations

import io
import os
import socket
import stat
import threading
from dataclasses import replace

import paramiko
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Denied, Failed, SignInRefused, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.conformance.connection import CANARY, Given, NetworkSuite, chain
from sluicegate.conformance.files import FilesSuite
from sluicegate.connectors.sftp import Sftp
from sluicegate.kit.context import Context
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker
from tests.fixtures.sftp import PHRASE, make_key, sftp_server

__all__ = ["sftp_server"]


@pytest.fixture
def home(sftp_server):
    return sftp_server.fresh()


@pytest.fixture
def ctx(tmp_path, sftp_server):
    with Root(tmp_path) as root:
        yield Context(Net(Egress.local()), root, {"key": Secret(sftp_server.keys["ed25519"])})


def connection(server, root, **more):
    given = {"host": "127.0.0.1", "port": server.port, "host_key": server.host_key, "user": server.user, **more}
    return Sftp(name="far", root=str(root), **({} if "password" in more else {"key": {"secret": "key"}}), **given)


class TestSftp(NetworkSuite, FilesSuite):
    @pytest.fixture
    def given(self, sftp_server, home, ctx):
        return Given(connection(sftp_server, home), ctx)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_each_kind_of_key_opens_it(sftp_server, home, ctx, kind):
    ctx = replace(ctx, secrets={"key": Secret(sftp_server.keys[kind])})
    with connection(sftp_server, home).open(ctx) as session:
        assert session.test() == "SFTP server, signed in; folder with 0 entries"


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_a_key_that_is_sealed_wants_its_own_passphrase(sftp_server, home, ctx):
    ctx = replace(ctx, secrets={"key": Secret(sftp_server.keys["sealed"]), "phrase": Secret(PHRASE)})
    with connection(sftp_server, home, passphrase={"secret": "phrase"}).open(ctx) as session:
        assert session.test()
    wrong = replace(ctx, secrets={**ctx.secrets, "phrase": Secret(CANARY)})
    for made, given, told in (
        (connection(sftp_server, home), ctx, "has a passphrase"),
        (connection(sftp_server, home, passphrase={"secret": "phrase"}), wrong, "cannot be read"),
        (connection(sftp_server, home), replace(ctx, secrets={"key": Secret(CANARY)}), "cannot be read"),
    ):
        with pytest.raises(Failed, match=told) as refused, made.open(given):
            pass
        assert CANARY not in chain(refused.value)
        assert sftp_server.keys["sealed"][40:80] not in chain(refused.value)


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_another_host_key_is_refused_before_we_say_who_we_are(sftp_server, home, ctx, tmp_path):
    log = sftp_server.folder.parent / "log"
    others = {"ed25519": "another host key", "ecdsa": "no host key of the kind"}
    for kind, told in others.items():
        before = len(log.read_bytes())
        made = connection(sftp_server, home, host_key=make_key(tmp_path / kind, kind))
        with pytest.raises(Unreachable, match=told), made.open(ctx):
            pass
        assert b"publickey" not in log.read_bytes()[before:]
    several = f"# ours\nold.example {make_key(tmp_path / 'old', 'rsa')}\n{sftp_server.host_key} comment\n"
    with connection(sftp_server, home, host_key=several).open(ctx) as session:
        assert session.test()


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_who_is_not_let_in_is_told_so_without_the_credential(sftp_server, home, ctx):
    stranger = replace(ctx, secrets={"key": Secret(sftp_server.keys["ed25519"]), "pw": Secret(CANARY)})
    for made in (
        connection(sftp_server, home, user="nobody-here"),
        connection(sftp_server, home, password={"secret": "pw"}),
    ):
        with pytest.raises(SignInRefused, match="does not let us in") as refused, made.open(stranger):
            pass
        assert CANARY not in chain(refused.value)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_links_are_not_followed(sftp_server, home, ctx):
    secret = home.parent / f"{home.name}.txt"
    secret.write_text("not theirs")
    (home / "in").mkdir()
    (home / "in/link").symlink_to(secret)
    (home / "in/dangling").symlink_to(home / "none")
    (home / "in/folder").symlink_to(home.parent)
    os.mkfifo(home / "in/pipe")
    with connection(sftp_server, home / "in").open(ctx) as session:
        for name in ("link", f"folder/{secret.name}", "pipe", "dangling"):
            for use in (session.fetch, session.size, lambda path: session.put(path, Marker("r", "w"))):
                with pytest.raises(Denied):
                    use(name)
        with pytest.raises(Denied):
            list(session.items("folder"))
        assert list(session.items()) == []
    assert secret.read_text() == "not theirs"


def test_what_is_listed_and_what_is_not(sftp_server, home, ctx):
    (home / "b/c").mkdir(parents=True)
    for name in ("b/c/2.csv", "b/1.csv", "a.csv", "x-wal", ".sluice-" + "0" * 32 + ".tmp", "back\\slash"):
        (home / name).write_text("12345")
    with connection(sftp_server, home).open(ctx) as session:
        found = list(session.items())
        assert [(entry.name, entry.type, entry.bytes) for entry in found] == [
            ("a.csv", "file", 5), ("b", "folder", None), ("b/1.csv", "file", 5), ("b/c", "folder", None), ("b/c/2.csv", "file", 5),
        ]  # fmt: skip
        assert found[0].modified == pytest.approx((home / "a.csv").stat().st_mtime, abs=1)
        assert [entry.name for entry in session.items("b/c")] == ["b/c/2.csv"]
        with pytest.raises(Failed, match="no 'gone'"):
            list(session.items("gone"))
    with connection(sftp_server, home / "gone").open(ctx) as session, pytest.raises(Failed, match="There is no"):
        session.test()


def test_a_file_is_read_out_of_order(sftp_server, home, ctx):
    data = os.urandom(5_000_000)
    (home / "big").write_bytes(data)
    with connection(sftp_server, home).open(ctx) as session, session.fetch("big") as file:
        assert file.seekable()
        assert file.seek(-100, io.SEEK_END) == len(data) - 100
        assert file.read() == data[-100:]
        assert (file.seek(1_234_567), file.read(10)) == (1_234_567, data[1_234_567:1_234_577])
        file.seek(0)
        assert file.read() == data


def test_a_file_that_shrinks_is_no_shorter_file(sftp_server, home, ctx):
    (home / "big").write_bytes(b"x" * 3_000_000)
    with connection(sftp_server, home).open(ctx) as session, session.fetch("big") as file:
        file.read(10)
        os.truncate(home / "big", 1_000_000)
        with pytest.raises(Failed, match="shorter while it was read"):
            file.read()


def test_nothing_is_left_of_what_was_not_committed(sftp_server, home, ctx):
    made = connection(sftp_server, home)
    with pytest.raises(ZeroDivisionError), made.open(ctx) as session:
        session.put("a", Marker("r", "w")).out.write(b"x" * 5_000_000)
        assert [each.name.startswith(".sluice-") for each in home.iterdir()] == [True]
        raise ZeroDivisionError
    assert list(home.iterdir()) == []


class Faulty(paramiko.SFTPServerInterface):
    """Keeps nothing; refuses the second request to write, and says that all has arrived."""

    names: list[str] = []

    def lstat(self, path):
        found = paramiko.SFTPAttributes()
        found.st_size, found.st_mode = 200_000, stat.S_IFREG | 0o600
        return found if path in self.names else paramiko.SFTP_NO_SUCH_FILE

    def open(self, path, flags, attr):
        self.names.append(path)
        handle = paramiko.SFTPHandle(flags)
        handle.write = lambda offset, data: paramiko.SFTP_FAILURE if offset == 32_768 else paramiko.SFTP_OK
        return handle

    def remove(self, path):
        self.names.remove(path)
        return paramiko.SFTP_OK

    def posix_rename(self, oldpath, newpath):
        self.names[self.names.index(oldpath)] = newpath
        return paramiko.SFTP_OK


class Everybody(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


@pytest.mark.slow
@pytest.mark.security
def test_one_write_that_the_server_refuses_is_not_lost_among_others(ctx, tmp_path):
    host_key = make_key(tmp_path / "host", "ed25519")
    ours, theirs = socket.socketpair()
    line = paramiko.Transport(theirs)
    line.add_server_key(paramiko.Ed25519Key.from_private_key_file(tmp_path / "host"))
    line.set_subsystem_handler("sftp", paramiko.SFTPServer, Faulty)

    class Beside(Net):
        def connect(self, host, port, timeout=10.0):
            line.start_server(event=threading.Event(), server=Everybody())
            return ours

    made = Sftp(name="x", host="x", host_key=host_key, user="u", password={"secret": "key"}, root="/in")
    try:
        with made.open(replace(ctx, net=Beside(Egress.local()))) as session:
            stage = session.put("big", Marker("r", "w"))
            with pytest.raises(Failed, match="fails with 'big'"):
                stage.out.write(bytes(200_000))
                stage.commit(rows=1)
            stage.abort()
            assert Faulty.names == []
    finally:
        line.close()


BAD = {
    "no way in": {"key": None},
    "two ways in": {"password": {"secret": "s"}},
    "a value": {"key": "canary"},
    "no host key": {"host_key": ""},
    "any host key": {"host_key": "# none\n"},
    "no kind": {"host_key": "AAAAC3NzaC1lZDI1NTE5AAAAIJ"},
    "weak kind": {"host_key": "ssh-dss AAAAB3NzaC1kc3M="},
    "another kind": {"host_key": "ssh-ed25519 AAAAB3NzaC1yc2E="},
    "cut": {"host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"},
    "root": {"root": "a\nb"},
    "host": {"host": "u:canary@h"},
}


@pytest.mark.security
@pytest.mark.parametrize("more", BAD.values(), ids=BAD)
def test_what_is_no_configuration_is_refused(more):
    good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyiUGhkPjAuLmK2eV9l2vYpWPTv5lmwPVMJEC7bHyHN"
    given = {"host": "h", "host_key": good, "user": "u", "key": {"secret": "s"}}
    assert Sftp(name="far", **given).root == "."
    with pytest.raises(ValidationError) as told:
        Sftp(name="far", **{**given, **more})
    assert "canary" not in "".join(each["msg"] for each in told.value.errors())
