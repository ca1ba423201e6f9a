"""SQLite's declared types and stored values, and ours.

SQLite stores any value in any column and converts by "affinity", which follows from the declared type's letters.
Types that SQLite has no exact storage for (decimals, 64-bit unsigned numbers, JSON) are therefore declared with
TEXT in their name and stored as text, digit by digit. Lists and structs are stored as JSON and come back as
``json``.
"""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.base.errors import DataError
from sluicegate.connectors.sqlite.link import quoted
from sluicegate.kit import objects
from sluicegate.kit.target import Ddl, Index, Keys, Option
from sluicegate.kit.text import Unfit, float_fits, from_text, parse_decimal, parse_time, shown, special, to_text, wrap
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from sluicegate.kit.watermark import Bound

_OURS = {
    "bool": "BOOLEAN", "int8": "INT_8", "int16": "INT_16", "int32": "INT_32", "int64": "INTEGER", "uint8": "UINT_8",
    "uint16": "UINT_16", "uint32": "UINT_32", "uint64": "UNSIGNED_64_TEXT", "float32": "REAL_32", "float64": "REAL",
    "text": "TEXT", "bytes": "BLOB", "date": "DATE", "time": "TIME", "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ", "interval": "INTERVAL_TEXT", "uuid": "UUID", "json": "JSON_TEXT",
}  # fmt: skip
_THEIRS = {declared: name for name, declared in _OURS.items()} | {
    "BOOL": "bool", "DATETIME": "timestamp", "JSON": "json", "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "TIMESTAMP WITHOUT TIME ZONE": "timestamp",
}  # fmt: skip
DDL = Ddl(
    frozenset(each.lower() for each in _THEIRS)
    | {"decimal", "numeric", "decimal_text", "varchar", "char", "bigint", "int", "smallint"},
    {"without_rowid": Option("true", "without rowid")},
)
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC|DECIMAL_TEXT)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_KINDS = {int: "an integer", float: "a real number", str: "text", bytes: "bytes"}
_SAFE_REAL = 15
"""Digits of a decimal that survive SQLite's NUMERIC affinity, which makes reals of them."""
_SPELLED = frozenset({"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json"})


class Column(NamedTuple):
    """One column as the live schema tells it."""

    name: str
    declared: str
    kind: pa.DataType
    required: bool
    """Whether a load must bring it: false for generated columns and for the row number."""


def columns(link: sqlite3.Connection, table: str) -> list[Column]:
    """Return the columns of a table or view; empty when there is none of that name."""
    found = link.execute(f"pragma table_xinfo({quoted(table)})").fetchall()
    made = []
    for _, name, declared, _, _, key, hidden in found:
        if hidden == 1:
            continue
        kind = known(declared) or _looked_at(link, table, name)
        row_number = key == 1 and declared.upper() == "INTEGER" and sum(bool(each[5]) for each in found) == 1
        made.append(Column(name, declared, to_arrow(kind), not row_number and not hidden))
    return made


def condition(wanted: Sequence[Column], since: Bound | None) -> tuple[str, tuple[str | int, ...]]:
    """Return the condition that leaves out rows below ``since``, and its value; empty when SQLite is not asked to.

    Moments are texts, of which the day is spelled in one way only: of that day all rows come. So do values that the
    column should not hold, which sort beside its own: reading stops at them. Decimals are texts or floats: all come.
    """
    import pyarrow as pa

    column = next((each for each in wanted if since is not None and each.name == since.column), None)
    if since is None or column is None or (low := _lowest(column.kind, since)) is None:
        return "", ()
    name = quoted(column.name)
    if pa.types.is_integer(column.kind):
        return since.where(name, "?"), (int(low),)
    return f"({name} >= ? or {name} < '' or {name} is null)", (low,)


