"""Rules about all rows together, and those that a query marks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from sluicegate.base import clock
from sluicegate.base.errors import DataError, Invalid
from sluicegate.steps.check import Check

NOW = datetime(2024, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr(clock, "system", NOW.timestamp)


def check(*rules: dict) -> Check:
    return Check.model_validate({"name": "c", "from": "a", "rules": list(rules)})


def see(rule: dict, *batches: list, kind: pa.DataType = pa.int64()) -> None:  # noqa: B008 - a value
    watch = check(rule).watch()
    for values in batches:
        watch.see(pa.RecordBatch.from_pydict({"n": pa.array(values, kind)}))
    watch.end()


@pytest.mark.parametrize(
    ("bounds", "batches", "says"),
    [
        ({"min": 3}, ([1, 2],), "there are 2 rows, at least 3 must be"),
        ({"min": 1}, (), "there are 0 rows"),
        ({"max": 3}, ([1, 2], [3, 4]), "there are more than 3 rows"),
        ({"min": 4, "max": 4}, ([1, 2], [3, 4]), ""),
    ],
)
def test_rows_are_counted(bounds, batches, says):
    if not says:
        see({"row_count": bounds}, *batches)
        return
    with pytest.raises(DataError, match=says) as caught:
        see({"row_count": bounds}, *batches)
    assert caught.value.where == "step c, rules[0].row_count"


@pytest.mark.parametrize(
    "kind", [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("us", "Europe/Amsterdam")]
)
def test_the_newest_value_is_not_too_old(kind):
    def told(age):
        moment = NOW - age
        return moment if kind.tz else moment.replace(tzinfo=None)

    rule = {"column": "n", "fresh_within": "24 hours"}
    see(rule, [told(timedelta(days=9))], [None, told(timedelta(hours=23))], kind=kind)
    with pytest.raises(DataError, match="the newest value of 'n' is 2024-03-01 11:00:00Z, older than 24 hours"):
        see(rule, [told(timedelta(hours=25))], kind=kind)


def test_a_date_counts_until_its_end():
    rule = {"column": "n", "fresh_within": "12 hours"}
    see(rule, [date(2024, 3, 1)], kind=pa.date32())
    with pytest.raises(DataError, match="older than 12 hours"):
        see(rule, [date(2024, 2, 29)], kind=pa.date32())


def test_no_value_is_not_fresh_and_a_number_is_no_time():
    rule = {"column": "n", "fresh_within": "1 hour"}
    with pytest.raises(DataError, match="no row has a value in 'n'"):
        see(rule, [None], kind=pa.date32())
    with pytest.raises(DataError, match="the column 'n' is int64: date, timestamp or timestamptz is needed"):
        see(rule, [1])


def test_marked_rows_are_rejected_with_their_rule():
    made = check({"column": "n", "between": [0, 9]}, {"column": "n", "unique": True}, {"expression": "n <> 3"})
    batch = pa.RecordBatch.from_pydict({"n": [1, 1, 3, 99]})
    good, bad = made.split(batch, 11, pa.array([None, 1, 2, 2], pa.int16()))
    assert good.to_pydict() == {"n": [1]}
    assert [(each.row, each.column, each.reason) for each in bad] == [
        (12, "n", "n must be unique"), (13, None, "must hold: n <> 3"), (14, "n", "n must be between 0 and 9"),
    ]  # fmt: skip


def test_a_preview_marks_what_its_rows_can_tell():
    made = check({"column": "n", "reference": {"from": "b"}}, {"column": "n", "unique": True})
    assert made.inputs == ("a", "b")
    assert [place for place, _ in made.marking().rules] == [0, 1]
    assert [place for place, _ in made.marking(whole=False).rules] == [1]
    assert check({"column": "n", "not_null": True}).marking() is None


def test_rows_do_not_refer_to_themselves():
    with pytest.raises(Invalid, match="cannot refer to themselves") as caught:
        check({"column": "n", "reference": {"from": "a"}}).check_text()
    assert caught.value.path == ("rules", 0, "reference", "from")


def test_only_marked_rules_need_the_jail():
    assert not check({"column": "n", "not_null": True}, {"row_count": {"min": 1}}).jails
    assert check({"expression": "n > :low"}).jails
    assert check({"expression": "n > :low"}).params() == {"low": ("rules", 0, "expression")}
