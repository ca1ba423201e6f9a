from __future__ import annotations

import pyarrow as pa
import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit import comparison
from sluicegate.kit.columns import Columns

INPUTS = {"a": Columns("s0", {"k": "c0", "v": "c1"}), "b": Columns("s1", {"v": "c2", "k": "c3"})}


def test_columns_go_together_by_name():
    found = comparison.spell(INPUTS, "a", "b", "EXCEPT", "all", "step m")
    assert found == 'SELECT "c0", "c1" FROM (SELECT "c0", "c1" FROM "s0" EXCEPT ALL SELECT "c3", "c2" FROM "s1")'


@pytest.mark.parametrize(
    ("left", "right", "says"), [("a", "c", "'c' has no column 'k', which 'a' has"), ("c", "a", "'c' has no column 'k'")]
)
def test_a_column_of_one_side_is_told(left, right, says):
    with pytest.raises(Invalid, match=says) as caught:
        comparison.spell({**INPUTS, "c": Columns("s2", {"v": "c4"})}, left, right, "EXCEPT", "all", "step m")
    assert caught.value.where == "step m"


def test_types_of_both_sides_are_held_against_each_other():
    schemas = {"a": pa.schema([("k", pa.int64())]), "b": pa.schema([("k", pa.string())])}
    with pytest.raises(Invalid, match="'k' is int64 in 'a' and text in 'b'"):
        comparison.check_types(schemas, "a", "b", "step m")


def test_the_sides_differ():
    with pytest.raises(Invalid) as caught:
        comparison.check_sides("m", "a", "a")
    assert caught.value.path == ("right",)