def _lowest(kind: pa.DataType, since: Bound) -> str | None:
    import pyarrow as pa

    if not (pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)) or kind == pa.uint64():
        return None
    low = since.lowest(kind)
    if low is None or pa.types.is_integer(kind):
        return low
    try:  # a moment with an offset stands at another day than in UTC, by one at the most
        return (date.fromisoformat(low[:10]) - timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return None


def keys(link: sqlite3.Connection, table: str) -> Keys:
    """Return the primary key and the indexes of a table over whole columns and all rows."""
    info = link.execute(f"pragma table_xinfo({quoted(table)})").fetchall()
    primary = tuple(row[1] for row in sorted((row for row in info if row[5]), key=lambda row: row[5]))
    made = []
    for _, index, unique, origin, partial in link.execute(f"pragma index_list({quoted(table)})").fetchall():
        names = tuple(row[2] for row in link.execute(f"pragma index_info({quoted(index)})"))
        if origin != "pk" and not partial and None not in names:
            made.append(Index(names, bool(unique)))
    return Keys(primary, tuple(made))


def known(declared: str) -> str | None:
    """Return our type name for a declared type; ``None`` when it does not say what is stored."""
    text = " ".join(declared.upper().split())
    if text in _THEIRS:
        return _THEIRS[text]
    if found := _DECIMAL.fullmatch(text):
        precision, scale = int(found[1]), int(found[2] or 0)
        return f"decimal({precision},{scale})" if 1 <= precision <= 76 and scale <= precision else None  # noqa: PLR2004 - Arrow's decimal256
    if "INT" in text and "INTERVAL" not in text and "POINT" not in text:
        return "int64"
    if any(word in text for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in text or text == "BYTEA":
        return "bytes"
    if any(word in text for word in ("REAL", "FLOA", "DOUB")):
        return "float64"
    return None


def _looked_at(link: sqlite3.Connection, table: str, name: str) -> str:
    """Return the one type that all stored values of an undeclared column have."""
    kinds = {
        each[0]
        for each in link.execute(f"select distinct typeof({quoted(name)}) from {quoted(table)}")  # noqa: S608 - quoted
    } - {"null"}
    if kinds == {"integer"}:
        return "int64"
    if kinds and kinds <= {"integer", "real"}:
        return "float64"
    if len(kinds) > 1:
        told = " and ".join(sorted(kinds))
        raise DataError(
            f"The column has no declared type and holds {told}.", where=f"{table}: column {name}",
            hint="Declare a type, or read a view that casts it.",
        )  # fmt: skip
    return "bytes" if kinds == {"blob"} else "text"


def declare(kind: pa.DataType) -> str:
    """Return the declared type for a column of ``kind``."""
    name = to_name(kind)
    if name.startswith("decimal("):
        return "DECIMAL_TEXT" + name.removeprefix("decimal")
    return _OURS.get(name, "JSON_TEXT")


def narrowed(column: Column, kind: pa.DataType, where: str) -> pa.DataType:
    """Return the type to cast rows of ``kind`` to, value by value, before they go into an existing column.

    Raises ``DataError`` when the column could change values, whatever they are.
    """
    import pyarrow as pa

    have, want = to_name(column.kind), to_name(kind)
    decimals = have.startswith("decimal(") and want.startswith("decimal(")
    if decimals and ("TEXT" in column.declared.upper() or column.kind.precision <= _SAFE_REAL):
        return column.kind
    if pa.types.is_integer(column.kind) and pa.types.is_integer(kind) and column.declared.strip():
        return column.kind
    nested = want.startswith(("list(", "struct("))
    fits = (
        (have == want and not decimals) or not column.declared.strip() or (have, want) == ("float64", "float32")
        or (have == "text" and (want in _SPELLED or want.startswith("decimal("))) or (have == "json" and nested)
    )  # fmt: skip
    if not fits:
        raise DataError(
            f"The column is declared {column.declared} and cannot hold {want} unchanged.",
            where=f"{where}: column {column.name}", hint="Cast it in a map step.",
        )  # fmt: skip
    return kind


def from_storage(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return stored values as a column of ``kind``; ``Unfit`` at the first that does not fit."""
    import pyarrow as pa

    test, kinds = pa.types, set(map(type, values)) - {type(None)}
    try:
        if (test.is_integer(kind) and kinds <= {int}) or (kind == pa.float64() and kinds <= {float}):
            return pa.array(values, kind)
        if kinds <= {str} and (test.is_string(kind) or test.is_date(kind) or test.is_timestamp(kind)):
            texts = pa.array(values, pa.string())
            return texts if test.is_string(kind) else texts.cast(kind)
        if kinds <= {bytes} and test.is_binary(kind):
            return pa.array(values, kind)
        if kinds <= {str} and special(kind):
            return from_text(pa.array(values, pa.string()), kind)
    except (pa.ArrowInvalid, OverflowError):
        pass  # the loop below finds the row
    convert = _converter(kind)
    made = []
    for row, value in enumerate(values):
        try:
            made.append(None if value is None else convert(value))
        except (ValueError, OverflowError) as fault:
            raise Unfit(row, str(fault)) from None
    return wrap(made, kind)


def _converter(kind: pa.DataType) -> Callable[[Any], Any]:
    import pyarrow as pa

    name = to_name(kind)

    def convert(value: Any) -> Any:
        fault = ValueError(f"{shown(value)} ({_KINDS[type(value)]}) is stored where {name} is declared")
        if isinstance(kind, pa.JsonType) and isinstance(value, int | float | str):
            text = value if isinstance(value, str) else repr(value)
            objects.parse(text.encode())
            return text
        if pa.types.is_boolean(kind) and value in (0, 1):
            return bool(value)
        if pa.types.is_decimal(kind) and not isinstance(value, bytes):
            return parse_decimal(repr(value) if isinstance(value, float) else value, kind.precision, kind.scale)
        if pa.types.is_floating(kind) and isinstance(value, int | float):
            if float_fits(repr(value), kind.bit_width) or not math.isfinite(value):
                return float(value)
            raise fault
        if pa.types.is_integer(kind) and (isinstance(value, int) or name == "uint64"):
            return objects.shape(int(value) if isinstance(value, str) and value.isdigit() else value, kind)
        if pa.types.is_time(kind) and isinstance(value, str):
            return parse_time(value)
        if isinstance(value, str) and pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
            try:
                return pa.scalar(value, pa.string()).cast(kind).as_py()
            except pa.ArrowInvalid:
                raise fault from None
        if isinstance(value, str) and special(kind):
            return from_text(pa.array([value]), kind)[0].as_py()
        raise fault

    return convert


def to_storage(column: pa.Array) -> list[Any]:
    """Return a column as the values to store; ``Unfit`` for a NaN, which SQLite would store as NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_floating(kind):
        nan = pc.index(pc.is_nan(column), True).as_py()
        if nan >= 0:
            raise Unfit(nan, "SQLite cannot store NaN")
        return column.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_uint64(kind):
        return pc.cast(column, pa.string()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_integer(kind) or (to_name(kind) in ("bool", "text", "bytes") and not pa.types.is_dictionary(kind)):
        return column.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_dictionary(kind):
        return to_storage(column.dictionary_decode())
    texts = to_text(column)
    if pa.types.is_timestamp(kind):  # as SQLite's own functions write it; sorts as text in the order of time
        texts = pc.replace_substring(pc.replace_substring(texts, "T", " "), "Z", "+00:00")
    return texts.to_pylist()  # type: ignore[no-any-return]
