"""The client of our own server: TLS 1.3, one CA, no redirects."""

from __future__ import annotations

import datetime as dt
import io
import socket
import ssl

import pytest
import trustme

from sluicegate.base.errors import Invalid, Unreachable
from sluicegate.kit.net import (
    HttpsClient,
    free_port,
)
from tests.fixtures.web import certified, serve


def test_https_client_speaks_and_keeps_the_line(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url("/api/"), pem_file) as client:
        web.routes["/api/gone"] = (404, {"X-Why": "no such thing"}, b"{}")
        assert client.request("GET", "/x").body == b"fine"
        assert client.request("POST", "/x", b"{}", {"content-type": "application/json"}).status == 200
        gone = client.request("GET", "/gone")
        assert (gone.status, gone.headers["x-why"], gone.body) == (404, "no such thing", b"{}")
        assert [seen[:2] for seen in web.seen] == [("GET", "/api/x"), ("POST", "/api/x"), ("GET", "/api/gone")]
        assert web.seen[1][3] == b"{}"
        assert sum(web.lines.values()) == 1


def test_https_client_opens_a_new_line_when_the_old_one_ended(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url(), pem_file) as client:
        client.request("GET", "/")
        client._line.sock.shutdown(socket.SHUT_RD)
        assert client.request("POST", "/", b"1").status == 200
        assert sum(web.lines.values()) == 2


@pytest.mark.security
@pytest.mark.parametrize(
    "base",
    ["http://127.0.0.1:1", "127.0.0.1:1", "ftp://h", "https://", "https://user:canary@h", "https://h?x", "https://h#x",
     "https://h:x", "https://h:99999", "https://[::1", "https://h%41", "HTTP://h", "https://0x7f.1"],
)  # fmt: skip
def test_https_client_takes_only_a_plain_https_address(base):
    with pytest.raises(Invalid) as caught:
        HttpsClient(base, None)
    assert "canary" not in str(caught.value)


@pytest.mark.security
@pytest.mark.parametrize(
    ("names", "about", "word"),
    [
        (["127.0.0.1"], {"not_after": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "expired"),
        (["127.0.0.1"], {"not_before": dt.datetime(2090, 1, 1, tzinfo=dt.UTC),
                         "not_after": dt.datetime(2091, 1, 1, tzinfo=dt.UTC)}, "not valid yet"),
        (["other.example"], {}, "another host"),
    ],
)  # fmt: skip
def test_https_client_names_what_is_wrong_with_a_certificate(authority, pem_file, names, about, word):
    with serve(certified(authority, *names, **about)) as web, HttpsClient(web.url(), pem_file) as client:
        with pytest.raises(Unreachable, match=word) as caught:
            client.request("GET", "/", None, {"authorization": "canary"})
        assert caught.value.hint
        assert web.seen == []


@pytest.mark.security
def test_https_client_trusts_only_the_ca_it_was_given(authority, pem_file):
    with serve(certified(trustme.CA(), "127.0.0.1")) as web:
        for ca in (pem_file, None):
            with HttpsClient(web.url(), ca) as client, pytest.raises(Unreachable, match="unknown CA"):
                client.request("GET", "/")
        assert web.seen == []


@pytest.mark.security
def test_https_client_trusts_no_public_ca_beside_its_own(pem_file):
    context = HttpsClient("https://h", pem_file)._trust()
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.security
def test_https_client_refuses_tls_1_2(authority, pem_file):
    with serve(certified(authority, "127.0.0.1", most=ssl.TLSVersion.TLSv1_2)) as web:
        with HttpsClient(web.url(), pem_file) as client, pytest.raises(Unreachable, match="No TLS connection"):
            client.request("GET", "/")
        assert web.seen == []


@pytest.mark.security
def test_https_client_follows_no_redirect_and_uses_no_proxy(authority, pem_file, web, listener, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.port}")
    with serve(certified(authority, "127.0.0.1")) as safe, HttpsClient(safe.url(), pem_file) as client:
        safe.routes["/"] = (302, {"location": web.url()}, b"")
        assert client.request("GET", "/").status == 302
    assert web.seen == []
    assert listener.met() == 0


@pytest.mark.security
def test_https_client_lets_no_header_be_smuggled(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url(), pem_file) as client:
        for how in (
            ("GET", "/ HTTP/1.1\r\nx: y", None, {}), ("GET", "/", None, {"x": "y\r\nz: 1"}),
            ("GET", "/", None, {"x: y\r\nz": "1"}), ("GET\r\n", "/", None, {}), ("GET", "x", None, {}),
        ):  # fmt: skip
            with pytest.raises(Invalid):
                client.request(*how)
        assert client.request("GET", "/").status == 200
        assert len(web.seen) == 1


def test_https_client_tells_a_missing_ca_and_a_missing_server(tmp_path):
    with HttpsClient(f"https://127.0.0.1:{free_port()}", None) as client, pytest.raises(Unreachable, match="Nothing"):
        client.request("GET", "/")
    with pytest.raises(Invalid, match="missing"):
        HttpsClient("https://h", tmp_path / "none.pem").request("GET", "/")
    (tmp_path / "odd.pem").write_text("x")
    with pytest.raises(Invalid, match="not a certificate"):
        HttpsClient("https://h", tmp_path / "odd.pem").request("GET", "/")


def test_https_client_does_not_wait_for_ever(authority, pem_file, listener):
    client = HttpsClient(f"https://127.0.0.1:{listener.port}", pem_file, timeout=0.2)
    with client, pytest.raises(Unreachable, match="in time"):
        client.request("GET", "/")


def test_https_client_downloads_piece_by_piece_and_tells_what_is_wrong(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url("/api"), pem_file) as client:
        web.routes["/api/big"] = (200, {"x-name": "big"}, b"x" * 300_000)
        web.routes["/api/gone"] = (404, {}, b"{}")
        out = io.BytesIO()
        told = client.download("/big", out)
        assert (told.status, told.headers["x-name"], told.body, out.getvalue()) == (200, "big", b"", b"x" * 300_000)
        out = io.BytesIO()
        assert client.download("/gone", out)[::2] == (404, b"{}")
        assert out.getvalue() == b""
        assert client.request("GET", "/gone").status == 404, "the client goes on"


@pytest.mark.security
@pytest.mark.slow
def test_https_client_sees_that_a_download_was_cut(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url(), pem_file, timeout=5) as client:
        web.routes["/cut"] = (200, {"content-length": "1000"}, b"x" * 10)
        with pytest.raises(Unreachable):
            client.download("/cut", io.BytesIO())
