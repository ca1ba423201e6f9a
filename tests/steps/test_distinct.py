from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.distinct import Distinct
from tests.fixtures.transform import run


class TestDistinct(TransformSuite):
    plugin = Distinct
    whole = {"name": "d", "from": "rows", "keys": ["k"], "keep": "last", "order_by": ["v"]}
    schemas = {"rows": ("k", "v", "w")}


class TestDistinctRows(TransformSuite):
    plugin = Distinct
    whole = {"name": "d", "from": "rows"}
    schemas = {"rows": ("k", "v")}

    def test_a_lost_column_is_told_with_its_step(self) -> None:
        """It names none."""


def distinct(**fields: object) -> Distinct:
    return Distinct.model_validate({"name": "d", "from": "rows", **fields})


VALUES = st.sampled_from([None, 1, 2])


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES), max_size=12),
    keep=st.sampled_from(["first", "last"]),
    ordered=st.booleans(),
)
def test_the_right_row_of_each_key_is_kept(rows, keep, ordered):
    numbered = [(k, v, place) for place, (k, v) in enumerate(rows)]
    wanted = {}
    for k, v, place in numbered:
        rank = (0 if v is None or not ordered else 1, v if ordered and v is not None else 0, place)
        if keep == "first":
            rank = (rank[0], -rank[1], -place)
        if k not in wanted or rank > wanted[k][0]:
            wanted[k] = (rank, (k, v, place))
    table = pa.table(
        {"k": pa.array([k for k, _, _ in numbered], pa.int64()), "v": pa.array([v for _, v, _ in numbered], pa.int64()),
         "n": pa.array([n for _, _, n in numbered], pa.int64())}
    )  # fmt: skip
    found = run(distinct(keys=["k"], keep=keep, order_by=["v"] if ordered else []), rows=table)
    assert {tuple(row.values()) for row in found.to_pylist()} == {row for _, row in wanted.values()}
    assert found.num_rows == len(wanted)
    whole = run(distinct(), rows=table.select(["k", "v"]))
    assert sorted(map(str, whole.to_pylist())) == sorted({str({"k": k, "v": v}) for k, v in rows})


def test_a_row_without_a_value_to_order_by_never_wins():
    rows = pa.table({"k": [1, 1, 1], "changed": [5, 7, None], "n": [1, 2, 3]})
    found = run(distinct(keys=["k"], keep="last", order_by=["changed"]), rows=rows)
    assert found.to_pylist() == [{"k": 1, "changed": 7, "n": 2}]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"keys": ["k"]}, "go together"),
        ({"keep": "last"}, "go together"),
        ({"order_by": ["v"]}, "nothing to order"),
    ],
)
def test_what_does_not_go_together_is_told(wrong, says):
    with pytest.raises(ValidationError, match=says):
        distinct(**wrong)


@pytest.mark.parametrize("field", ["keys", "order_by"])
def test_a_lost_column_is_told(field):
    made = distinct(**{"keys": ["k"], "keep": "last", field: ["x"]})
    with pytest.raises(UnknownColumn, match="no column 'x'") as caught:
        run(made, rows=pa.table({"k": [1]}))
    assert caught.value.where == f"step d, {field}"
