from __future__ import annotations

import pyarrow as pa
import pytest

from sluicegate.base.errors import UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.map import Map
from sluicegate.steps.sort import Sort
from tests.fixtures.transform import run


class TestSort(TransformSuite):
    plugin = Sort
    whole = {
        "name": "s",
        "from": "rows",
        "by": ["k", {"column": "v", "descending": True, "nulls": "first"}],
        "limit": 5,
    }
    schemas = {"rows": ("k", "v")}


def sort(*by: object, **more: object) -> Sort:
    return Sort.model_validate({"name": "s", "from": "rows", "by": by, **more})


ROWS = pa.table({"k": ["b", None, "a", "B", "a"], "n": [1, 2, 3, 4, 5]})


@pytest.mark.parametrize(
    ("by", "numbers"),
    [
        (["k"], [4, 3, 5, 1, 2]),
        ([{"column": "k", "descending": True}], [1, 3, 5, 4, 2]),
        ([{"column": "k", "nulls": "first"}], [2, 4, 3, 5, 1]),
        ([{"column": "k"}, {"column": "n", "descending": True}], [4, 5, 3, 1, 2]),
    ],
)
def test_rows_come_in_order(by, numbers):
    assert run(sort(*by), rows=ROWS)["n"].to_pylist() == numbers


def test_equal_rows_stay_as_they_came():
    rows = pa.table({"k": [0] * 50_000, "n": range(50_000)})
    assert run(sort("k"), rows=rows)["n"].to_pylist() == list(range(50_000))


def test_the_order_outlives_a_filter():
    kept = Map.model_validate({"name": "m", "from": "s", "where": "n < 5"})
    assert run(sort("k"), kept, rows=ROWS)["n"].to_pylist() == [4, 3, 1, 2]


def test_the_first_rows_alone():
    assert run(sort("k", limit=2), rows=ROWS)["n"].to_pylist() == [4, 3]


def test_a_lost_column_is_told():
    with pytest.raises(UnknownColumn, match="no column 'x'") as caught:
        run(sort("k", "x"), rows=ROWS)
    assert caught.value.where == "step s, by"
