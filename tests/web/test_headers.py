from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.web.headers import CSP, Headers
from tests.fixtures.asgi import ask

HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "etl.example.org"})


class Inner:
    """An app that answers as it is told and remembers what it was asked."""

    def __init__(self, *headers, body=(b"fine",)):
        self.headers, self.body, self.asked = list(headers), body, []

    async def __call__(self, scope, receive, send):
        self.asked.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        for place, part in enumerate(self.body, 1):
            await send({"type": "http.response.body", "body": part, "more_body": place < len(self.body)})


def host(text):
    return ((b"host", text.encode()),)


def test_an_answer_goes_through_with_its_own_headers_and_parts():
    inner = Inner((b"content-type", b"text/plain"), (b"x-own", b"1"), body=(b"a", b"b", b""))
    status, headers, body = ask(Headers(inner, HOSTS))
    assert (status, body) == (200, b"ab")
    assert (headers["content-type"], headers["x-own"]) == ("text/plain", "1")
    assert headers["content-security-policy"] == CSP


@pytest.mark.security
@pytest.mark.req("SEC-T18")
@pytest.mark.parametrize("name", [b"set-cookie", b"Set-Cookie", b"SET-COOKIE"])
def test_no_cookie_gets_out_however_it_is_written(name):
    inner = Inner((name, b"s=1"), (b"x-own", b"1"), (name, b"t=2; HttpOnly"))
    _, headers, _ = ask(Headers(inner, HOSTS))
    assert "set-cookie" not in headers
    assert headers["x-own"] == "1"


@pytest.mark.security
@pytest.mark.req("SEC-N08")
@pytest.mark.parametrize(
    "headers",
    [(), ((b"host", b""),), ((b"host", b"evil.example"),), ((b"host", b"\xff\xfe"),), ((b"host", b"localhost:1:2"),),
     ((b"host", b"user@localhost"),), ((b"host", b"[::2]"),), ((b"host", b"[]"),), ((b"host", b":443"),),
     ((b"host", b"evil.example"), (b"host", b"localhost")), ((b"host", b"localhost"), (b"host", b"evil.example")),
     ((b"host", b"localhost:@evil.example"),), ((b"host", b"localhost:8443@evil.example"),), ((b"host", b"localhost:x"),),
     ((b"host", b"localhost:"),), ((b"host", b"localhost:8443/evil"),), ((b"host", b"localhost:70000"),), ((b"host", b"localhost:999999"),),
     ((b"host", b"localhost:-1"),), ((b"host", b"localhost: 8443"),), ((b"host", b"[::1]x"),), ((b"host", b"[::1]:@e"),),
     ((b"host", b"[localhost]"),), ((b"host", b"localhost\n"),)],
)  # fmt: skip
def test_a_request_by_another_name_does_not_reach_the_app(headers):
    inner = Inner()
    status, told, body = ask(Headers(inner, HOSTS), headers)
    assert status == 421
    assert inner.asked == []
    assert json.loads(body)["code"] == "malformed"
    assert told["content-type"] == "application/problem+json"
    assert told["content-security-policy"] == CSP


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:8443", "127.0.0.1:1", "[::1]", "[::1]:8443", "ETL.example.org:443"]
)
def test_a_request_by_one_of_its_names_does(name):
    inner = Inner()
    assert ask(Headers(inner, HOSTS), host(name))[0] == 200
    assert len(inner.asked) == 1


@pytest.mark.security
def test_any_name_is_taken_only_when_the_settings_say_so():
    assert ask(Headers(Inner(), HOSTS), host("*"))[0] == 421
    assert ask(Headers(Inner(), frozenset({"*"})), host("any.example"))[0] == 200
    for told in ("", "any.example:@evil.example", "a b", "any.example/x"):
        assert ask(Headers(Inner(), frozenset({"*"})), host(told))[0] == 421, "any name, but a name"


@pytest.mark.security
@pytest.mark.req("SEC-N08")
@given(st.one_of(st.binary(max_size=40), st.text("localhst:[]@/#?.1289 \\", max_size=24).map(str.encode)))
def test_whatever_is_let_in_is_one_of_the_names_and_perhaps_a_port(told):
    inner = Inner()
    ask(Headers(inner, HOSTS), ((b"host", told),))
    if inner.asked:
        parts = urlsplit(f"https://{told.decode('ascii')}/x")
        assert (parts.hostname in HOSTS, parts.username, parts.path) == (True, None, "/x")


@pytest.mark.security
@pytest.mark.req("SEC-W02")
def test_browsers_are_bound_to_tls_by_every_name_but_the_machines_own():
    for name, bound in (("etl.example.org", True), ("localhost", False), ("127.0.0.1:8443", False), ("[::1]:1", False)):
        _, headers, _ = ask(Headers(Inner(), HOSTS), host(name))
        assert ("strict-transport-security" in headers) is bound, name
    assert "strict-transport-security" in ask(Headers(Inner(), HOSTS), host("evil.example"))[1]


def test_what_is_no_request_goes_through_untouched():
    seen, sent = [], []

    async def inner(scope, _receive, send):
        seen.append(scope)
        await send({"type": "lifespan.startup.complete"})

    async def send(message):
        sent.append(message)

    scope = {"type": "lifespan"}
    asyncio.run(Headers(inner, HOSTS)(scope, None, send))
    assert seen[0] is scope
    assert sent == [{"type": "lifespan.startup.complete"}]


@pytest.mark.security
@pytest.mark.req("SEC-W01")
def test_the_policy_names_each_directive_once_and_allows_no_other_origin():
    told = [part.split() for part in CSP.split(";")]
    names = [words[0] for words in told]
    assert len(set(names)) == len(names)
    assert {word for words in told for word in words[1:]} <= {
        "'none'",
        "'self'",
        "data:",
        "'script'",
    }
