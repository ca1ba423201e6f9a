"""Requests with more, other or stranger properties than asked for: refused whole, never applied (SEC-Z06, Z07, P09)."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sluicegate.base.errors import Denied, Invalid, Malformed
from sluicegate.base.model import Model
from sluicegate.base.permission import Public
from sluicegate.base.principal import Role
from sluicegate.operations import OPERATIONS
from sluicegate.web.body import nesting, parse
from tests.security.asks import ask_for, path_for, role_for

PROTECTED = ("tenant", "tenant_id", "id_", "owner", "set_by", "author", "version", "state", "epoch", "password_hash", "must_change",
             "permissions", "scopes", "is_admin", "__class__", "__proto__", "constructor", "created", "fingerprint")  # fmt: skip
BODIES = [each for each in OPERATIONS if each.http.method in {"POST", "PUT"}]


def models(kind: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Return a model and all models inside it."""
    if kind in seen:
        return seen
    seen.add(kind)
    for field in kind.model_fields.values():
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                models(inner, seen)
    return seen


@pytest.mark.security
@pytest.mark.req("SEC-Z06", "SEC-Z07")
def test_every_question_and_answer_refuses_unknown_keys():
    found: set[type[BaseModel]] = set()
    for each in OPERATIONS:
        models(each.takes, found)
        models(each.gives, found)
    assert len(found) > 30
    for kind in found:
        assert issubclass(kind, Model), kind
        assert kind.model_config["extra"] == "forbid", kind
        assert kind.model_config["frozen"] is True, kind
        assert kind.model_config["hide_input_in_errors"] is True, kind


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if not isinstance(each.permission, Public)], ids=lambda each: each.name
)
def test_no_operation_takes_a_property_that_is_not_its_own(place, operation):
    token, before = place.token_for(operation.name, role_for(operation)), place.head()
    for name in (*PROTECTED, "role", "secret"):
        if name in operation.takes.model_fields:
            continue
        with pytest.raises(Invalid, match="unknown key"):
            place.call(operation, {**ask_for(operation.name), name: "x"}, token)
    assert place.head() == before, "nothing was asked of anything"


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
def test_a_user_is_not_made_with_more_than_was_asked_for(place):
    token = place.token(Role.ADMINISTRATOR)
    people = len(place.scope("north").people().list())
    for more in ({"tenant_id": place.tenants["south"]}, {"id": "1"}, {"password": "chosen by the administrator"}, {"state": "active"},
                 {"must_change": False}, {"role": ["viewer", "superadmin"]}, {"role": {"value": "viewer"}}, {"role": "SUPERADMIN"}, {"role": 0}):  # fmt: skip
        answer = place.request(
            "POST", "/api/v1/users", token, json={"email": "x@north.example", "role": "viewer", **more}
        )
        assert answer.status_code == 422, more
    assert len(place.scope("north").people().list()) == people


@pytest.mark.security
@pytest.mark.req("SEC-A17")
def test_an_administrator_never_chooses_a_password():
    for each in OPERATIONS:
        if each.name.startswith("user."):
            assert not [name for name in each.takes.model_fields if "password" in name]


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize("operation", BODIES, ids=lambda each: each.name)
@pytest.mark.parametrize("wrong", [[], [1], "text", 1, 1.5, True, None, {"a": {"b": []}}])
def test_a_value_of_another_type_is_refused(place, operation, wrong):
    ask = ask_for(operation.name)
    role = None if isinstance(operation.permission, Public) else role_for(operation)
    path, left = path_for(operation.http.path, ask)
    for name, field in operation.takes.model_fields.items():
        if name in operation.http.places or isinstance(wrong, str) or (wrong is None and not field.is_required()):
            continue
        if (wrong == [] and "tuple" in str(field.annotation) and not field.is_required()) or (
            wrong == 1 and field.annotation == int | None  # True, too
        ):
            continue
        if (isinstance(wrong, dict) and "dict" in str(field.annotation)) or (
            (wrong == 1 and field.annotation is int) or (wrong is True and field.annotation in (bool, bool | None))
        ):
            continue
        answer = place.request(
            operation.http.method,
            path,
            place.token_for(operation.name, role) if role else None,
            json={**left, name: wrong},
        )
        assert answer.status_code == 422, (name, wrong)
        assert name in answer.json()["title"]


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize("operation", BODIES, ids=lambda each: each.name)
def test_a_name_in_the_path_cannot_stand_in_the_body_too(place, operation):
    if not operation.http.places:
        return
    ask = ask_for(operation.name)
    path, _ = path_for(operation.http.path, ask)
    answer = place.request(operation.http.method, path, place.token(Role.ADMINISTRATOR), json=ask)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


