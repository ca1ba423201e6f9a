"""A connection to an SSH server that has proved who it is: a pinned address, a pinned host key, no weak algorithm.

Key exchange, ciphers and MACs: what OpenSSH 9 has by default, without those of SHA-1, CBC and finite-field groups below
4096 bits. paramiko keeps to the strict key exchange of CVE-2023-48795 where the server does.
"""

from __future__ import annotations

import base64
import binascii
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluicegate.base.errors import Failed, SignInRefused, SluiceError, Unreachable
from sluicegate.base.flaws import Misfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.base.secret import Secret
    from sluicegate.kit.net.network import Net

SECONDS: Final = 30.0
"""How long the server may be silent."""
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_KINDS: Final = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": _RSA,
}
"""By kind of host key: how it may sign. An RSA key never with SHA-1."""
_KEX = frozenset(
    {"mlkem768x25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
     "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512"}
)  # fmt: skip
_CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com")


class HostKey(NamedTuple):
    """A server's public key, as it goes over the wire."""

    kind: str
    blob: bytes


def read_host_keys(text: str) -> list[HostKey]:
    """Return the keys that a definition names, one a line, with or without a host before them. Raises ``Misfit``."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = next((place for place, word in enumerate(words[:2]) if word in _KINDS), None)
        if place is None or place + 1 >= len(words):
            raise Misfit("a host key is its kind and its text: ssh-ed25519 AAAA…")
        try:
            blob = base64.b64decode(words[place + 1], validate=True)
        except (binascii.Error, ValueError):
            raise Misfit("the text of the host key is not whole") from None
        kind = words[place].encode()
        if not blob.startswith(len(kind).to_bytes(4, "big") + kind):
            raise Misfit("the host key is not of the kind that stands before it")
        found.append(HostKey(words[place], blob))
    if not found:
        raise Misfit("no host key is named")
    return found


class Login(NamedTuple):
    """Who signs in: by a password, or by a private key and its passphrase if it has one."""

    user: str
    password: Secret | None = None
    key: Secret | None = None
    phrase: Secret | None = None


@contextmanager
def sftp(net: Net, host: str, port: int, host_key: str, login: Login) -> Iterator[Any]:
    """Sign in; give paramiko's ``SFTPClient``. ``Egress``, ``Unreachable``, ``SignInRefused``, or ``Failed``."""
    import paramiko

    place = f"{host}:{port}"
    key = None if login.key is None else _private_key(login.key, login.phrase)
    sock = net.connect(host, port, SECONDS)
    try:
        transport = paramiko.Transport(sock)
    except BaseException:
        sock.close()
        raise
    try:
        with told(place):
            _prove(transport, read_host_keys(host_key), place)
            _sign_in(transport, login, key, place)
            client = paramiko.SFTPClient.from_transport(transport)
            if client is None:
                raise Failed("The server gives no SFTP.", where=place, hint="Is its subsystem sftp switched on?")
            client.get_channel().settimeout(SECONDS)
        yield client
    finally:
        transport.close()


def _prove(transport: Any, wanted: list[HostKey], place: str) -> None:
    """Exchange keys, and see that the server has the one that was named."""
    import paramiko

    offered = transport.get_security_options()
    offered.kex = tuple(each for each in offered.kex if each in _KEX)
    offered.ciphers, offered.digests, offered.compression = _CIPHERS, _MACS, ("none",)
    offered.key_types = tuple(dict.fromkeys(name for each in wanted for name in _KINDS[each.kind]))
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = SECONDS
    try:
        transport.start_client(timeout=SECONDS)
        shown = transport.get_remote_server_key().asbytes()
    except paramiko.IncompatiblePeer as fault:
        raise Unreachable(
            "The server has no host key of the kind that is named, or only algorithms that are too weak.",
            where=place,
            hint="Compare with ssh-keyscan; OpenSSH of the last ten years has better ones.",
        ) from fault
    if not any(shown == each.blob for each in wanted):
        raise Unreachable(
            "The server shows another host key than the one that is named: it is not the server that was meant.",
            where=place,
            hint="Ask its administrator whether the key was changed; then name the new one in host_key.",
        )


def _sign_in(transport: Any, login: Login, key: Any, place: str) -> None:
    import paramiko

    try:
        if key is not None:
            left = transport.auth_publickey(login.user, key)
        else:
            password = "" if login.password is None else login.password.reveal()
            left = transport.auth_password(login.user, password, fallback=False)
    except paramiko.AuthenticationException as fault:
        raise _refused(place) from fault
    if left:
        raise _refused(place)


def _refused(place: str) -> SignInRefused:
    return SignInRefused(
        "The server does not let us in.", where=place, hint="Are user and password or key right? Its log says more."
    )


def _private_key(key: Secret, phrase: Secret | None) -> Any:
    import paramiko

    from sluicegate.crypto.sshkey import unlock

    readers = {"ed25519": paramiko.Ed25519Key, "ecdsa": paramiko.ECDSAKey, "rsa": paramiko.RSAKey}
    kind, pem = unlock(key, phrase)
    return readers[kind].from_private_key(io.StringIO(pem.reveal()))


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what goes wrong on the wire into ``Unreachable``."""
    import paramiko

    try:
        yield
    except SluiceError:
        raise
    except TimeoutError as fault:
        raise Unreachable(f"{where} does not answer in time.", hint="Check the network and firewalls.") from fault
    except (paramiko.SSHException, EOFError, ConnectionError) as fault:
        raise Unreachable(
            f"The connection to {where} failed ({type(fault).__name__}).", hint="Does SSH answer there?"
        ) from fault
