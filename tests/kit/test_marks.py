from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.kit.marks import Marks
from sluicegate.steps.check import Check
from tests.fixtures.transform import run


def marks(*rules: dict) -> Marks:
    made = Check.model_validate({"name": "c", "from": "rows", "rules": list(rules)})
    made.check_text()
    found = made.marking()
    assert isinstance(found, Marks)
    return found


ROWS = pa.table({"k": [1, 2, 1, None, None, 3], "c": ["NL", "XX", None, "BE", "XX", "NL"]})
CODES = pa.table({"code": ["NL", "BE", None], "k": [1, 2, 3]})


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ([{"column": "k", "unique": True}], [None, None, 0, None, None, None]),
        ([{"columns": ["k", "c"], "unique": True}], [None] * 6),
        ([{"column": "c", "reference": {"from": "codes", "columns": ["code"]}}], [None, 0, None, None, 0, None]),
        ([{"expression": "k < 2 or c = :code"}], [None, 0, None, None, None, 0]),
        ([{"column": "k", "not_null": True}, {"column": "k", "unique": True}, {"expression": "c <> 'XX'"}],
         [None, 2, 1, None, 2, None]),
    ],
)  # fmt: skip
def test_each_row_has_the_first_rule_it_breaks_in_the_order_of_arrival(rules, wanted):
    found = run(marks(*rules), params={"code": "BE"}, rows=ROWS, codes=CODES)
    assert found.select(["k", "c"]).equals(ROWS)
    assert found.column(2).to_pylist() == wanted
    assert found.schema.field(2).type == pa.int16()


@settings(max_examples=20)
@given(st.lists(st.sampled_from([None, 1, 2, 3]), max_size=12))
def test_the_first_of_each_value_passes(values):
    found = run(marks({"column": "k", "unique": True}), rows=pa.table({"k": pa.array(values, pa.int64())}))
    wanted = [0 if value is not None and value in values[:place] else None for place, value in enumerate(values)]
    assert found.column(1).to_pylist() == wanted


def test_the_mark_takes_no_name_of_the_rows():
    rows = pa.table({"rule": [1, 1], "rule_": [2, 2]})
    found = run(marks({"column": "rule", "unique": True}), rows=rows)
    assert found.schema.names == ["rule", "rule_", "rule__"]


@pytest.mark.parametrize(
    ("rule", "kind", "says", "where"),
    [
        ({"column": "x", "unique": True}, UnknownColumn, "no column 'x'", "rules[0].column"),
        ({"columns": ["k", "x"], "unique": True}, UnknownColumn, "no column 'x'", "rules[0].columns"),
        ({"column": "c", "reference": {"from": "codes"}}, UnknownColumn, "no column 'c'", "rules[0].reference"),
        ({"column": "c", "reference": {"from": "codes", "columns": ["k"]}}, Invalid, "text in 'rows' and int64 in 'codes'", "rules[0].reference"),
        ({"expression": "x > 1"}, UnknownColumn, "no column 'x'", "rules[0].expression"),
    ],
)  # fmt: skip
def test_misuse_is_told_with_its_rule(rule, kind, says, where):
    with pytest.raises(kind, match=says) as caught:
        run(marks(rule), rows=ROWS, codes=CODES)
    assert caught.value.where == f"step c, {where}"


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@pytest.mark.parametrize("text", ["read_csv('x') > 1", "(select 1) > 0", "count(*) > 1", "k > 1; drop table t"])
def test_expressions_are_checked_before_anything_runs(text):
    with pytest.raises(Invalid) as caught:
        marks({"expression": text})
    assert caught.value.where == "step c, rules[0].expression"