BROKEN = {
    "key twice": b'{"email":"a","email":"b","password":"x"}',
    "key twice inside": b'{"email":"a","password":{"a":1,"a":2}}',
    "key twice escaped": b'{"email":"a","\\u0065mail":"b","password":"x"}',
    "not JSON": b"email=a&password=b",
    "cut": b'{"email":"a"',
    "more behind": b'{"email":"a","password":"b"} {}',
    "comma": b'{"email":"a",}',
    "comment": b'{"email":"a"/* */}',
    "single quotes": b"{'email':'a'}",
    "NaN": b'{"email":NaN}',
    "Infinity": b'{"email":Infinity}',
    "minus infinity": b'{"email":-Infinity}',
    "not UTF-8": b'{"email":"\xff\xfe"}',
    "UTF-16": '{"email":"a"}'.encode("utf-16"),
    "BOM": b'\xef\xbb\xbf{"email":"a"}',
    "list": b'[{"email":"a"}]',
    "text": b'"email"',
    "number": b"1",
    "null": b"null",
    "deep": b'{"email":' + b"[" * 65 + b"]" * 65 + b"}",
    "very deep": b"[" * 60_000,
    "deep objects": b'{"a":' * 100 + b"1" + b"}" * 100,
    "long number": b'{"email":' + b"9" * 5000 + b"}",
    "half a letter": b'{"email":"\\ud800","password":"x"}',
    "control letter": b'{"email":"a\x01"}',
}


@pytest.mark.security
@pytest.mark.req("SEC-P09", "SEC-Z06")
@pytest.mark.parametrize("broken", BROKEN)
def test_a_body_that_can_be_read_in_two_ways_is_read_in_none(place, broken):
    answer = place.request(
        "POST", "/api/v1/session/login", content=BROKEN[broken], headers={"content-type": "application/json"}
    )
    expected = (422, "invalid") if broken == "half a letter" else (400, "malformed")
    assert (answer.status_code, answer.json()["code"]) == expected


@pytest.mark.security
@pytest.mark.req("SEC-D02", "SEC-P09")
@pytest.mark.parametrize("operation", BODIES, ids=lambda each: each.name)
def test_a_body_that_is_too_large_is_refused_unread(place, operation):
    path, _ = path_for(operation.http.path, ask_for(operation.name))
    large = operation.http.body_max + 1
    told = place.request(operation.http.method, path, headers={"content-length": str(large)}, content=b"{}")
    assert (told.status_code, told.json()["code"]) == (413, "too_large")

    async def parts():
        for _ in range(large // 65536 + 1):
            yield b" " * 65536

    token = None if isinstance(operation.permission, Public) else place.token_for(operation.name, role_for(operation))
    streamed = place.request(operation.http.method, path, token, content=parts())
    assert streamed.status_code == 413


@pytest.mark.security
@pytest.mark.req("SEC-P09")
def test_a_body_in_a_packed_form_is_not_unpacked(place):
    import gzip

    packed = gzip.compress(json.dumps({"email": "a@b.c", "password": "x"}).encode())
    answer = place.request("POST", "/api/v1/session/login", content=packed, headers={"content-encoding": "gzip"})
    assert answer.status_code == 400


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1&limit=500", 400), ("limit=501", 422), ("limit=0", 422), ("limit=-1", 422), ("limit=1e3", 422), ("limit=true", 422),
        ("limit=%D9%A1", 422), ("limit=" + "9" * 40, 422), ("limit[]=1", 422), ("limit=", 422), ("flow[$ne]=a", 422), ("order=id", 422),
        ("flow=a%27%20or%201%3D1", 422), ("flow=%00", 422), ("flow=..", 422), ("before=1", 422),
    ],
)  # fmt: skip
def test_a_query_takes_what_it_names_and_once(place, query, status):
    assert place.request("GET", f"/api/v1/runs?{query}", place.token(Role.VIEWER)).status_code == status


