from __future__ import annotations

from uuid import UUID

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.steps.unpivot import Unpivot
from tests.fixtures.transform import run


class TestUnpivot(TransformSuite):
    plugin = Unpivot
    whole = {"name": "u", "from": "rows", "columns": ["jan", "it's"], "into": "month", "value": "amount"}
    schemas = {"rows": ("k", "jan", "it's")}


def unpivot(**fields: object) -> Unpivot:
    whole = {"name": "u", "from": "rows", "columns": ["a", "b"], "into": "what", "value": "v", **fields}
    return Unpivot.model_validate(whole)


@pytest.mark.parametrize("nulls", ["keep", "drop"])
def test_a_row_for_each_column(nulls):
    rows = pa.table({"a": pa.array([1, 2], pa.int16()), "k": ["x", "y"], "b": pa.array([None, 40], pa.int32())})
    found = run(unpivot(nulls=nulls), rows=rows)
    every = [("x", "a", 1), ("x", "b", None), ("y", "a", 2), ("y", "b", 40)]
    wanted = [row for row in every if nulls == "keep" or row[2] is not None]
    assert [tuple(row.values()) for row in found.to_pylist()] == wanted
    assert found.schema.types == [pa.string(), pa.string(), pa.int32()]


def test_types_stay():
    ids = [UUID(int=1), UUID(int=2)]
    rows = pa.table({"a": pa.array(ids[:1], pa.uuid()), "b": pa.array(ids[1:], pa.uuid())})
    found = run(unpivot(), rows=rows)
    assert found.schema.field("v").type == pa.uuid()
    assert found["v"].to_pylist() == ids


@pytest.mark.parametrize(
    ("fields", "kind", "says"),
    [
        ({}, Invalid, "the column 'v' is int64 in 'a' and text in 'b'"),
        ({"columns": ["a", "x"]}, UnknownColumn, "no column 'x'"),
        ({"into": "k"}, Invalid, "two columns would be called 'k'"),
        ({"into": "v"}, Invalid, "two columns would be called 'v'"),
    ],
)
def test_misuse_is_told(fields, kind, says):
    with pytest.raises(kind, match=says) as caught:
        run(unpivot(**fields), rows=pa.table({"a": [1], "b": ["x"], "k": [1]}))
    assert caught.value.where.startswith("step u")


def test_a_column_is_given_once():
    with pytest.raises(ValidationError):
        unpivot(columns=["a", "a"])


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_the_value_has_the_tags_of_all_columns():
    known = Facts.listed([("a", Fact(frozenset({"x"}), sure=True)), ("b", Fact(frozenset({"y"}), sure=True))])
    assert unpivot().trace({"rows": known}).get("v").tags == {"x", "y"}
