from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import DataError, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.pivot import Pivot
from sluicegate.steps.unpivot import Unpivot
from tests.fixtures.transform import run


class TestPivot(TransformSuite):
    plugin = Pivot
    whole = {"name": "p", "from": "rows", "by": ["k"], "column": "m", "values": {"jan": 1, "feb": "it's"}, "value": "v"}
    schemas = {"rows": ("k", "m", "v")}


def pivot(**fields: object) -> Pivot:
    whole = {"name": "p", "from": "rows", "by": ["k"], "column": "m", "values": ["a", "b"], "value": "v", **fields}
    return Pivot.model_validate(whole)


ROWS = st.lists(st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from("ab"), st.integers(-5, 5)), max_size=9)
FUNCTIONS = {
    "sum": sum,
    "count": len,
    "min": min,
    "max": max,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
}


@settings(max_examples=30)
@given(rows=ROWS, function=st.sampled_from([*FUNCTIONS]))
def test_cells_are_what_a_loop_finds(rows, function):
    wanted = {}
    for key in dict.fromkeys(k for k, _, _ in rows):
        cells = ([v for k, m, v in rows if (k, m) == (key, name)] for name in "ab")
        nothing = 0 if function == "count" else None
        wanted[key] = tuple(FUNCTIONS[function](cell) if cell else nothing for cell in cells)
    table = pa.table(
        {
            "k": pa.array([k for k, _, _ in rows], pa.int64()),
            "m": pa.array([m for _, m, _ in rows], pa.string()),
            "v": pa.array([v for _, _, v in rows], pa.int64()),
        }
    )
    found = run(pivot(function=function), rows=table)
    assert {row["k"]: (row["a"], row["b"]) for row in found.to_pylist()} == wanted
    assert found.num_rows == len(wanted)


def test_one_place_takes_one_row():
    rows = pa.table({"k": [1, 1], "m": ["a", "b"], "v": [Decimal("1.50"), None]})
    found = run(pivot(), rows=rows)
    assert found.to_pylist() == [{"k": 1, "a": Decimal("1.50"), "b": None}]
    assert found.schema.field("b").type == pa.decimal128(3, 2)
    with pytest.raises(DataError, match="several rows go to one place: the column 'k' = '1'"):
        run(pivot(), rows=pa.concat_tables([rows, rows]))


@pytest.mark.parametrize("value", ["c", None])
def test_a_value_that_is_not_listed_is_an_error_unless_it_may_be_dropped(value):
    rows = pa.table({"k": [1, 2], "m": ["a", value], "v": [1, 2]})
    with pytest.raises(DataError, match=f"a value is not listed: the column 'm' = .*{value or 'NULL'}"):
        run(pivot(), rows=rows)
    assert run(pivot(others="drop"), rows=rows).to_pylist() == [{"k": 1, "a": 1, "b": None}]


def test_values_are_of_the_columns_type():
    rows = pa.table({"k": [1], "m": pa.array([date(2024, 1, 1)]), "v": [5]})
    assert run(pivot(values={"new": date(2024, 1, 1)}), rows=rows).to_pylist() == [{"k": 1, "new": 5}]
    with pytest.raises(DataError, match="soon"):
        run(pivot(values={"new": "soon"}), rows=rows)


@pytest.mark.parametrize(
    "fields",
    [{"values": []}, {"values": ["a", "a"]}, {"values": {"x": 1, "y": 1}}, {"values": {"k": 1}}, {"by": ["m"]}],
)
def test_what_cannot_be_is_refused(fields):
    with pytest.raises(ValidationError):
        pivot(**fields)


@pytest.mark.parametrize("field", ["by", "column", "value"])
def test_a_lost_column_is_told(field):
    made = pivot(**{field: ["x"] if field == "by" else "x"})
    with pytest.raises(UnknownColumn, match="no column 'x'") as caught:
        run(made, rows=pa.table({"k": [1], "m": ["a"], "v": [1]}))
    assert caught.value.where == f"step p, {field}"


def test_unpivot_takes_it_back():
    rows = pa.table({"k": [1, 1, 2], "m": ["a", "b", "b"], "v": [1, 2, 3]})
    back = Unpivot.model_validate(
        {"name": "u", "from": "p", "columns": ["a", "b"], "into": "m", "value": "v", "nulls": "drop"}
    )
    assert sorted(map(str, run(pivot(), back, rows=rows).to_pylist())) == sorted(map(str, rows.to_pylist()))