@pytest.mark.security
@pytest.mark.req("SEC-D05")
def test_every_page_has_a_largest_size():
    for each in OPERATIONS:
        if "limit" in each.takes.model_fields:
            with pytest.raises(ValueError, match="500"):
                each.takes.model_validate({**ask_for(each.name), "limit": 501})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@given(value=st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
@settings(max_examples=80, deadline=None)
def test_plain_json_is_read_as_it_was_written(value):
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, indent=1).encode()) == value


@pytest.mark.security
@pytest.mark.req("SEC-P09", "SEC-P11")
@given(raw=st.binary(max_size=200) | st.text(alphabet='{}[]":,\\0 eEnut', max_size=60).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_an_object_or_one_error(raw):
    try:
        assert isinstance(parse(raw), dict)
    except Malformed as fault:
        assert len(str(fault)) < 200


@given(value=VALUES)
@settings(max_examples=80, deadline=None)
def test_nesting_is_counted_outside_of_texts_only(value):
    def depth(each):
        if isinstance(each, dict):
            return 1 + max((depth(inner) for inner in each.values()), default=0)
        return 1 + max((depth(inner) for inner in each), default=0) if isinstance(each, list) else 0

    assert nesting(json.dumps(value).encode()) == depth(value)


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@given(name=st.text(max_size=70))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_name_is_a_plain_word_or_refused(place, name):
    from sluicegate.base.errors import SluiceError

    plain = (
        name.isascii()
        and 0 < len(name) <= 64
        and all(each.islower() or each.isdigit() or each in "-_" for each in name)
    )
    plain = plain and name[0] not in "-_" and name[-1] not in "-_"
    with pytest.raises(SluiceError) as told:
        place.call("flow.get", {"name": name}, place.token(Role.VIEWER))
    assert told.value.code == ("missing" if plain else "invalid")


# -- what is refused is not repeated -----------------------------------------------------------------------------------

CANARY = "canary-Pa55word-0815"
CONFUSED = {
    "list": [CANARY],
    "object": {"a": CANARY},
    "key": {CANARY: 1},
    "long": CANARY * 400,
    "nested": [[[{"x": CANARY}]]],
}


@pytest.mark.security
@pytest.mark.req("SEC-V02", "SEC-Z06")
@pytest.mark.parametrize("shape", CONFUSED)
@pytest.mark.parametrize("operation", BODIES, ids=lambda each: each.name)
def test_an_error_never_repeats_what_it_refuses(place, operation, shape):
    path, left = path_for(operation.http.path, ask_for(operation.name))
    role = None if isinstance(operation.permission, Public) else Role.ADMINISTRATOR
    for name in operation.takes.model_fields:
        if (
            name in operation.http.places
            or (name == "params" and shape != "list")
            or (shape == "long" and name in {"source", "value"})
            or (
                shape == "list" and (operation.name, name) in {("sso.set", "scopes"), ("sso.set", "factors")}
            )  # any word
        ):
            continue
        answer = place.request(
            operation.http.method, path, place.token(role) if role else None, json={**left, name: CONFUSED[shape]}
        )
        assert answer.status_code in {401, 403, 422}, (name, answer.text)
        assert CANARY not in answer.text
        assert CANARY not in str(answer.headers)


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize(
    "body", [f'{{"password": "{CANARY}"', f'{{"password": {CANARY}}}', f"password={CANARY}", f'["{CANARY}"]']
)
def test_a_body_that_cannot_be_read_is_not_repeated(place, body):
    answer = place.request("POST", "/api/v1/session/login", content=body.encode())
    assert answer.status_code == 400
    assert CANARY not in answer.text


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-Z06")
def test_who_may_not_ask_is_told_that_and_not_how_to_ask(place):
    token = place.token(Role.VIEWER)
    before = place.head()
    with pytest.raises(Denied):
        place.call("secret.set", {"name": "Not A Name", "other": 1}, token)
    assert [(each["action"], each["result"]) for each in place.records(after=before)] == [("secret.set", "denied")]
