from __future__ import annotations

import pyarrow as pa
import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit import comparison
from sluicegate.kit.columns import Columns
from sluicegate.steps.intersect import Intersect
from sluicegate.steps.minus import Minus

INPUTS = {"a": Columns("s0", {"k": "c0", "v": "c1"}), "b": Columns("s1", {"v": "c2", "k": "c3"})}


def step(kind=Minus, left="a", right="b", **more):
    return kind.model_validate({"name": "m", "left": left, "right": right, **more})


def test_columns_go_together_by_name():
    assert (
        step(rows="all").query(INPUTS)
        == 'SELECT "c0", "c1" FROM (SELECT "c0", "c1" FROM "s0" EXCEPT ALL SELECT "c3", "c2" FROM "s1")'
    )
    assert 'FROM "s0" INTERSECT SELECT "c3"' in step(Intersect).query(INPUTS)


@pytest.mark.parametrize(
    ("left", "right", "says"), [("a", "c", "'c' has no column 'k', which 'a' has"), ("c", "a", "'c' has no column 'k'")]
)
def test_a_column_of_one_side_is_told(left, right, says):
    with pytest.raises(Invalid, match=says) as caught:
        step(left=left, right=right).query({**INPUTS, "c": Columns("s2", {"v": "c4"})})
    assert caught.value.where == "step m"


def test_types_of_both_sides_are_held_against_each_other():
    schemas = {"a": pa.schema([("k", pa.int64())]), "b": pa.schema([("k", pa.string())])}
    with pytest.raises(Invalid, match="'k' is int64 in 'a' and text in 'b'"):
        step().check_types(schemas)


def test_the_sides_differ():
    with pytest.raises(Invalid) as caught:
        step(right="a").check_text()
    assert caught.value.path == ("right",)
    with pytest.raises(Invalid) as other:
        comparison.check_sides("m", "a", "a", "in")
    assert other.value.path == ("in",)
