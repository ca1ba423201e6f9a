"""Bad input to every route that has to do with who somebody is: one answer a kind, without a trace of it, and no effect.

The routes come from the table, so a new one joins by itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.permission import Public
from sluicegate.base.settings import Limits, Server
from sluicegate.guard.limits import Meter
from sluicegate.guard.operation import Operation
from sluicegate.operations import OPERATIONS
from tests.fixtures.server import BY_NAME, PASSWORD, Place
from tests.security.asks import ask_for, path_for, role_for

NOUNS = {"session", "factor", "key", "user", "service", "invitation", "reset", "sso", "support", "policy", "ticket"}
IDENTITY = [each for each in OPERATIONS if isinstance(each.permission, Public) or each.name.partition(".")[0] in NOUNS]
BODIES = [each for each in IDENTITY if each.http.method in {"POST", "PUT"}]
BY_ID = {"ids": lambda each: each.name}
CANARY = "canary-Pa55-0815"
WIDE = dict.fromkeys(("public", "guesses", "guesses_tenant", "guesses_all", "requests", "changes"), "900000/second")
JSON = "application/json"
ANY_TEXT_IS_GOOD = {("session.password", "new"), ("sso.set", "client_id")}  # the id is as the provider spells it
"""What takes any text, so that a trick in it is no bad input."""

SILENT = {"key.leaked": set(), "session.logout": {"marks"}, "password.forgot": {"outbox"}}
"""What gives the same empty answer whether or not there was anything, and which table it may write: whoever signs out is out."""

Row = tuple[str, int]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Give an installation for these tests alone: its rows are counted."""
    made = Place(
        tmp_path_factory.mktemp("house") / "home", server=Server(access_log=False), limits=Limits(**WIDE)
    ).settle()
    made.app.services.login._tries._far._free = 10**9  # nobody is slowed, whatever they try
    made.app.gate._limits._account = Meter("900000/second")
    yield made
    made.close()


def count(place: Place) -> tuple[Row, ...]:
    """Count the rows of every table; the trail grows with what is refused, as it should."""
    with sqlite3.connect(place.home / "store.db") as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        found = tuple(
            (name, connection.execute(f"select count(*) from {name}").fetchone()[0])
            for name in names
            if name != "audit"
        )
    connection.close()
    return found


def send(place: Place, operation: Operation, raw: bytes, kind: str | None = JSON, path: str = "") -> Any:
    """Send a body as it is, as somebody who may."""
    token = place.token_for(operation.name, role_for(operation)) if not _open(operation) else None
    place_ = path or path_for(operation.http.path, ask_for(operation.name))[0]
    headers = {"content-type": kind} if kind is not None else {}
    return place.request(operation.http.method, place_, token, content=raw, headers=headers)


def _open(operation: Operation) -> bool:
    return isinstance(operation.permission, Public)


def refused(place: Place, operation: Operation, ask: Callable[[], Any], trace: str = CANARY) -> tuple[int, str, str]:
    """Ask, and assert what holds for every refusal; return what was said."""
    if not _open(operation):
        place.token_for(operation.name, role_for(operation))  # a sign-in adds rows of its own
    before = count(place)
    got = ask()
    assert 400 <= got.status_code < 500, (got.status_code, got.text)
    told = got.json()
    assert got.headers["content-type"] == "application/problem+json"
    assert {"type", "code", "status", "title"} <= set(told) <= {
        "type", "code", "status", "title", "where", "hint", "request",
    }  # fmt: skip
    for each in (trace, PASSWORD):
        assert each not in got.text
        assert each not in str(got.headers)
    assert "Traceback" not in got.text
    assert count(place) == before, "nothing is half-created"
    return told["status"], told["code"], told["title"]


def well_formed(operation: Operation) -> dict[str, Any]:
    return path_for(operation.http.path, ask_for(operation.name))[1]


def doubled(operation: Operation) -> bytes:
    whole = json.dumps(well_formed(operation))[1:-1]
    return f'{{"{CANARY}": 1, {whole + "," if whole else ""} "{CANARY}": 2}}'.encode()


