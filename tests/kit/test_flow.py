from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import Invalid
from sluicegate.kit.flow import Flow, Param, Value, digest, fill, unused


def flow(*steps: dict, params: dict | None = None) -> Flow:
    return Flow.model_validate({"name": "f", "params": params or {}, "steps": list(steps)})


READ = {"read": {"name": "a", "connection": "c", "item": "x.csv"}}


def test_steps_come_after_their_inputs():
    found = flow(
        {"write": {"from": "b", "connection": "c", "item": "y.csv"}},
        {"map": {"name": "b", "from": "a", "columns": {"x": "x"}}},
        READ,
    )
    assert [each.type for each in found.order()] == ["read", "map", "write"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (({"map": {"name": "a", "from": "b"}}, {"map": {"name": "b", "from": "a"}}), "cycle"),
        (({"map": {"name": "a", "from": "a"}},), "cycle"),
        (({"map": {"name": "a", "from": "nowhere"}},), "no step is called"),
        ((READ, READ), "two steps"),
        (({"zap": {}},), "unknown step type"),
        (({"read": {"name": "a", "connection": "c", "item": "x", "bogus": 1}},), "bogus: unknown key"),
        (
            (
                READ,
                {"write": {"name": "w", "from": "a", "connection": "c", "item": "y"}},
                {"map": {"name": "m", "from": "w"}},
            ),
            "only writes",
        ),
        (({"read": {"name": "a"}, "write": {}},), "one key"),
        ((READ, {"map": {"name": "m", "from": "a", "columns": {"x": "getenv('HOME')"}}}), "getenv"),
        ((READ, {"join": {"name": "j", "left": "a", "right": "a", "on": ["x"]}}), "two different inputs"),
    ],
)
def test_an_unsound_flow_is_refused_with_its_reason(steps, message):
    with pytest.raises(ValidationError, match=message):
        flow(*steps)


def test_parameters_are_typed_and_complete():
    found = flow(params={"day": {"type": "date"}, "top": {"type": "int64", "default": 5}})
    assert found.values({"day": "2013-01-01"}) == {"day": date(2013, 1, 1), "top": 5}
    for bad, message in (
        ({}, "must be given"),
        ({"day": "soon"}, "must be of type date"),
        ({"x": 1, "day": "2013-01-01"}, "no parameter"),
    ):
        with pytest.raises(Invalid, match=message):
            found.values(bad)


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@settings(max_examples=300)
@given(
    st.sampled_from(["bool", "int64", "float64", "text", "date", "timestamp", "decimal"]),
    st.text() | st.text(st.characters(categories=["Cs", "Cc", "Nd"])) | st.integers() | st.floats()
    | st.integers(min_value=10**30, max_value=10**4200).map(str) | st.from_regex(r"-?[0-9]{1,9}[eE][+-]?[0-9]{1,9}"),
)  # fmt: skip
def test_a_value_that_is_taken_fits_every_place_it_goes_to(type_, value):
    try:
        found: Value = Param(type=type_).read(value)
    except ValueError:
        return
    said = str(found) if not isinstance(found, bool | int | float) else found
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert b"\0" not in str(said).encode()
    assert type(found) is not int or abs(found) <= 1 << 63


@pytest.mark.parametrize(
    ("type_", "default"), [("int64", 1 << 63), ("date", "soon"), ("text", "\0"), ("float64", "nan")]
)
def test_a_default_must_fit_too(type_, default):
    with pytest.raises(ValidationError, match="must be"):
        Param(type=type_, default=default)


def test_items_are_filled_from_parameters():
    assert fill("out-{day}.csv", {"day": date(2013, 1, 1)}, where="w") == "out-2013-01-01.csv"
    assert fill("{{x}}", {}, where="w") == "{x}"


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize(
    "value", ["../x", "a/b", "..", ".", "", "a\0b", "a\\b", "%2e%2e", "a\nb", "{x}", "x" * 300, "a?b"]
)
def test_a_value_cannot_leave_its_path_segment(value):
    with pytest.raises(Invalid):
        fill("in/{p}.csv", {"p": value}, where="w")


@pytest.mark.security
@pytest.mark.req("SEC-P03")
def test_a_value_brings_no_other_parameter_into_a_query():
    assert fill("orders?since={p}", {"p": "2020-01-01 10:00=x#y"}, where="r") == "orders?since=2020-01-01 10:00=x#y"
    assert fill("{p}/list?a=1", {"p": "a&b"}, where="r") == "a&b/list?a=1"
    with pytest.raises(Invalid):
        fill("orders?since={p}", {"p": "x&all=1"}, where="r")


@pytest.mark.security
@pytest.mark.parametrize("item", ["{p.__class__}", "{p[0]}", "{p!r}", "{p:>10}", "{q}", "{", "{0}", "{}"])
def test_items_take_plain_parameters_only(item):
    with pytest.raises(Invalid):
        fill(item, {"p": "x"}, where="w")


def test_a_flow_survives_its_own_body():
    found = flow(
        READ,
        {"map": {"name": "b", "from": "a", "where": "x > 1"}},
        {"write": {"from": "b", "connection": "c", "item": "t", "mode": "replace"}},
    )
    assert Flow.model_validate(found.model_dump(mode="json", by_alias=True)) == found


def test_rows_that_nobody_takes_are_told():
    assert list(unused(flow(READ))) == ["a"]


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_a_digest_does_not_depend_on_order(body):
    assert digest(body) == digest(dict(reversed(body.items())))
