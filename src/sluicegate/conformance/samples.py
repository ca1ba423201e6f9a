"""Values at the edges of every type: what must come back as it went."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sluicegate.kit.text import wrap
from sluicegate.kit.types import to_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

NAMES = (
    'say "hi"',
    "a b",
    "select",
    "ünï",
    "x;--",
    "tab\tbed",
    "it's",
    "%s",
    "{0}",
    "$1",
    "a,b",
    "`tick`",
    "[x]",
    "ID",
)
"""Column names that break careless quoting."""
TEXTS = (
    "", " ", "NULL", "NA", "\\N", "0012", "a,b", 'say "hi"', "line\nbreak", "cr\r\nlf", "tab\t",
    "'; drop table victim; --", "%s", "=1+1", "ünï ☃ 𝄞", "\\x00", "\\.", "{}", "true",
)  # fmt: skip
"""Texts that break careless escaping."""

VALUES: dict[str, list[Any]] = {
    "bool": [True, False],
    "int8": [-128, 0, 127],
    "int16": [-(1 << 15), 0, (1 << 15) - 1],
    "int32": [-(1 << 31), 0, (1 << 31) - 1],
    "int64": [-(1 << 63), 0, (1 << 63) - 1],
    "uint8": [0, 255],
    "uint16": [0, (1 << 16) - 1],
    "uint32": [0, (1 << 32) - 1],
    "uint64": [0, (1 << 64) - 1],
    "float32": [0.0, -1.5, 1 << 24, 3.4028234663852886e38, 0.10000000149011612],
    "float64": [0.0, 0.1, -1e-300, 1.7976931348623157e308, 1 / 3, 5e-324],
    "decimal(9,2)": [Decimal("0.00"), Decimal("-9999999.99"), Decimal("1.10")],
    "decimal(38,10)": [Decimal("-1234567890123456789012345678.0123456789"), Decimal("0.0000000001")],
    "decimal(50,20)": [Decimal("123456789012345678901234567890.12345678901234567890")],
    "text": list(TEXTS),
    "bytes": [b"", b"\x00\xff", b"text"],
    "date": [date(1, 1, 1), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)],
    "time": [time(0), time(23, 59, 59, 999999)],
    "timestamp": [datetime(1, 1, 1), datetime(2013, 1, 1, 10, 0, 0, 5), datetime(9999, 12, 31, 23, 59, 59, 999999)],  # noqa: DTZ001 - the type has no zone
    "timestamptz": [datetime(1900, 1, 1, tzinfo=UTC), datetime(2013, 3, 31, 1, 30, 0, 500000, tzinfo=UTC)],
    "interval": [(0, 0, 0), (13, -2, 3_500_000_000), (-1, 0, -1_000), (0, 1, 0)],
    "uuid": [UUID("12345678-1234-5678-1234-567812345678").bytes, UUID(int=0).bytes],
    "json": ['{"a": 1.50, "b": [null, "x"]}', "[]", '"text"', "12345678901234567890.123"],
    "list(int64)": [[1, None, -3], []],
    "list(text)": [["", None, 'a"b', "a,b", "{}"], []],
    "list(timestamptz)": [[datetime(2013, 1, 1, tzinfo=UTC), None]],
    'struct("a" int64, "b" text)': [{"a": 1, "b": ""}, {"a": None, "b": "x"}],
}


def column(kind: str, values: list[Any] | None = None) -> pa.Array:
    """Return the sample values of a type and a NULL, or ``values``, as a column."""
    import pyarrow as pa

    made = [*VALUES[kind], None] if values is None else values
    if kind == "interval":
        made = [None if value is None else pa.MonthDayNano(value) for value in made]
    return wrap(made, to_arrow(kind))


def table(columns: Mapping[str, pa.Array | list[Any]]) -> pa.Table:
    """Return a table; plain lists get Arrow's own type."""
    import pyarrow as pa

    return pa.table(dict(columns))


def rows(found: pa.Table) -> list[tuple[Any, ...]]:
    """Return the rows of a table in a fixed order, to compare what has no order; NaN equals NaN."""
    values = zip(*(each.to_pylist() for each in found.columns), strict=True)
    told = [tuple("NaN" if isinstance(one, float) and math.isnan(one) else one for one in row) for row in values]
    return sorted(told, key=repr)
