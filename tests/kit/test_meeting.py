"""Two types meet when DuckDB's own type for both holds each value of each."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pyarrow as pa
import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit import meeting
from sluicegate.kit.meeting import meet, widened
from sluicegate.kit.types import to_arrow, to_name

NAMES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "text",
    "bytes", "date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "decimal(10,2)", "decimal(20,18)",
    "decimal(38,0)", "decimal(38,2)", "decimal(18,4)", "list(int32)", "list(text)", "struct(a int8, b text)",
    "struct(a int16, b text)", "struct(b text, a int8)",
)  # fmt: skip
RANGES = {
    **{f"int{bits}": [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": [0, 2**bits - 1] for bits in (8, 16, 32, 64)},
}


def test_what_meets_is_told_in_one_list():
    found = {
        f"{one} {other}"
        for one, other in combinations_with_replacement(NAMES, 2)
        if one != other and meet(to_arrow(one), to_arrow(other))
    }
    whole = [name for name in NAMES if name in RANGES]
    wanted = {f"{one} {other}" for one, other in combinations_with_replacement(whole, 2) if one != other}
    wanted -= {f"{name} uint64" for name in ("int8", "int16", "int32", "int64")}
    wanted |= {"float32 float64", "struct(a int8, b text) struct(a int16, b text)"}
    wanted |= {f"{name} float64" for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")}
    wanted |= {f"{name} float32" for name in ("int8", "int16", "uint8", "uint16")}
    decimals = ("decimal(10,2)", "decimal(20,18)", "decimal(38,0)", "decimal(38,2)", "decimal(18,4)")
    wanted |= {f"{name} {kind}" for name in whole for kind in decimals}
    wanted |= {"decimal(10,2) decimal(20,18)", "decimal(10,2) decimal(18,4)", "decimal(10,2) decimal(38,2)"}
    wanted |= {"decimal(20,18) decimal(18,4)"}
    assert found == wanted


@pytest.mark.parametrize("one", NAMES)
def test_a_type_meets_itself_and_null(one):
    assert meet(to_arrow(one), to_arrow(one))
    assert meet(to_arrow(one), pa.null())


@pytest.mark.parametrize("pair", list(combinations_with_replacement(RANGES, 2)), ids="-".join)
def test_duckdb_keeps_the_ends_of_integers_that_meet(pair):
    import _duckdb

    one, other = pair
    if not meet(to_arrow(one), to_arrow(other)):
        return
    connection = _duckdb.connect(":memory:")
    for name, kind in (("a", one), ("b", other)):
        connection.register(
            name, pa.table({"x": pa.array(RANGES[kind], to_arrow(kind))}).to_reader().__arrow_c_stream__()
        )
    connection.execute("SELECT x FROM a UNION ALL SELECT x FROM b")
    kind = str(connection.description[0][1])
    assert [row[0] for row in connection.fetchall()] == RANGES[one] + RANGES[other]
    assert kind != "HUGEINT"
    connection.close()


def test_an_error_names_column_and_both_types():
    with pytest.raises(Invalid, match="the column 'x' is int64 in 'a' and json in 'b'") as caught:
        meeting.require("x", ("a", pa.int64()), ("b", pa.json_()), "step u")
    assert caught.value.where == "step u"


@pytest.mark.parametrize(
    ("have", "want", "made"),
    [
        ("int16", "int64", "int64"), ("int64", "int16", None), ("uint8", "int8", "int16"), ("uint32", "int32", "int64"),
        ("uint64", "int64", None), ("uint8", "uint16", "uint16"), ("int32", "decimal(5,2)", "decimal(12,2)"),
        ("decimal(5,2)", "decimal(12,4)", "decimal(12,4)"), ("decimal(12,4)", "decimal(5,2)", None),
        ("decimal(38,0)", "decimal(38,38)", None), ("float32", "float64", "float64"), ("float64", "float32", None),
        ("int32", "float64", None), ("text", "int64", None), ("date", "timestamp", None), ("bool", "int64", None),
    ],
)  # fmt: skip
def test_numbers_get_wider_and_only_exactly(have, want, made):
    found = widened(to_arrow(have), to_arrow(want))
    assert (None if found is None else to_name(found)) == made
