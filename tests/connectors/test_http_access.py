"""Who asks: each kind of credential, against an API that insists on it."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from sluicegate.base.errors import Failed, SignInRefused, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.conformance.connection import CANARY, chain
from sluicegate.kit.net import Egress, Grant, Net
from tests.connectors.test_http import api, connection, ctx, rows, running
from tests.fixtures.api import Answer

__all__ = ["api", "ctx", "running"]
BASIC = "Basic " + base64.b64encode(f"ada:{CANARY}".encode()).decode()
KINDS = {
    "basic": ({"user": "ada", "password": {"secret": "s"}}, ("authorization", BASIC)),
    "bearer": ({"token": {"secret": "s"}}, ("authorization", f"Bearer {CANARY}")),
    "api_key": ({"key": {"secret": "s"}, "key_name": "X-Shop"}, ("x-shop", CANARY)),
}


@pytest.fixture
def told(ctx):
    """Give a context with a credential, and what it was told to log."""
    lines = []
    return replace(ctx, secrets={"s": Secret(CANARY)}, log=lambda *said, **more: lines.append((said, more))), lines


def oauth(api, **more):
    fields = {"token_url": f"{api.url}/token", "client_id": "a b&c", "client_secret": {"secret": "s"}, **more}
    return connection(api, auth="oauth2", records="$", limits={"tries": 1}, **fields)


@pytest.mark.security
@pytest.mark.req("SEC-V01")
@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_is_where_it_belongs_and_nowhere_else(api, told, kind):
    ctx, lines = told
    fields, (header, value) = KINDS[kind]
    api.files["/orders"] = b'[{"a": 1}]'
    api.wants = lambda asked: asked.headers.get(header) == value
    made = connection(api, auth=kind, records="$", items={"orders": {}}, **fields)
    assert rows(made, ctx).to_pylist() == [{"a": 1}]
    with made.open(ctx) as session:
        assert session.test() == "web server, answers 200, and takes the credential"
    with pytest.raises(SignInRefused, match="does not take the credential") as refused:
        rows(made, replace(ctx, secrets={"s": Secret("wrong")}))
    assert CANARY not in f"{lines} {made!r} {chain(refused.value)} {[each.query for each in api.asked]}"


@pytest.mark.security
@pytest.mark.parametrize("kind", ["bearer", "api_key"])
@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a b", "ü", ""])
def test_a_credential_cannot_begin_another_header(api, told, kind, value):
    ctx, _ = told
    with pytest.raises(Failed, match="cannot stand in a header"):
        rows(connection(api, auth=kind, **KINDS[kind][0]), replace(ctx, secrets={"s": Secret(value)}))
    assert api.asked == []


@pytest.mark.security
@pytest.mark.parametrize("where", ["header", "body"])
def test_a_token_is_fetched_once_and_again_when_it_is_over(api, told, where):
    ctx, _ = told
    good, given = set(), []

    def token(asked):
        given.append(asked)
        good.add(f"Bearer t{len(given)}")
        return Answer({"access_token": f"t{len(given)}", "token_type": "Bearer", "expires_in": 3600})

    api.routes["/token"], api.files["/orders"] = token, b'[{"a": 1}]'
    api.wants = lambda asked: asked.headers.get("authorization") in good
    made = oauth(api, client_in=where, scope="read:x write:y")
    with made.open(ctx) as session:
        for _ in range(2):
            session.fetch("orders").read()
        assert len(given) == 1
        good.clear()  # it ends before its time
        session.fetch("orders").read()
        assert len(given) == 2
    asked, body = given[0], {name: value for name, (value,) in parse_qs(given[0].body.decode()).items()}
    assert body.pop("grant_type") == "client_credentials"
    assert body.pop("scope") == "read:x write:y"
    if where == "header":
        assert base64.b64decode(asked.headers["authorization"][6:]).decode() == f"a+b%26c:{CANARY}"
        assert body == {}
    else:
        assert body == {"client_id": "a b&c", "client_secret": CANARY}
    assert all(CANARY not in str(each) for each in api.asked if each.path != "/token")


@pytest.mark.security
@pytest.mark.req("SEC-E09")
@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        (
            Answer({"error": "invalid_client", "error_description": CANARY}, 401),
            SignInRefused,
            "does not take the client",
        ),
        (Answer({"error": "invalid_scope"}, 400), SignInRefused, "does not take the client"),
        (Answer({}, 200), Failed, "gives none"),
        (Answer(b"<html>", 200), Failed, "gives none"),
        (Answer({"access_token": 1}), Failed, "gives none"),
        (Answer({"access_token": "a\nb"}), Failed, "cannot stand in a header"),
        (Answer({"access_token": "x", "token_type": "mac"}), Failed, "another sort"),
        (Answer(b"x" * 100_000), Failed, "larger than"),
        (Answer(status=302, headers={"location": "https://localhost:1/"}), Failed, "sends us elsewhere"),
        (Answer(status=500), Failed, "answers 500"),
    ],
)
def test_no_token_is_one_clear_error(api, told, answer, kind, match):
    ctx, lines = told
    api.routes["/token"] = lambda _asked: answer
    with pytest.raises(kind, match=match) as refused:
        rows(oauth(api), ctx)
    assert CANARY not in chain(refused.value) + str(lines)
    assert [each.path for each in api.asked] == ["/token"]


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_the_server_that_gives_tokens_is_reached_only_as_egress_and_certificate_allow(api, told):
    ctx, _ = told
    answers = {"localhost": ["127.0.0.1"], "tokens.example": ["10.0.0.1"]}
    net = Net(Egress(allow=(Grant(host="localhost"),)), answers.__getitem__)
    made = oauth(api, token_url="https://tokens.example/token")
    with pytest.raises(Failed, match="egress policy refuses tokens.example"):
        rows(made, replace(ctx, net=net))
    with pytest.raises(Unreachable, match="unknown CA"):
        rows(oauth(api, ca=None), ctx)
    assert api.asked == []
