"""A token lies in no log, trail, file, address or answer, wherever a client has put it (SEC-T19)."""

from __future__ import annotations

import io
import json
import re

import pytest

from sluicegate.base.model import Model
from sluicegate.base.principal import Role
from sluicegate.base.settings import Limits, Server
from sluicegate.operations import OPERATIONS
from tests.fixtures.server import Place
from tests.security.asks import ask_for, path_for, role_for

WIDE = dict.fromkeys(("public", "guesses", "guesses_tenant", "guesses_all", "requests"), "900000/second")


@pytest.fixture
def loud(tmp_path):
    """Give an installation that logs each request, to where a test sees it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", log := io.StringIO())
        made = Place(tmp_path / "home", server=Server(access_log=True), limits=Limits(**WIDE))
        assert made.web, "made here: it writes where it was made"
    made.log = log
    yield made.settle()
    made.close()


def held(place) -> dict[str, str]:
    """Return one of each thing that must stay with who holds it, and is good now."""
    who = place.people["north", Role.OPERATOR]
    signed = place.sign_in(who)
    run = place.a_run("north")
    asked = {"operation": "run.log", "ask": {"id": run}}
    ticket = place.call("ticket.create", asked, signed["access"]).ticket
    key = place.new_key(place.people["north", Role.EDITOR], ["run:read"]).key
    return {"access": signed["access"], "refresh": signed["refresh"], "ticket": ticket, "key": key}


def marks(token: str) -> list[str]:
    """Return what of a token would give it away."""
    return [part for part in re.split(r"[._]", token) if len(part) > 24]


def misplaced(operation, token):
    """Yield requests of an operation with a token in each place where a client may have put it."""
    path, left = path_for(operation.http.path, ask_for(operation.name))
    body = operation.http.method in {"POST", "PUT"}
    whole = {"json": left} if body else {"params": left or None}
    yield path, {**whole, "headers": {"cookie": f"token={token}", "referer": f"https://localhost/?token={token}"}}
    yield path, {**whole, "headers": {"user-agent": token, "x-request-id": token, "authorization": f"Basic {token}"}}
    yield f"{path}?access_token={token}", {"json": left} if body else {}
    yield f"{path}?{token}", {"json": left} if body else {}
    yield f"{path}/{token}", whole
    for name in operation.http.places:
        yield path_for(operation.http.path, {**ask_for(operation.name), name: token})[0], whole
    if body:
        yield path, {"json": {**left, "token": token}}
        yield path, {"json": {**left, token: 1}}
        yield path, {"json": [token]}
        yield path, {"content": token.encode(), "headers": {"content-type": "application/json"}}
        for name, value in left.items():
            if (operation.name, name) == ("session.password", "new"):
                continue  # any text is a good one, and who asks would be signed out
            yield path, {"json": {**left, name: token if isinstance(value, str) else [token]}}


@pytest.mark.security
@pytest.mark.req("SEC-T19")
@pytest.mark.parametrize("kind", ["access", "refresh", "ticket", "key"])
def test_no_answer_log_trail_or_file_repeats_a_token(loud, kind):
    token = held(loud)[kind]
    sent = 0
    for operation in OPERATIONS:
        for path, more in misplaced(operation, token):
            given = more.pop("headers", {})
            good = None if "authorization" in given else loud.token_for(operation.name, role_for(operation))
            got = loud.request(operation.http.method, path, good, headers=given, **more)
            sent += 1
            assert not [part for part in marks(token) if part in got.text], (operation.name, path, more)
            assert not [part for part in marks(token) if part in str(got.headers)], (operation.name, path)
            assert got.headers["referrer-policy"] == "no-referrer"
    told = loud.log.getvalue()
    assert told.count('"message": "request"') > sent / 2, "the access log is on"
    trail = json.dumps([loud.records("north"), loud.records("south"), loud.records(None)])
    files = b"".join(each.read_bytes() for each in loud.files())
    for part in marks(token):
        assert part not in told
        assert part not in trail
        assert part.encode() not in files


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-T12")
@pytest.mark.parametrize("kind", ["access", "refresh", "ticket", "key"])
def test_what_is_used_as_it_should_be_is_not_logged_either(loud, kind):
    token = held(loud)[kind]
    run = loud.a_run("north")
    if kind == "access":
        assert loud.request("GET", f"/api/v1/runs/{run}", token).status_code == 200
    elif kind == "ticket":
        assert loud.request("GET", f"/api/v1/runs/{run}/log?ticket={token}").status_code == 401
    else:
        path = "/api/v1/session/" + ("refresh" if kind == "refresh" else "key")
        assert loud.request("POST", path, json={kind: token}).status_code == 200
    told = loud.log.getvalue()
    assert '"message": "request"' in told
    assert not [part for part in marks(token) if part in told]
    assert not [part for part in marks(token) if part in json.dumps(loud.records("north"))]


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_no_question_takes_a_token_in_an_address_but_a_ticket():
    """What a GET or DELETE is asked stands in the address, in logs of proxies and in the browser's history."""
    from pydantic import SecretStr

    secret = re.compile(r"token|password|secret|ticket|refresh|code|key$")
    for operation in OPERATIONS:
        if operation.http.method in {"GET", "DELETE"}:
            fields: dict = operation.takes.model_fields
            assert not [name for name, field in fields.items() if field.annotation is SecretStr], operation.name
            assert not [name for name in fields if secret.search(name)], operation.name
        assert issubclass(operation.takes, Model)