DEEP = 5000
WHOLE: dict[str, Callable[[Operation], bytes]] = {
    "no JSON": lambda _: f"{CANARY} {{".encode(),
    "cut": lambda _: f'{{"email": "{CANARY}"'.encode(),
    "two values": lambda _: f'{{}} {{"a": "{CANARY}"}}'.encode(),
    "list": lambda _: f'["{CANARY}"]'.encode(),
    "text": lambda _: f'"{CANARY}"'.encode(),
    "null": lambda _: b"null",
    "number": lambda _: b"1e999",
    "NaN": lambda _: f'{{"{CANARY}": NaN}}'.encode(),
    "Infinity": lambda _: f'{{"{CANARY}": -Infinity}}'.encode(),
    "single quotes": lambda _: f"{{'a': '{CANARY}'}}".encode(),
    "comment": lambda _: f'{{"a": 1 /* {CANARY} */}}'.encode(),
    "key twice": doubled,
    "key twice, escaped": lambda _: b'{"email": "a", "\\u0065mail": "b"}',
    "deep lists": lambda _: b'{"a": ' + b"[" * DEEP,
    "deep objects": lambda _: b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "byte order mark": lambda _: b"\xef\xbb\xbf{}",
    "UTF-16": lambda _: f'{{"a": "{CANARY}"}}'.encode("utf-16"),
    "UTF-7": lambda _: b"+AHs-+AH0-",
    "overlong": lambda _: b'{"a": "\xc0\xaf\xe0\x80\xaf"}',
    "raw surrogate": lambda _: b'{"a": "\xed\xa0\x80"}',
    "raw NUL": lambda _: b'{"a": "\x00"}',
    "raw line end": lambda _: b'{"a": "x\ny"}',
    "latin-1": lambda _: '{"a": "é"}'.encode("latin-1"),
    "YAML": lambda _: f"email: {CANARY}\n".encode(),
    "XML": lambda _: f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>{CANARY}</x>'.encode(),
}
"""Bodies that are no JSON object with each key once."""


@pytest.mark.security
@pytest.mark.req("SEC-P09", "SEC-Z06")
@pytest.mark.parametrize("operation", BODIES, **BY_ID)
def test_what_is_no_object_is_refused_in_one_way(house, operation):
    told = {
        name: refused(house, operation, lambda raw=raw: send(house, operation, raw(operation)))
        for name, raw in WHOLE.items()
    }
    assert {status for status, _, _ in told.values()} == {400}, told
    assert {code for _, code, _ in told.values()} == {"malformed"}, told
    assert {title for _, _, title in told.values()} <= {
        "The body is not JSON.",
        "The body is not a JSON object.",
        "The body is nested too deeply.",
    }


@pytest.mark.security
@pytest.mark.req("SEC-P09", "SEC-D01")
@pytest.mark.parametrize("operation", BODIES, **BY_ID)
def test_what_is_too_large_is_refused_in_one_way(house, operation):
    most = operation.http.body_max
    for raw in (b" " * (most + 1), b'{"a": "' + CANARY.encode() * most + b'"}'):
        told = refused(house, operation, lambda raw=raw: send(house, operation, raw))
        assert told == (413, "too_large", f"The body is larger than {most} bytes.")


KINDS = (
    None, "", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/xml", "application/jsonp", "application/problem+json", f"{CANARY}/x", "application/json, text/plain",
)  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-P09", "SEC-W04")
@pytest.mark.parametrize("operation", BODIES, **BY_ID)
def test_what_does_not_say_that_it_is_json_is_refused_in_one_way(house, operation):
    raw = json.dumps(well_formed(operation)).encode()
    told = {refused(house, operation, lambda kind=kind: send(house, operation, raw, kind)) for kind in KINDS}
    assert told == {(400, "malformed", "The body does not say that it is JSON.")}


