"""The listener as an operator starts it: a real process, real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.fixtures.home import Served, served, sluice

__all__ = ["served"]

pytestmark = pytest.mark.slow
GET = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
TOKEN = b"authorization: Bearer " + b"a" * 100 + b"\r\n"


@pytest.fixture(scope="module")
def server():
    """Give one server to look at; what ends it starts its own."""
    with tempfile.TemporaryDirectory(prefix="sluice-listener-") as folder:
        made = Served(Path(folder))
        made.start()
        try:
            yield made
        finally:
            made.stop()
            made.close()


def wire(server, version=None, name="localhost"):
    """Return a TLS connection that trusts the server's own authority and nobody else."""
    context = ssl.create_default_context(cafile=server.ca)
    if version is not None:
        context.maximum_version = version
    raw = socket.create_connection(("127.0.0.1", int(server.port)), 10)
    try:
        return context.wrap_socket(raw, server_hostname=name)
    except BaseException:
        raw.close()
        raise


def hear(link):
    """Return all that comes until the other side ends or says nothing more."""
    heard = b""
    try:
        while part := link.recv(65536):
            heard += part
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass
    return heard


def exchange(server, request):
    with wire(server) as link:
        link.settimeout(5)
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # it may hang up before it has heard all
            link.sendall(request)
        return hear(link)


def test_it_answers_over_tls_1_3(server):
    with wire(server) as link:
        assert link.version() == "TLSv1.3"
        link.settimeout(5)
        link.sendall(GET + b"connection: close\r\n\r\n")
        head, _, body = hear(link).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["status"] == "ok"


@pytest.mark.security
@pytest.mark.req("SEC-N01")
def test_tls_1_2_is_refused(server):
    with pytest.raises((ssl.SSLError, ConnectionError)) as told:
        wire(server, ssl.TLSVersion.TLSv1_2).close()
    assert "certificate" not in str(told.value).lower()


@pytest.mark.security
@pytest.mark.req("SEC-N01")
def test_its_certificate_is_for_its_names_only(server):
    wire(server, name="127.0.0.1").close()
    with pytest.raises(ssl.SSLCertVerificationError):
        wire(server, name="etl.example.org")


@pytest.mark.security
@pytest.mark.req("SEC-N02")
@pytest.mark.parametrize(
    "request_", [GET + TOKEN + b"\r\n", b"GET / HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_plain_http_gets_no_answer(server, request_):
    with socket.create_connection(("127.0.0.1", int(server.port)), 10) as link:
        link.settimeout(5)
        link.sendall(request_)
        heard = hear(link)
    assert b"HTTP" not in heard
    assert len(heard) < 16, "an alert at the most"


@pytest.mark.security
@pytest.mark.req("SEC-N09")
@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"content-length: 0\r\ncontent-length: 44\r\n\r\nGET /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"content-length: +5\r\n\r\nabcde",
        b"x-a: b\r\n c: d\r\n\r\n",
        b"x a: b\r\n\r\n",
        b"x-a : b\r\n\r\n",
        b"x-a: b\0c\r\n\r\n",
    ],
    ids=["CL.TE", "two lengths", "odd coding", "signed length", "fold", "blank in a name", "blank after a name", "NUL"],
)
def test_a_request_that_two_could_read_differently_is_not_answered_twice(server, head):
    heard = exchange(server, b"POST /api/v1/session/login HTTP/1.1\r\nhost: localhost\r\n" + head)
    assert heard.count(b"HTTP/1.1 ") <= 1
    assert b"HTTP/1.1 200" not in heard


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_a_head_that_is_too_large_is_refused(server):
    heard = exchange(server, GET + b"x-a: " + b"a" * 200_000 + b"\r\n\r\n")
    assert b" 200 " not in heard
    assert b" 200 " in exchange(server, GET + b"connection: close\r\n\r\n")


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_a_head_that_never_ends_is_cut_off_and_holds_up_nobody(server):
    with wire(server) as slow:
        slow.settimeout(30)
        slow.sendall(GET)
        began = time.monotonic()
        assert b" 200 " in exchange(server, GET + b"connection: close\r\n\r\n")
        assert time.monotonic() - began < 8, "the slow one is cut off after ten seconds"
        assert b" 200 " not in hear(slow)
        assert time.monotonic() - began < 20


