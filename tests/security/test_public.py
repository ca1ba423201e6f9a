"""Deny by default, over HTTP: no token, no answer, whatever way the question is put (SEC-T18, SEC-T20, SEC-Z02)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sluicegate.base.permission import Public
from sluicegate.base.principal import Role
from sluicegate.operations import OPERATIONS
from sluicegate.web import openapi
from tests.security.asks import ask_for, path_for

PUBLIC = tomllib.loads((Path(__file__).parent / "public.toml").read_text())
GUARDED = [each for each in OPERATIONS if not isinstance(each.permission, Public)]


def send(place, operation, token=None, **more):
    """Send an operation's request, whole and well formed."""
    path, left = path_for(operation.http.path, ask_for(operation.name))
    if operation.http.method in {"POST", "PUT"}:
        return place.request(operation.http.method, path, token, json=left, **more)
    return place.request(operation.http.method, path, token, params=left or None, **more)


@pytest.mark.security
@pytest.mark.req("SEC-T20")
def test_public_is_exactly_what_the_list_says_and_why():
    public = {each.name for each in OPERATIONS if isinstance(each.permission, Public)}
    assert public == set(PUBLIC["operations"])
    assert all(len(reason) > 40 for table in PUBLIC.values() for reason in table.values())


@pytest.mark.security
@pytest.mark.req("SEC-T20", "SEC-T21")
@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: each.name)
def test_no_route_of_the_table_answers_without_a_token(place, operation):
    garbage = {
        "none": {},
        "empty": {"authorization": ""},
        "scheme alone": {"authorization": "Bearer"},
        "garbage": {"authorization": "Bearer garbage"},
        "basic": {"authorization": "Basic cm9vdDpyb290"},
        "no scheme": {"authorization": place.token(Role.ADMINISTRATOR)},
        "other scheme": {"authorization": f"Token {place.token(Role.ADMINISTRATOR)}"},
        "other header": {"x-access-token": place.token(Role.ADMINISTRATOR)},
        "cookie": {
            "cookie": f"access={place.token(Role.ADMINISTRATOR)}; Authorization=Bearer {place.token(Role.ADMINISTRATOR)}"
        },
    }
    for why, headers in garbage.items():
        answer = send(place, operation, headers=headers)
        assert answer.status_code == 401, why
        assert {key: answer.json()[key] for key in ("code", "title")} == {
            "code": "unauthenticated",
            "title": "Sign in first.",
        }
        assert answer.headers["www-authenticate"] == 'DPoP algs="ES256"'


@pytest.mark.security
@pytest.mark.req("SEC-T20")
def test_no_route_of_the_description_answers_without_a_token(place):
    paths = place.request("GET", "/api/v1/openapi.json").json()["paths"]
    open_ = {name for name, each in PUBLIC["operations"].items() if each}
    asked = 0
    for path, item in paths.items():
        for method, told in item.items():
            if told["operationId"] not in open_:
                filled = path.replace("{name}", "a").replace("{id}", "01a20ae5-c678-7dd4-b306-5c38cdec57df")
                assert place.request(method.upper(), filled).status_code == 401, (method, path)
                asked += 1
    assert asked == len(GUARDED)


@pytest.mark.security
@pytest.mark.req("SEC-T20")
def test_a_token_in_the_address_or_the_body_is_no_token(place):
    token = place.token(Role.ADMINISTRATOR)
    for name in ("access_token", "token", "authorization", "jwt"):
        assert place.request("GET", f"/api/v1/flows?{name}={token}").status_code == 401
    assert place.request("POST", "/api/v1/definitions", json={"source": "", "access_token": token}).status_code == 401


@pytest.mark.security
@pytest.mark.req("SEC-T18")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_no_answer_sets_a_cookie(place, operation):
    for token in (None, place.token(Role.ADMINISTRATOR), "garbage"):
        answer = send(place, operation, token, headers={"cookie": "session=1; csrf=2"})
        assert "set-cookie" not in answer.headers