ODD: dict[str, Any] = {
    "list": [CANARY],
    "object": {CANARY: CANARY},
    "true": True,
    "negative": -1,
    "fraction": 1.5,
    "huge number": 10**400,
    "nested": [[[[CANARY]]]],
    "endless": CANARY * 2000,
}
TRICKS = {
    "NUL": f"{CANARY}\x00@north.example",
    "lone surrogate": f"{CANARY}\ud800@north.example",
    "turned round": f"{CANARY}\u202e@north.example",
    "invisible": f"{CANARY}\u200b@north.example",
    "tag": f"{CANARY}\U000e0041@north.example",
    "line end": f"{CANARY}@north.example\r\nBcc: a@b.example",
    "line separator": f"{CANARY}\u2028@north.example",
    "private": f"{CANARY}\ue000@north.example",
    "not assigned": f"{CANARY}\u0378@north.example",
    "wide space": f"{CANARY}\u3000@north.example",
    "SQL": f"{CANARY}' or '1'='1' --@north.example",
    "template": f"{CANARY}{{{{7*7}}}}${{7*7}}<%= 7*7 %>@north.example",
    "path": f"../../{CANARY}/@north.example",
}


def fields(operation: Operation, *, texts: bool = False) -> list[str]:
    asked = well_formed(operation)
    every = [name for name in operation.takes.model_fields if name not in operation.http.places]
    return [name for name in every if not texts or isinstance(asked.get(name), str)]


@pytest.mark.security
@pytest.mark.req("SEC-Z06", "SEC-V02")
@pytest.mark.parametrize("operation", BODIES, **BY_ID)
def test_what_no_field_can_hold_is_refused_in_one_way(house, operation):
    for name in fields(operation):
        for odd in ("list", "object", "nested", "huge number"):
            raw = json.dumps({**well_formed(operation), name: ODD[odd]}).encode()
            if name == "ask" and odd == "object":
                continue  # a question of its own, which its own operation reads
            if odd == "list" and "tuple" in str(operation.takes.model_fields[name].annotation):
                raw = json.dumps({**well_formed(operation), name: [[CANARY]]}).encode()
            told = refused(house, operation, lambda raw=raw: send(house, operation, raw))
            assert told[:2] == (422, "invalid"), (name, odd)
    for name in ("role_", "tenant_id", "id_", "__proto__", "constructor", "is_admin", CANARY):
        raw = json.dumps({**well_formed(operation), name: "superadmin"}).encode()
        told = refused(house, operation, lambda raw=raw: send(house, operation, raw), trace="superadmin")
        assert told[:2] == (422, "invalid"), name


@pytest.mark.security
@pytest.mark.req("SEC-Z06", "SEC-V02")
@pytest.mark.parametrize("operation", BODIES, **BY_ID)
def test_a_text_with_a_trick_in_it_gets_nobody_in_and_is_not_repeated(house, operation):
    for name in fields(operation, texts=True):
        if (operation.name, name) in ANY_TEXT_IS_GOOD:
            continue
        for trick in TRICKS.values():
            raw = json.dumps({**well_formed(operation), name: trick}).encode()
            if makes(operation, name, trick):
                continue
            if operation.name in SILENT:
                house.token_for("session.whoami", role_for(operation))
                before, got = count(house), send(house, operation, raw)
                assert got.status_code in {200, 422}
                assert {name for name, _ in set(count(house)) ^ set(before)} <= SILENT[operation.name]
                assert got.status_code != 200 or got.text == "{}"
                assert CANARY not in got.text
                continue
            status, code, _ = refused(house, operation, lambda raw=raw: send(house, operation, raw))
            assert (status, code) in {
                (422, "invalid"),
                (401, "unauthenticated"),
                (403, "denied"),
                (404, "missing"),
                (429, "throttled"),
            } or (operation.name, code) == ("seal.open", "conflict")  # it is open, whatever is given