@pytest.mark.security
@pytest.mark.req("SEC-C11")
def test_nothing_says_what_it_is_made_of(server):
    heard = exchange(server, GET + b"connection: close\r\n\r\n").lower() + exchange(server, b"nonsense\r\n\r\n").lower()
    for word in (b"granian", b"starlette", b"python", b"hyper", b"x-powered-by"):
        assert word not in heard


@pytest.mark.security
def test_a_port_that_is_taken_is_an_error_that_says_so(server):
    """Taken by another Sluicegate, too: two that share a port would each see half of the tokens."""
    with tempfile.TemporaryDirectory(prefix="sluice-listener-") as folder:
        home = Path(folder) / "home"
        sluice(home, "init")
        done = serve(home, "--port", server.port)
    assert done.returncode == 1
    assert f"could not listen on 127.0.0.1:{server.port}" in done.stderr
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr
    assert "serves at" not in done.stdout, "it says that it serves only when it does"
    assert b" 200 " in exchange(server, GET + b"connection: close\r\n\r\n")


def serve(home, *words):
    return subprocess.run(
        [sys.executable, "-m", "sluicegate", "serve", *words], capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SLUICE_HOME": str(home)},
    )  # fmt: skip


@pytest.mark.security
@pytest.mark.parametrize("port", ["0", "same"])
def test_a_second_server_on_one_home_is_refused_before_it_touches_anything(server, port):
    done = serve(server.home, "--port", server.port if port == "same" else port)
    assert done.returncode == 1
    assert f"another sluice serve uses this home (pid {server.child.pid})" in done.stderr
    assert done.stdout == ""
    assert b" 200 " in exchange(server, GET + b"connection: close\r\n\r\n")


def test_where_it_serves_is_told_as_json_too(tmp_path):
    sluice(tmp_path, "init")
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SLUICE_HOME": str(tmp_path)
    }  # fmt: skip
    words = [sys.executable, "-m", "sluicegate", "serve", "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as child:
        told = json.loads(child.stdout.readline())
        child.terminate()
        assert child.stdout.read() == ""
        assert child.wait(20) == 0
    assert told["url"].startswith("https://localhost:")
    assert told["pid"] == child.pid
    assert told["code"].count("-") > 3


def ask_over(server, version, path, *words, body=b""):
    """Ask with curl, which speaks HTTP/1.1 and HTTP/2; return the status, the version and the problem."""
    done = subprocess.run(
        ["curl", "-s", version, "--cacert", str(server.ca), "-w", "\n%{http_code} %{http_version}", "--data-binary", "@-", *words,
         server.url + path],
        input=body, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    text, _, status = done.stdout.decode().rpartition("\n")
    return (*status.split(), json.loads(text or "{}"))


JSON = ("-H", "content-type: application/json")


@pytest.mark.security
@pytest.mark.req("SEC-D02")
@pytest.mark.parametrize("path", ["/api/v1/session/login", "/api/v1/nothing"])
@pytest.mark.parametrize(("version", "spoken"), [("--http1.1", "1.1"), ("--http2", "2")])
@pytest.mark.parametrize("length", [(), ("-H", "transfer-encoding: chunked")])
def test_a_body_that_is_too_large_gets_its_answer(server, version, spoken, length, path):
    body = b'{"email": "' + b"a" * 3_000_000 + b'"}'
    wanted = ("413", "too_large") if path.endswith("login") else ("404", "missing")
    for _ in range(12):  # whether an answer is lost is a race
        status, heard, problem = ask_over(server, version, path, *JSON, *length, body=body)
        assert (status, heard, problem.get("code")) == (wanted[0], spoken, wanted[1])


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_the_one_time_code_is_printed_at_the_first_start_only(served):
    first = served.code
    assert first
    me = served.settle()
    assert me["role"] == "editor"
    served.stop()
    served.code = ""
    served.start()
    assert served.code == ""
    assert first not in (served.folder / "server.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(served, number):
    idle = wire(served)
    with wire(served) as busy:
        busy.sendall(GET[:-2])
        began = time.monotonic()
        served.child.send_signal(number)
        assert served.child.wait(20) == 0
        assert time.monotonic() - began < 15
    idle.close()
    log = (served.folder / "server.log").read_text()
    assert "Traceback" not in log
    assert "Exception" not in log
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(served.port)), 5)
    served.start()
    assert b" 200 " in exchange(served, GET + b"connection: close\r\n\r\n")
