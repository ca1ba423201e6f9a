from __future__ import annotations

import pyarrow as pa
import pytest

from sluicegate.base.errors import DataError
from sluicegate.engine.precision import kept

MOMENTS = pa.timestamp("ns", "UTC")
KINDS = [MOMENTS, pa.duration("ns"), pa.list_(MOMENTS), pa.struct([("at", MOMENTS)])]


def values(kind: pa.DataType, number: int) -> pa.Array:
    inner = pa.array([number, None], pa.int64()).cast(MOMENTS)
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays([0, 2], inner)
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays([inner], ["at"])
    return pa.array([number, None], pa.int64()).cast(kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_whole_microseconds_go_through(kind):
    table = pa.table({"a": values(kind, 5_000), "b": values(pa.int64(), 1)[: len(values(kind, 5_000))]})
    found = kept(table.to_reader(), "rows").read_all()
    assert found["a"].cast(kind).equals(table["a"])
    assert "ns" not in str(found.schema.field("a").type)
    assert found["b"].equals(table["b"])


@pytest.mark.security
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nothing_finer_is_cut(kind):
    with pytest.raises(DataError, match="column 'a' has times finer than a microsecond") as caught:
        kept(pa.table({"a": values(kind, 5_001)}).to_reader(), "rows").read_all()
    assert "5001" not in caught.value.message
    assert caught.value.where == "step rows"


def test_what_duckdb_holds_is_let_be():
    rows = pa.table({"a": pa.array([1], pa.timestamp("ns")), "b": pa.array([1], pa.timestamp("us", "UTC"))}).to_reader()
    assert kept(rows, "rows") is rows
