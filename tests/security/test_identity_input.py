"""What is not well formed, at each route that a one-time link or a stranger's address opens: one clear 4xx, no trace."""

from __future__ import annotations

import json
import sqlite3

import pytest

from sluicegate.base.principal import Role
from tests.fixtures.server import PASSWORD
from tests.security.asks import ask_for

CANARY = "kanarienvogel"
ROUTES = {
    "invitation.accept": "/api/v1/invitations/accept",
    "password.forgot": "/api/v1/password/forgot",
    "password.reset": "/api/v1/password/reset",
    "profile.confirm": "/api/v1/profile/confirm",
    "user.invite": "/api/v1/invitations",
    "profile.update": "/api/v1/profile",
    "profile.email": "/api/v1/profile/email",
}
GUARDED = {"user.invite": "POST", "profile.update": "PUT", "profile.email": "POST"}
FIELDS = {name: next(iter(key for key in ask_for(name) if key in ("token", "email", "name"))) for name in ROUTES}
JSON = {"content-type": "application/json"}


def body(name, /, **more):
    return json.dumps({**ask_for(name), **more}).encode()


def table(name):
    """Return each kind of bad body."""
    field = FIELDS[name]
    whole = body(name)
    return {
        "not JSON": CANARY.encode(),
        "cut short": whole[:-1],
        "nothing": b"",
        "a list": b'["' + CANARY.encode() + b'"]',
        "a number": b"1",
        "null": b"null",
        "a key twice": whole[:-1] + f', "{field}": "{CANARY}"}}'.encode(),
        "the same key, escaped": whole[:-1] + f', "\\u00{ord(field[0]):x}{field[1:]}": "{CANARY}"}}'.encode(),
        "an unknown key": body(name, tenant_id=CANARY),
        "a list for a text": body(name, **{field: [CANARY]}),
        "an object for a text": body(name, **{field: {"$ne": CANARY}}),
        "a number for a text": body(name, **{field: 1}),
        "true for a text": body(name, **{field: True}),
        "null for a text": body(name, **{field: None}),
        "too long": body(name, **{field: CANARY * 400}),
        "too large": body(name, **{field: CANARY * 10_000}),
        "too deep": b'{"a":' * 100 + b'"' + CANARY.encode() + b'"' + b"}" * 100,
        "not a number": whole[:-1] + b', "x": NaN}',
        "not UTF-8": whole.replace(b'"', b'"\xff', 1),
        "UTF-16": whole.decode().encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + whole,
    }


TRICKS = {
    "turned round": f"{CANARY}\u202e@x.example",
    "zero width": f"{CANARY}\u200b@x.example",
    "a line": f"{CANARY}\r\nBcc: eve@x.example",
    "a line separator": f"{CANARY}\u2028@x.example",
    "NUL": f"{CANARY}\u0000@x.example",
    "half a character": f"{CANARY}\ud800@x.example",
    "private": f"{CANARY}\ue000@x.example",
    "a foreign blank": f"{CANARY}\u3000@x.example",
}
CASES = [(name, case) for name in ROUTES for case in table(name)]


def stored(place):
    with sqlite3.connect(place.home / "store.db") as link:
        found = {
            table_: link.execute(f"select * from {table_}").fetchall()
            for table_ in ("users", "links", "outbox", "notices")
        }
    link.close()
    return found


def send(place, name, raw, headers=None):
    token = place.token(Role.ADMINISTRATOR) if name in GUARDED else None
    before = stored(place)
    answer = place.request(
        GUARDED.get(name, "POST"), ROUTES[name], token, content=raw, headers=JSON if headers is None else headers
    )
    assert stored(place) == before, "something was made"
    return answer


@pytest.mark.security
@pytest.mark.parametrize(("name", "case"), CASES, ids=lambda each: each.replace(" ", "_"))
def test_a_bad_body_is_one_clear_refusal_without_a_trace_of_it(place, name, case):
    answer = send(place, name, table(name)[case])
    assert answer.status_code in {400, 413, 422}, answer.text
    told = answer.json()
    assert set(told) <= {"type", "code", "status", "title", "where", "hint", "request"}
    assert told["code"] in {"malformed", "invalid", "too_large"}
    assert CANARY not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.security
@pytest.mark.parametrize("name", ["password.forgot", "user.invite", "profile.email", "profile.update"])
@pytest.mark.parametrize("trick", TRICKS)
def test_an_address_or_name_that_is_not_what_it_looks_like_is_refused(place, name, trick):
    answer = send(place, name, body(name, **{FIELDS[name]: TRICKS[trick]}))
    assert answer.status_code == 422
    assert CANARY not in answer.text


@pytest.mark.security
@pytest.mark.req("SEC-A07")
@pytest.mark.parametrize("name", ["invitation.accept", "password.reset", "profile.confirm"])
def test_each_wrong_token_is_refused_in_the_same_words(place, name):
    wrong = ["", "x", "lt_", "lt_" + "A" * 43, f"rt_{CANARY}", "lt_" + "Ａ" * 43, "\ud800", "\u0000", "' OR 1=1 --", "../" * 20,
             place.token(Role.VIEWER)[:128]]  # fmt: skip
    told = []
    for each in wrong:
        answer = send(place, name, body(name, token=each))
        assert answer.status_code == 401
        told.append({**answer.json(), "request": ""})
    assert all(each == told[0] for each in told)
    assert CANARY not in str(told)


@pytest.mark.security
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("name", ROUTES)
def test_what_a_foreign_page_can_send_is_no_question(place, name, kind):
    answer = send(place, name, body(name), headers={"content-type": kind})
    assert answer.status_code == 400


@pytest.mark.security
@pytest.mark.req("SEC-A03")
def test_a_bad_password_by_a_good_link_is_told_by_its_reason_alone(place):
    admin = place.token(Role.ADMINISTRATOR)
    sent = place.call("user.invite", {"email": "bad-password@north.example", "role": "viewer"}, admin)
    token = sent.link.rpartition("/")[2]
    for bad in ("", CANARY, CANARY + "\ud800" + PASSWORD, "\u0378" + PASSWORD, CANARY * 30):
        answer = send(place, "invitation.accept", json.dumps({"token": token, "name": "A", "password": bad}).encode())
        assert (answer.status_code, answer.json()["where"]) == (422, "password")
        assert CANARY not in answer.text
    assert place.call("invitation.accept", {"token": token, "name": "A", "password": PASSWORD}).access
