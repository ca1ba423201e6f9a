"""One bounded answer: so many bytes, so many seconds for all of it, and no redirect."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Unreachable
from sluicegate.kit.net import Egress, Net

NET = Net(Egress.local())


def read(web, path, limit=100, **kw):
    with NET.http() as client:
        return NET.read(client, "GET", web.url(path), limit=limit, **kw)


def test_the_answer_comes_back_as_it_was_sent_whatever_its_status(web):
    web.routes = {"/a": (200, {}, b"x" * 100), "/b": (418, {}, b"teapot")}
    assert read(web, "/a") == (200, b"x" * 100)
    assert read(web, "/b") == (418, b"teapot")


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_an_answer_that_is_too_large_is_none(web):
    web.routes = {"/a": (200, {}, b"x" * 101)}
    with pytest.raises(Failed, match="larger than 100 bytes"):
        read(web, "/a")


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_what_is_packed_is_not_unpacked(web):
    import gzip

    packed = gzip.compress(b"0" * 1_000_000)
    web.routes = {"/a": (200, {"content-encoding": "gzip"}, packed)}
    assert read(web, "/a", limit=len(packed)) == (200, packed)


@pytest.mark.security
@pytest.mark.req("SEC-E01")
@pytest.mark.parametrize("location", ["/b", "http://127.0.0.1:1/", "https://[::", "file:///etc/passwd", ""])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(web, status, location):
    web.routes = {"/a": (status, {"location": location}, b""), "/b": (200, {}, b"never")}
    with pytest.raises(EgressRefused):
        read(web, "/a")
    assert [seen[1] for seen in web.seen] == ["/a"]


@pytest.mark.security
@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://[::", "http://127.0.0.1:99999/", "file:///etc/passwd"])
def test_what_is_no_url_of_the_web_is_refused(url):
    with NET.http() as client, pytest.raises(EgressRefused):
        NET.read(client, "GET", url, limit=10)


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_who_drips_is_left_when_the_time_for_all_of_it_is_over():
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as door:

        def drip():
            line, _ = door.accept()
            with line:
                try:
                    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                    while not over.wait(0.05):
                        line.sendall(b"x")
                except OSError:
                    return  # the other side has left

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        with NET.http(timeout=30, total=1) as client, pytest.raises(Unreachable, match="in time"):
            NET.read(client, "GET", f"http://127.0.0.1:{door.getsockname()[1]}/", limit=100_000)
        took = time.monotonic() - began
        over.set()
        thread.join()
    assert 0.9 < took < 25, "each byte came in time, and all of them did not"


def test_time_that_is_over_before_it_begins_reaches_nobody(web):
    with NET.http(total=0) as client, pytest.raises(Unreachable, match="in time"):
        NET.read(client, "GET", web.url("/a"), limit=10)
    assert web.seen == []
