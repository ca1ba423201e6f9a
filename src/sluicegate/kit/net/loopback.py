"""A door on this machine alone through which a browser brings one answer to a command line (RFC 8252 §7.3)."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final, Self
from urllib.parse import urlsplit

from sluicegate.base.errors import Unreachable

HEAD_MAX: Final = 16 * 1024
"""Bytes of a request that are read."""
_PAGE = (
    b"<!doctype html><html lang=en><title>Sluicegate</title><p>You can close this window and go back to the terminal."
)
_HEADERS = (
    b"content-type: text/html; charset=utf-8\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\nconnection: close\r\n"
)


class Loopback:
    """A port of 127.0.0.1 on which one answer is waited for."""

    def __enter__(self) -> Self:
        """Open the door."""
        self._door = socket.create_server(("127.0.0.1", 0), backlog=8)
        self.port: int = self._door.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._door.close()

    def wait(self, wanted: Callable[[str, str], bool], seconds: float) -> tuple[str, str]:
        """Return path and query of the first GET that is ``wanted``; all others are told that nothing is here.

        Raises ``Unreachable`` when none has come in time.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._door.settimeout(left)
            try:
                line, _ = self._door.accept()
            except TimeoutError:
                break
            with line:
                line.settimeout(min(left, 5.0))
                try:
                    found = _target(line)
                    fits = found is not None and wanted(*found)
                    _answer(line, fits=fits)
                except OSError:
                    continue  # who knocks and leaves is not who is waited for
            if found is not None and fits:
                return found
        raise Unreachable("No browser has brought an answer in time.", hint="Begin again.")


def _target(line: socket.socket) -> tuple[str, str] | None:
    """Return path and query of a GET; ``None`` for anything else."""
    head = b""
    until = time.monotonic() + 5
    while b"\r\n\r\n" not in head and len(head) < HEAD_MAX and time.monotonic() < until:
        part = line.recv(4096)
        if not part:
            return None
        head += part
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or words[0] != b"GET" or not words[1].startswith(b"/"):  # noqa: PLR2004 - method, target, version
        return None
    parts = urlsplit("http://127.0.0.1" + words[1].decode("latin-1"))
    return parts.path, parts.query


def _answer(line: socket.socket, *, fits: bool) -> None:
    status, page = (b"200 OK", _PAGE) if fits else (b"404 Not Found", b"")
    length = b"content-length: %d\r\n\r\n" % len(page)
    line.sendall(b"HTTP/1.1 " + status + b"\r\n" + _HEADERS + length + page)