@pytest.mark.security
@pytest.mark.req("SEC-T18")
def test_a_cookie_that_something_sets_is_taken_out():
    from sluicegate.web.headers import Headers
    from tests.fixtures.asgi import ask

    async def baker(scope, receive, send):
        headers = [(b"set-cookie", b"session=1"), (b"Set-Cookie", b"other=2"), (b"x-kept", b"yes")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    _, headers, _ = ask(Headers(baker, frozenset({"localhost"})))
    assert "set-cookie" not in headers
    assert headers["x-kept"] == "yes"


@pytest.mark.security
@pytest.mark.req("SEC-T18")
def test_the_pages_of_the_ui_set_no_cookie_and_are_the_same_with_one(place):
    for path in ("/", "/flows", "/health", "/api/v1/openapi.json", "/nothing.txt", "/api/nothing"):
        plain = place.request("GET", path)
        with_cookie = place.request("GET", path, headers={"cookie": "session=admin"})
        assert "set-cookie" not in plain.headers
        assert (plain.status_code, len(plain.content)) == (with_cookie.status_code, len(with_cookie.content))


TWISTS = {
    "slash at the end": "/api/v1/users/",
    "slash doubled": "/api/v1//users",
    "slash doubled before": "//api/v1/users",
    "upper case": "/API/V1/USERS",
    "semicolon": "/api/v1/users;a=b",
    "semicolon between": "/api/v1;a=b/users",
    "dots": "/api/v1/flows/../users",
    "dots encoded": "/api/v1/flows/%2e%2e/users",
    "slash encoded": "/api/v1%2fusers",
    "letter encoded": "/api/v1/%75sers",
    "letter encoded twice": "/api/v1/%2575sers",
    "backslash": "/api/v1\\users",
    "null": "/api/v1/users%00",
    "extension": "/api/v1/users.json",
    "behind health": "/health/../api/v1/users",
    "behind the ui": "/assets/../api/v1/users",
}


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
@pytest.mark.parametrize("twist", TWISTS)
@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_a_twisted_path_opens_nothing(place, twist, role):
    answer = place.request("GET", TWISTS[twist], place.token(role) if role else None)
    assert "viewer@north.example" not in answer.text
    assert "items" not in answer.text or "text/html" in answer.headers["content-type"]
    if answer.status_code == 200:
        assert answer.headers["content-type"].startswith("text/html"), "only the page of the UI, which holds nothing"
    else:
        assert answer.status_code in {401, 403, 404}


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: each.name)
def test_another_verb_is_no_way_around(place, operation):
    path, left = path_for(operation.http.path, ask_for(operation.name))
    known = {each.http.method for each in OPERATIONS if each.http.path == operation.http.path}
    known |= {"HEAD"} if "GET" in known else set()
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - known:
        answer = place.request(method, path, place.token(Role.API_USER), json=left)
        assert answer.status_code in {401, 403, 404, 405, 422}, (method, path)
        assert '"items"' not in answer.text


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
@pytest.mark.parametrize(
    "header", ["x-http-method-override", "x-http-method", "x-method-override", "x-original-method"]
)
def test_a_header_does_not_change_the_verb(place, header):
    run = place.a_run("north")
    place.call("definition.apply", {"source": "kind: flow\nname: stays\nsteps: []\n"}, place.token(Role.EDITOR))
    token = place.token(Role.ADMINISTRATOR)
    assert place.request("GET", "/api/v1/flows/stays", token, headers={header: "DELETE"}).json()["name"] == "stays"
    assert place.request("GET", f"/api/v1/runs/{run}", token, headers={header: "POST"}).json()["state"] == "queued"
    answer = place.request("GET", "/api/v1/flows/stays?_method=DELETE", token)
    assert answer.status_code == 422
    assert place.request("GET", "/api/v1/flows/stays", token).status_code == 200


@pytest.mark.security
@pytest.mark.req("SEC-N08")
def test_a_forwarded_address_is_not_believed(place):
    token, before = place.token(Role.VIEWER), place.head()
    spoofed = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9", "x-real-ip": "203.0.113.9"}
    assert place.request("GET", "/api/v1/users", token, headers=spoofed).status_code == 403
    assert [each["address"].startswith("10.") for each in place.records(after=before)] == [True]


@pytest.mark.security
@pytest.mark.req("SEC-T20")
def test_head_needs_the_token_that_get_needs(place):
    assert place.request("HEAD", "/api/v1/users").status_code == 401
    assert place.request("HEAD", "/api/v1/users", place.token(Role.VIEWER)).status_code == 403


def test_the_prefix_of_the_api_is_where_the_tests_look():
    assert openapi.PREFIX == "/api/v1"
