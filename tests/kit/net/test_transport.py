"""HTTP: no proxies, no way around the checks, and nothing secret crosses to another origin."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter

import pytest

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Unreachable
from sluicegate.kit.net import (
    Egress,
    Net,
)
from tests.fixtures.web import Names, certified, grants, pem, serve

CLOSED = Egress()


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_http_keeps_the_name_in_host_and_sni_while_the_address_is_pinned(authority):
    context = certified(authority, "api.example")
    told = []
    context.sni_callback = lambda _sock, name, _context: told.append(name)
    names = Names(["127.0.0.1"])
    with serve(context) as web, Net(grants("api.example"), names).http(ca=pem(authority)) as client:
        assert client.get(web.url("/x", "api.example")).text == "fine"
        assert client.get(web.url("/y", "api.example")).text == "fine"
        assert [seen[2]["host"] for seen in web.seen] == [f"api.example:{web.port}"] * 2
        with pytest.raises(EgressRefused):
            client.get(web.url("/x", "127.0.0.1"))
    assert told == ["api.example"]  # one connection, kept alive
    assert names.asked == ["api.example"]


@pytest.mark.security
def test_http_verifies_certificates(authority):
    with serve(certified(authority, "api.example")) as web:
        net = Net(Egress.local(), Names(["127.0.0.1"]))
        with net.http() as client, pytest.raises(Unreachable, match="unknown CA"):
            client.get(web.url(host="api.example"))
        with net.http(ca=pem(authority)) as client, pytest.raises(Unreachable, match="another host"):
            client.get(web.url(host="other.example"))
        assert web.seen == []


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_proxy_variables_and_netrc_are_ignored(web, listener, monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelled in (name, name.lower()):
            monkeypatch.setenv(spelled, f"http://127.0.0.1:{listener.port}")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    net = Net(Egress.local())
    with net.http() as client:
        assert net.fetch(client, "GET", web.url()).text == "fine"
    assert "authorization" not in web.seen[0][2]
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "dict", "jar", "ws", "unix", "data"])
@pytest.mark.req("SEC-E04")
def test_only_http_and_https_are_spoken(scheme, web, listener):
    net = Net(Egress.local())
    with net.http() as client:
        for url in (f"{scheme}://127.0.0.1:{listener.port}/x", f"{scheme}:///etc/passwd"):
            with pytest.raises(EgressRefused):
                net.fetch(client, "GET", url)
            web.routes["/go"] = (302, {"location": url}, b"")
            with pytest.raises(EgressRefused):
                net.fetch(client, "GET", web.url("/go"))
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_redirects_are_not_followed_by_the_client_itself(web):
    web.routes["/go"] = (302, {"location": "/x"}, b"")
    with Net(Egress.local()).http() as client:
        assert client.get(web.url("/go")).status_code == 302
    assert len(web.seen) == 1


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_five_redirects_are_followed_and_six_are_not(web):
    for number in range(10):
        web.routes[f"/{number}"] = (302, {"location": f"/{number + 1}"}, b"")
    net = Net(Egress.local())
    web.routes["/5"] = (200, {}, b"there")
    with net.http() as client:
        assert net.fetch(client, "GET", web.url("/0")).text == "there"
        assert len(web.seen) == 6
        web.seen.clear()
        web.routes["/5"] = (302, {"location": "/6"}, b"")
        with pytest.raises(EgressRefused, match="More than 5"):
            net.fetch(client, "GET", web.url("/0"))
        assert len(web.seen) == 6


@pytest.mark.security
@pytest.mark.req("SEC-E04")
@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]/",
        "http://0177.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://0/", "//10.0.0.1/",
        "http://metadata.example/", "http://127。0。0。2/", "http://user:pw@127.0.0.1/", "http://[::]/",
        "http://127.0.0.1.:80/",
    ],
)  # fmt: skip
def test_a_redirect_chain_to_a_refused_address_ends_there(target, web):
    net = Net(grants("127.0.0.1", ports=(web.port,)), Names(["169.254.169.254"]))
    web.routes["/a"] = (302, {"location": "/b"}, b"")
    web.routes["/b"] = (307, {"location": target}, b"")
    with net.http(headers={"x-api-key": "canary"}) as client, pytest.raises(EgressRefused) as caught:
        net.fetch(client, "GET", web.url("/a"))
    assert Counter(seen[1] for seen in web.seen) == {"/a": 1, "/b": 1}
    assert "canary" not in str(caught.value)
    assert "pw" not in str(caught.value).split()


SECRETS = {
    "authorization": "Bearer canary", "cookie": "s=canary", "x-api-key": "canary", "private-token": "canary",
    "x-custom": "canary", "proxy-authorization": "canary",
}  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-E04")
@pytest.mark.parametrize("placed", ["request", "client", "basic", "params"])
def test_credentials_stay_at_their_origin(placed, web):
    with serve() as other:
        net = Net(grants("127.0.0.1", ports=(web.port, other.port)))
        web.routes["/go"] = (302, {"location": other.url("/there")}, b"")
        web.routes["/near"] = (302, {"location": "/go"}, b"")
        web.routes["/near?key=canary"] = web.routes["/near"]
        other.routes["/there"] = (302, {"location": web.url("/back")}, b"")
        with net.http() as client:
            how = {"headers": {**SECRETS, "accept": "text/csv"}} if placed == "request" else {}
            if placed == "client":
                client.headers.update({**SECRETS, "accept": "text/csv"})
                client.cookies.set("c", "canary")
                client.auth = ("user", "canary")
            if placed == "basic":
                how = {"auth": ("user", "canary"), "headers": {"accept": "text/csv"}}
            if placed == "params":
                client.params = {"key": "canary"}
                how = {"headers": {"accept": "text/csv"}}
            assert net.fetch(client, "GET", web.url("/near"), **how).text == "fine"
    assert [seen[1].split("?")[0] for seen in web.seen] == ["/near", "/go", "/back"]
    if placed == "params":
        assert "canary" in web.seen[0][1]
    else:
        assert web.seen[0][2]["authorization"] == web.seen[1][2]["authorization"]
    if placed == "request":
        assert set(SECRETS) <= set(web.seen[1][2])
    for seen in (other.seen[0], web.seen[2]):  # once dropped, never back: the far side chose this hop
        assert "canary" not in json.dumps(seen[:3])
        assert not set(SECRETS) & set(seen[2])
        assert seen[2]["accept"] == "text/csv"
        assert seen[2]["host"] in (f"127.0.0.1:{other.port}", f"127.0.0.1:{web.port}")


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_a_redirect_never_leaves_https(authority, web):
    with serve(certified(authority, "127.0.0.1")) as safe:
        net = Net(Egress.local())
        safe.routes["/go"] = (302, {"location": web.url("/x")}, b"")
        web.routes["/up"] = (302, {"location": safe.url("/x")}, b"")
        with net.http(ca=pem(authority)) as client:
            with pytest.raises(EgressRefused, match="leaves https"):
                net.fetch(client, "GET", safe.url("/go"))
            assert net.fetch(client, "GET", web.url("/up")).text == "fine"
    assert [seen[1] for seen in web.seen] == ["/up"]


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_a_redirect_to_another_port_needs_a_grant_that_names_it(web, listener):
    web.routes["/go"] = (302, {"location": f"http://api.example:{listener.port}/"}, b"")
    net = Net(grants("api.example", ports=(web.port,)), Names(["127.0.0.1"]))
    with net.http() as client, pytest.raises(EgressRefused, match="another port"):
        net.fetch(client, "GET", web.url("/go", "api.example"))
    public = Net(grants("api.example", ports=(web.port,)), Names(["127.0.0.1"]))
    web.routes["/go"] = (302, {"location": "http://8.8.8.8:22/"}, b"")
    with public.http() as client, pytest.raises(EgressRefused, match="another port"):
        public.fetch(client, "GET", web.url("/go", "api.example"))
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_a_body_does_not_cross_origins(web):
    with serve() as other:
        net = Net(Egress.local())
        for status in (307, 308):
            web.routes["/go"] = (status, {"location": other.url("/there")}, b"")
            with net.http() as client, pytest.raises(EgressRefused, match="body elsewhere"):
                net.fetch(client, "POST", web.url("/go"), json={"client_secret": "canary"})
        web.routes["/go"] = (303, {"location": other.url("/there")}, b"")
        with net.http() as client:
            net.fetch(client, "POST", web.url("/go"), json={"client_secret": "canary"})
        assert [(seen[0], seen[3]) for seen in other.seen] == [("GET", b"")]
        assert "content-type" not in other.seen[0][2]


def test_a_body_is_sent_again_at_its_own_origin(web):
    net = Net(Egress.local())
    web.routes["/go"] = (308, {"location": "/there"}, b"")
    with net.http() as client:
        assert net.fetch(client, "PUT", web.url("/go"), json={"a": 1}).text == "fine"
        with pytest.raises(EgressRefused, match="streamed"):
            net.fetch(client, "PUT", web.url("/go"), content=iter([b"x"]), headers={"content-length": "1"})
    assert [(seen[0], seen[3]) for seen in web.seen[:2]] == [("PUT", b'{"a":1}')] * 2
    assert web.seen[1][2]["content-type"] == "application/json"


@pytest.mark.security
def test_a_url_with_a_password_is_refused_and_not_shown(web):
    net = Net(Egress.local())
    with net.http() as client:
        for url in (f"http://user:canary@127.0.0.1:{web.port}/", "http://[canary", "http://canary\x00/"):
            with pytest.raises(EgressRefused) as caught:
                net.fetch(client, "GET", url)
            assert "canary" not in str(caught.value)
    assert web.seen == []


@pytest.mark.security
def test_a_damaged_reply_fails_cleanly(web):
    web.routes["/"] = (200, {"content-encoding": "gzip"}, b"not gzip")
    net = Net(Egress.local())
    with net.http() as client, pytest.raises(Failed, match="decompress"):
        net.fetch(client, "GET", web.url("/"))


def test_a_response_can_be_streamed(web):
    net = Net(Egress.local())
    web.routes["/go"] = (302, {"location": "/big"}, b"x" * 10000)
    web.routes["/big"] = (200, {}, b"y" * 100000)
    with net.http() as client:
        response = net.fetch(client, "GET", web.url("/go"), stream=True)
        assert not response.is_stream_consumed
        assert sum(map(len, response.iter_bytes())) == 100000
        response.close()


def test_a_peer_that_breaks_off_is_unreachable():
    def half(sock):
        peer = sock.accept()[0]
        with peer:
            peer.recv(9999)
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=half, args=[sock])
        thread.start()
        with Net(Egress.local()).http() as client, pytest.raises(Unreachable):
            client.get(f"http://127.0.0.1:{sock.getsockname()[1]}/")
        thread.join()
