"""Between processes of this machine: messages that carry open files, and free ports."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from sluicegate.base.errors import Failed, Invalid, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

_MESSAGE, _FILES = 65536, 64


def local_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a local connection that keeps messages whole; neither survives ``exec`` unless passed on."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_descriptors(sock: socket.socket, data: bytes, fds: Sequence[int]) -> None:
    """Send one message (1 to 65536 bytes) with at most 64 open files; the caller still closes its own.

    Raises ``Invalid`` (too much) or ``Unreachable`` (the other end is gone).
    """
    if not 0 < len(data) <= _MESSAGE or len(fds) > _FILES:
        raise Invalid("A message holds 1 to 65536 bytes and at most 64 open files.")
    try:
        socket.send_fds(sock, [data], fds)
    except ConnectionError as fault:
        raise Unreachable("The other process is gone.") from fault


def receive_descriptors(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Return one message and its open files, closed on ``exec``; ``(b"", [])`` when the other end has closed.

    Raises ``Failed`` when either was cut short (all files are closed then), ``Unreachable`` when the other end is gone.
    """
    import os

    try:
        # Not socket.recv_fds: it drops its flags, and a child started meanwhile would inherit the files.
        data, notes, flags, _ = sock.recvmsg(_MESSAGE, socket.CMSG_LEN(_FILES * 4), socket.MSG_CMSG_CLOEXEC)
    except ConnectionError as fault:
        raise Unreachable("The other process is gone.") from fault
    fds = [fd for _, kind, raw in notes if kind == socket.SCM_RIGHTS for fd in memoryview(raw).cast("i")]
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise Failed("A message between processes was cut short.")
    return data, fds


def free_port() -> int:
    """Return a loopback port that nothing listens on now; another process may still take it first."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def why_taken(host: str, port: int) -> str:
    """Return why nobody can listen at ``host``:``port`` now, or nothing. One who shares the port counts, too."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as fault:
            return fault.strerror or "it cannot be bound"
    return ""


def answers(host: str, port: int) -> bool:
    """Tell whether something listens at our own address ``host``:``port``."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to
    try:
        socket.create_connection((near, port), 1).close()
    except OSError:
        return False
    return True
