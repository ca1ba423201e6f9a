"""What a run is told: no value, and no stored row, can make lists of runs unreadable."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt
from sluicegate.base.principal import Role

TYPES = ("bool", "int64", "float64", "text", "date", "timestamp", "decimal")
FLOW = (
    "kind: flow\nname: told\nparams:\n"
    + "".join(f"  p_{each}: {{ type: {each}, default: {value} }}\n" for each, value in zip(
        TYPES, ("true", 1, 1.5, "x", "2013-01-01", "2013-01-01T00:00:00", '"1.5"'), strict=True))
    + "steps:\n- read: { name: a, connection: shelf, item: none.csv }\n"
    "- write: { from: a, connection: shelf, item: out.csv }\n"
)  # fmt: skip
SHELF = "kind: connection\nname: shelf\ntype: files\n---\n"
ODD = ('"\\ud800"', '"a\\u0000b"', "1e400", "-1e400", '"nan"', '"inf"', '"-Infinity"', "9" * 4000, '"' + "9" * 4000 + '"',
       '"1E+999999999"', '"1E-999999999"', '"sNaN"')  # fmt: skip


@pytest.fixture
def told(engine):
    engine.call("definition.apply", {"source": SHELF + FLOW}, engine.token(Role.EDITOR))
    return engine


def start(place, type_, text):
    token = place.token(Role.OPERATOR)
    body = f'{{"params": {{"p_{type_}": {text}}}}}'
    json_ = {"content-type": "application/json"}
    return place.request("POST", "/api/v1/flows/told/runs", token, content=body, headers=json_)


def lists(place):
    token = place.token(Role.VIEWER)
    answers = [place.request("GET", path, token) for path in ("/api/v1/runs", "/api/v1/runs?flow=told")]
    assert [each.status_code for each in answers] == [200, 200]
    return answers[0].json()["items"]


@pytest.mark.security
@pytest.mark.req("SEC-P09")
def test_odd_values_are_refused_in_words_and_leave_nothing(told):
    for type_ in ("text", "float64", "int64", "decimal"):
        for odd in ODD:
            answer = start(told, type_, odd)
            if answer.status_code == 202:
                # "nan" is a word, and so is a long number in quotes; what is nearly nothing is 0.0
                assert type_ == "text" or (type_, odd) == ("float64", '"1E-999999999"'), (type_, odd[:20])
                assert odd.strip('"').isprintable()
                continue
            assert answer.status_code in (400, 422), (type_, odd[:20], answer.text)
            assert f"p_{type_}" in answer.json()["title"]
            assert len(answer.text) < 500
    assert start(told, "int64", str(1 << 63)).status_code == 422
    assert start(told, "int64", str((1 << 63) - 1)).status_code == 202
    lists(told)


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    type_=st.sampled_from(TYPES),
    value=st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers(), max_size=2)
    | st.text(alphabet=st.characters(categories=["Cs", "Cc", "Nd"]), max_size=5),
)  # fmt: skip
@example(type_="text", value="\ud800")
def test_whatever_a_run_is_told_lists_answer(told, type_, value):
    answer = start(told, type_, json.dumps(value))
    assert answer.status_code in (202, 400, 422)
    if answer.status_code == 202:
        run = told.request("GET", f"/api/v1/runs/{answer.json()['id']}", told.token(Role.VIEWER))
        assert run.status_code == 200
        assert f"p_{type_}" in run.json()["params"]
    lists(told)


@pytest.mark.security
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("params", '{"s": "\\ud800", "n": 1e999, "i": ' + "9" * 4000 + "}"),
        ("params", '{"i": ' + "9" * 5000 + "}"),
        ("params", "[" * 100_000),
        ("params", "[]"),
        ("params", "no JSON"),
        ("error", "7"),
        ("counts", '{"read": NaN}'),
        ("state", "asleep"),
        ("created", 1e300),
        ("started", -1.0),
    ],
)
def test_a_bad_row_takes_no_list_down(fresh, column, value):
    bad, good = fresh.a_run("north"), fresh.a_run("north")
    with closing(sqlite3.connect(fresh.home / "store.db", isolation_level=None)) as link:
        link.execute(f"update runs set {column} = ? where id = ?", (value, bad))
    found = {each["id"]: each for each in lists(fresh)}
    assert found[good]["state"] == "queued"
    assert bad in found
    one = fresh.request("GET", f"/api/v1/runs/{bad}", fresh.token(Role.VIEWER))
    if found[bad]["state"] == "failed":
        assert found[bad]["error"]["code"] == one.json()["code"] == "corrupt"
        with pytest.raises(Corrupt):  # whoever carries runs out is not handed half of one
            fresh.scope("north").runs().get(bad)
    else:
        assert one.status_code == 200


@pytest.mark.security
def test_a_bad_event_takes_no_log_down(fresh):
    run = fresh.a_run("north")
    fresh.scope("north").runs().event(run, "log", {"message": "\ud800 \0", "n": 1 << 70})
    answer = fresh.request("GET", f"/api/v1/runs/{run}/events", fresh.token(Role.VIEWER))
    assert answer.status_code == 200
    assert answer.json()["items"][0]["body"] == {"message": "\\ud800 \0", "n": "a number of more than 64 bits"}
