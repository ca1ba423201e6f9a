"""The door for one answer: on this machine alone, for what is waited for alone, and not for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request

import pytest

from sluicegate.base.errors import Unreachable
from sluicegate.kit.net import Loopback


def knock(port, raw):
    """Send it, and return what is said to it; a door that has heard enough may just close."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), 5) as line, contextlib.suppress(OSError):
        line.sendall(raw)
        line.shutdown(socket.SHUT_WR)
        while part := line.recv(4096):
            said += part
    return said


@pytest.mark.security
def test_only_what_is_waited_for_is_taken_whatever_else_knocks():
    said = []
    with Loopback() as door:

        def others():
            said.extend(
                knock(door.port, raw)
                for raw in (b"", b"\x16\x03\x01", b"POST /cb?state=s HTTP/1.1\r\n\r\n", b"GET /cb?state=t HTTP/1.1\r\n\r\n", b"GET cb HTTP/1.1\r\n\r\n",
                            b"GET /" + b"a" * 20_000)
            )  # fmt: skip
            with urllib.request.urlopen(f"http://127.0.0.1:{door.port}/cb/x?state=s&code=%2B", timeout=5) as reply:
                said.append((reply.status, reply.headers["content-security-policy"], reply.headers["cache-control"]))

        thread = threading.Thread(target=others)
        thread.start()
        found = door.wait(lambda _path, query: "state=s" in query, 20)
        thread.join()
    assert found == ("/cb/x", "state=s&code=%2B")
    assert {each.partition(b"\r\n")[0] for each in said[:-1]} <= {b"HTTP/1.1 404 Not Found", b""}
    assert b"404" in said[2]
    assert b"404" in said[3]
    assert said[-1] == (200, "default-src 'none'; frame-ancestors 'none'", "no-store")


@pytest.mark.security
def test_the_door_is_on_this_machine_alone_and_closes():
    with Loopback() as door:
        assert door._door.getsockname()[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", door.port), 5)


@pytest.mark.security
def test_waiting_has_an_end_even_when_somebody_holds_the_line():
    with Loopback() as door, socket.create_connection(("127.0.0.1", door.port), 5):
        began = time.monotonic()
        with pytest.raises(Unreachable, match="in time"):
            door.wait(lambda *_: True, 0.5)
        assert time.monotonic() - began < 30
