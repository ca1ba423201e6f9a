from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.aggregate import Aggregate
from tests.fixtures.transform import run


class TestAggregate(TransformSuite):
    plugin = Aggregate
    whole = {
        "name": "g",
        "from": "rows",
        "by": ["k"],
        "columns": {"n": "count(*)", "s": "sum(v) filter (where w > :least)", "t": "string_agg(v, ',' order by w)"},
    }
    schemas = {"rows": ("k", "v", "w")}


def aggregate(**fields: object) -> Aggregate:
    return Aggregate.model_validate({"name": "g", "from": "rows", **fields})


ROWS = pa.table(
    {
        "k": ["a", "b", "a", None, None],
        "v": pa.array([1, None, 2, 3, 4], pa.int64()),
        "d": pa.array([Decimal("0.10"), Decimal("0.20"), Decimal("0.30"), None, None], pa.decimal128(5, 2)),
        "t": ["x", "y", "z", "", None],
    }
)


def test_a_row_for_each_group_null_among_them():
    found = run(
        aggregate(
            by=["k"], columns={"n": "count(*)", "s": "sum(v)", "d": "sum(d)", "late": "count(*) filter (where v > :v)"}
        ),
        params={"v": 1},
        rows=ROWS,
    )
    assert sorted(map(str, found.to_pylist())) == sorted(
        map(
            str,
            [
                {"k": "a", "n": 2, "s": Decimal(3), "d": Decimal("0.40"), "late": 1},
                {"k": "b", "n": 1, "s": None, "d": Decimal("0.20"), "late": 0},
                {"k": None, "n": 2, "s": Decimal(7), "d": None, "late": 2},
            ],
        )
    )
    assert found.schema.field("s").type == pa.decimal128(38, 0)
    assert found.schema.field("d").type == pa.decimal128(38, 2)


KEYS = st.sampled_from([None, "a", "b"])
NUMBERS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=25)
@given(st.lists(st.tuples(KEYS, KEYS, NUMBERS), max_size=12))
def test_groups_are_what_a_loop_finds(rows):
    groups = {}
    for k, j, v in rows:
        groups.setdefault((k, j), []).append(v)
    wanted = {}
    for key, values in groups.items():
        there = [value for value in values if value is not None]
        wanted[key] = {
            "n": len(values),
            "v": len(there),
            "s": sum(there) if there else None,
            "most": max(there, default=None),
            "kinds": len(set(there)),
            "up": sum(value > 0 for value in there),
            "every": values,
            "first": values[0],
        }
    table = pa.table(
        {
            "k": pa.array([k for k, _, _ in rows], pa.string()),
            "j": pa.array([j for _, j, _ in rows], pa.string()),
            "v": pa.array([v for _, _, v in rows], pa.int64()),
        }
    )
    columns = {
        "n": "count(*)", "v": "count(v)", "s": "sum(v)", "most": "max(v)", "kinds": "count(distinct v)",
        "up": "count(*) filter (where v > 0)", "every": "list(v)", "first": "first(v)",
    }  # fmt: skip
    found = run(aggregate(by=["k", "j"], columns=columns), rows=table).to_pylist()
    assert {(row.pop("k"), row.pop("j")): row for row in found} == wanted


def test_without_groups_there_is_one_row_even_of_none():
    made = aggregate(columns={"n": "count(*)", "t": "max(t)"})
    assert run(made, rows=ROWS).to_pylist() == [{"n": 5, "t": "z"}]
    assert run(made, rows=ROWS.slice(0, 0)).to_pylist() == [{"n": 0, "t": None}]


def test_types_stay():
    kinds = run(
        aggregate(columns={"a": "max(v)", "b": "first(d)", "c": "list(t)", "d": "avg(v)"}), rows=ROWS
    ).schema.types
    assert kinds == [pa.int64(), pa.decimal128(5, 2), pa.list_(pa.string()), pa.float64()]


@pytest.mark.parametrize(
    ("columns", "says", "where"),
    [
        ({"x": "v"}, "the column 'v' is neither in 'by' nor in an aggregate function", "step g, columns.x"),
        ({"x": "sum(v) + d"}, "the column 'd' is neither", "step g, columns.x"),
        ({"x": "sum(nope)"}, "there is no column 'nope'", "step g, columns.x"),
        ({"x": "sum(v) over ()"}, "aggregate or window function", "step g, columns.x"),
        ({"x": "sum((select 1))"}, "a query is not allowed", "step g, columns.x"),
        ({"x": "list(*)"}, "'\\*' is not allowed", "step g, columns.x"),
        ({"k": "count(*)"}, "the column 'k' is given twice", "step g, by\\[0\\]"),
    ],
)
def test_misuse_is_told(columns, says, where):
    with pytest.raises((Invalid, UnknownColumn), match=says) as caught:
        run(aggregate(by=["k"], columns=columns), rows=ROWS)
    assert caught.value.where == where.replace("\\", "")


def test_a_lost_group_is_told():
    with pytest.raises(UnknownColumn, match="no column 'K'") as caught:
        run(aggregate(by=["K"], columns={"n": "count(*)"}), rows=ROWS)
    assert caught.value.where == "step g, by"


def test_a_sum_that_overflows_is_an_error():
    rows = pa.table({"d": pa.array([Decimal("9" * 36)] * 200, pa.decimal128(38, 2))})
    with pytest.raises(DataError, match=r"Overflow|overflow|out of range"):
        run(aggregate(columns={"s": "sum(d)"}), rows=rows)


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@pytest.mark.parametrize(
    "text",
    ["sum(read_csv('x'))", "list(a) from t", "sum(a); drop table t", "product(a)", "histogram(a)", "unnest([1])"],
)
def test_functions_outside_the_list_are_refused(text):
    with pytest.raises(Invalid):
        aggregate(columns={"x": text}).check_text()