def makes(operation: Operation, name: str, trick: str) -> bool:
    """Tell whether a text is a good one here: a name or address of odd but plain signs."""
    try:
        operation.takes.model_validate({**ask_for(operation.name), name: trick})
    except ValueError:
        return False
    return operation.name.partition(".")[2] in {"create", "begin", "invite"}


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize("operation", [each for each in IDENTITY if each.http.places], **BY_ID)
def test_an_id_that_is_none_in_the_path_is_refused(house, operation):
    odd = (CANARY, "%00", "%F0%9F%98%80", "..%2F..%2Fetc", "%c0%ae%c0%ae", "1", "null", "a" * 5000, "%E2%80%AE")
    raw = json.dumps(well_formed(operation)).encode() if operation in BODIES else b""
    for each in odd:
        path = "/api/v1" + operation.http.path
        for place in operation.http.places:
            path = path.replace(f"{{{place}}}", each)
        told = refused(house, operation, lambda path=path: send(house, operation, raw, JSON if raw else None, path))
        assert told[0] in {400, 401, 404, 422}, each


@pytest.mark.security
@pytest.mark.req("SEC-Z06", "SEC-T19")
@pytest.mark.parametrize("operation", [each for each in IDENTITY if each not in BODIES and not each.ticketed], **BY_ID)
def test_a_query_that_is_not_asked_for_is_refused(house, operation):
    path = path_for(operation.http.path, ask_for(operation.name))[0]
    for query in (
        f"{CANARY}=1",
        f"a=1&a={CANARY}",
        "limit=-1&limit=2",
        f"__proto__={CANARY}",
        "%00=1",
        "%ff%fe=%c0%80",
    ):
        told = refused(house, operation, lambda query=query: send(house, operation, b"", None, f"{path}?{query}"))
        assert told[:2] in {(422, "invalid"), (400, "malformed")}, query


@pytest.mark.security
@pytest.mark.req("SEC-A07", "SEC-A13")
@pytest.mark.parametrize(
    "lookalike",
    ["аdministrator@north.example", "administrator@nоrth.example", "ａdministrator@north.example",
     "administrator@north.example\u0301", "admınistrator@north.example", "administrator＠north.example"],
)  # fmt: skip
def test_an_address_that_looks_like_anothers_is_not_anothers(house, lookalike):
    """Cyrillic, full width, dotless, with a mark: none is folded to the account of somebody else."""
    raw = json.dumps({"tenant": "north", "email": lookalike, "password": PASSWORD}).encode()
    told = refused(house, BY_NAME["session.login"], lambda: send(house, BY_NAME["session.login"], raw), lookalike)
    assert told[0] in {401, 422}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=80)
    | st.sampled_from([*TRICKS.values(), "", " ", "a@b.example", PASSWORD + "x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.security
@pytest.mark.req("SEC-Z06", "SEC-P09", "SEC-V02")
@pytest.mark.parametrize("operation", BODIES, **BY_ID)
def test_whatever_is_sent_is_answered_and_what_is_refused_leaves_no_trace(house, operation):
    names = list(operation.takes.model_fields)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(names) if names else st.text(max_size=5), VALUES, max_size=4), st.booleans())
    def fuzz(found: dict[str, Any], whole: bool) -> None:
        asked = {**(well_formed(operation) if whole else {}), **found}
        if any((operation.name, name) in ANY_TEXT_IS_GOOD for name in asked):
            asked["old"] = "not the password"
        raw = json.dumps(asked).encode()
        if not _open(operation):
            house.token_for(operation.name, role_for(operation))
        before = count(house)
        got = send(house, operation, raw)
        assert got.status_code < 500, got.text
        if got.status_code >= 400:
            assert count(house) == before
            texts = [each for each in found.values() if isinstance(each, str) and len(each) > 12]
            assert not [each for each in texts if each in got.text]
            assert PASSWORD not in got.text

    fuzz()


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@pytest.mark.parametrize("operation", BODIES, **BY_ID)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=st.binary(max_size=300))
def test_whatever_bytes_are_sent_are_answered(house, operation, raw):
    got = send(house, operation, b"\xff" + raw)
    assert (got.status_code, got.json()["code"]) == (400, "malformed")


@pytest.mark.security
def test_every_public_operation_and_those_of_ones_own_are_among_them():
    assert {each.name for each in OPERATIONS if isinstance(each.permission, Public)} <= {each.name for each in IDENTITY}
    assert {"session", "factor", "key", "user"} <= {each.name.partition(".")[0] for each in BODIES}
    assert len(BODIES) > 15
