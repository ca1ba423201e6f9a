from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.conformance.step import CheckSuite
from sluicegate.steps.check import Check


class TestCheck(CheckSuite):
    plugin = Check
    whole = {"name": "c", "from": "rows", "rules": [{"column": "n", "between": [0, 5], "not_null": True}]}

    def batch(self):
        return BATCH


def check(*rules: dict) -> Check:
    return Check.model_validate({"name": "c", "from": "a", "rules": list(rules)})


BATCH = pa.RecordBatch.from_pydict({"n": pa.array([1, None, 700, -5], pa.int16()), "t": ["ab", "x", None, "abc"]})


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"column": "n", "between": [0, 600]}, [0, 1]),
        ({"column": "n", "not_null": True}, [0, 2, 3]),
        ({"column": "n", "in": [1, 700]}, [0, 1, 2]),
        ({"column": "t", "matches": "[a-c]+"}, [0, 2, 3]),
        ({"column": "t", "matches": "ab|x", "not_null": True}, [0, 1]),
    ],
)
def test_rules_let_the_right_rows_pass(rule, kept):
    good, bad = check(rule).split(BATCH, 10)
    assert good.equals(BATCH.take(pa.array(kept)))
    assert [each.row for each in bad] == [10 + row for row in range(4) if row not in kept]


def test_a_reject_tells_column_reason_and_the_row():
    _, bad = check({"column": "n", "between": [-30, 600]}).split(BATCH, 1)
    assert bad[0].column == "n"
    assert bad[0].reason == "n must be between -30 and 600"
    assert bad[0].raw == '{"n":700,"t":null}'


def test_dates_are_compared_as_dates():
    batch = pa.RecordBatch.from_pydict({"d": pa.array(["2013-01-01", "2014-01-01"]).cast(pa.date32())})
    good, bad = check({"column": "d", "between": ["2013-01-01", "2013-12-31"]}).split(batch, 1)
    assert (good.num_rows, len(bad)) == (1, 1)


def test_a_rule_that_does_not_fit_the_type_is_told():
    with pytest.raises(DataError, match="does not fit"):
        check({"column": "t", "between": [1, 2]}).split(BATCH, 1)


def test_unknown_columns_are_told():
    with pytest.raises(UnknownColumn, match="zap"):
        check({"column": "zap", "not_null": True}).check_columns(["n", "t"])


@pytest.mark.parametrize("rule", [{"column": "n"}, {"column": "n", "between": [1]}, {"column": "n", "bogus": 1}])
def test_rules_that_say_nothing_are_refused(rule):
    with pytest.raises(ValidationError):
        check(rule)


@pytest.mark.security
@pytest.mark.req("SEC-P08")
@pytest.mark.timeout(5)
def test_evil_patterns_take_no_time():
    batch = pa.RecordBatch.from_pydict({"t": ["a" * 50_000 + "!"]})
    good, bad = check({"column": "t", "matches": "(a+)+"}).split(batch, 1)
    assert (good.num_rows, len(bad)) == (0, 1)


def test_a_reject_claims_no_line_of_a_file():
    _, bad = check({"column": "n", "between": [0, 600]}).split(BATCH, 10)
    assert [each.place() for each in bad] == ["row 12, column n", "row 13, column n"]


@pytest.mark.security
@pytest.mark.parametrize("text", ["(", "a++", "(?=x)", "[a"])
def test_a_pattern_that_re2_cannot_read_is_told_before_any_row(text):
    with pytest.raises((ValidationError, Invalid), match="not a regular expression"):
        check({"column": "t", "matches": text}).check_columns(["t"])


def test_a_type_is_told_in_our_words():
    with pytest.raises(DataError, match="does not fit a column of type text"):
        check({"column": "t", "between": [1, 2]}).split(BATCH, 1)
