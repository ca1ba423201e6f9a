"""How Arrow columns travel into DuckDB's.

A plan is made per column before the first row: what cannot be held is refused by type at once, what may not fit is
checked by value, so that DuckDB never rounds or cuts silently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sluicegate.base.errors import DataError
from sluicegate.connectors.duckdb.link import quoted
from sluicegate.connectors.duckdb.types import HUGE, OPAQUE, Column, check_range, opaque
from sluicegate.kit.text import Unfit, exact, shown, to_text
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

_SPELLED = frozenset({"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json"})
_CUT = {"bignum": r"\.", "time_tz": r"\.[0-9]{6}0*[1-9]"}
"""What DuckDB cuts off a text without a word, when it makes such a value of it."""


class Plan(NamedTuple):
    """How one column travels into the target."""

    name: str
    encode: Callable[[pa.Array], pa.Array]
    insert: str
    """Expression over what was handed in."""


def plan(field: pa.Field, column: Column, labels: Callable[[Column], list[str]], where: str) -> Plan:
    """Return how ``field`` travels into ``column``. ``DataError`` when that would change values.

    ``labels`` gives the values of an ENUM.
    """
    want, name = to_name(field.type), quoted(field.name)
    own, odd = to_arrow(want), opaque(column.wire)
    encode = None
    if column.kind is None:
        pass
    elif odd or _is_enum(column):
        name = f"{name}::{odd.upper() if odd in HUGE else OPAQUE[odd]}" if odd else name
        encode = _odd(column, own, labels)
    else:
        encode = _known(column, column.kind, own)
    if encode is None:
        raise DataError(
            f"The column is {column.declared} and cannot hold {want} unchanged.",
            where=f"{where}: column {column.name}", hint="Cast it in a map step.",
        )  # fmt: skip
    return Plan(field.name, encode, name)


def _is_enum(column: Column) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(column.wire))


def _odd(
    column: Column, own: pa.DataType, labels: Callable[[Column], list[str]]
) -> Callable[[pa.Array], pa.Array] | None:
    """Return the way into a column whose values travel as text."""
    import pyarrow as pa

    odd = opaque(column.wire)
    if odd in HUGE:
        whole = pa.types.is_integer(own) or (pa.types.is_decimal(own) and own.scale == 0)
        return (lambda each: _huge(exact(each, own), odd)) if whole else None
    if not pa.types.is_string(own):
        return None
    if odd:
        return lambda each: _uncut(exact(each, own), odd)
    known = labels(column)
    return lambda each: _label(exact(each, own), known)


def _known(column: Column, have: pa.DataType, own: pa.DataType) -> Callable[[pa.Array], pa.Array] | None:
    import pyarrow as pa

    test, target, want = pa.types, to_name(have), to_name(own)
    if target == "json" and (want == "json" or test.is_nested(own)):
        return lambda each: to_text(exact(each, own))
    if target == "text" and (want == "text" or want in _SPELLED or test.is_decimal(own)):
        return lambda each: to_text(exact(each, own))
    if test.is_decimal(have) and (test.is_decimal(own) or test.is_integer(own)):
        return lambda each: _decimal(exact(each, own), have)
    if target != want:
        numbers = test.is_integer(have) and test.is_integer(own)
        return (lambda each: exact(each, have)) if numbers or (target, want) == ("float64", "float32") else None
    if want == "interval":
        return _interval
    if test.is_temporal(own):
        return lambda each: exact(_in_range(exact(each, own)), column.wire)
    if test.is_nested(own):
        return None if test.is_map(column.wire) else lambda each: _nested(exact(each, own))
    return lambda each: exact(each, have)


def _huge(column: pa.Array, kind: str) -> pa.Array:
    low, high = HUGE[kind]
    texts = to_text(column)
    for row, text in enumerate(texts.to_pylist()):
        if text is not None and not low <= int(text) <= high:
            raise Unfit(row, f"{text!r} does not fit {kind.upper()}")
    return texts


def _uncut(column: pa.Array, odd: str) -> pa.Array:
    import pyarrow.compute as pc

    if odd in _CUT and (row := pc.index(pc.match_substring_regex(column, _CUT[odd]), True).as_py()) >= 0:
        raise Unfit(row, f"{shown(column[row].as_py())} does not fit {OPAQUE[odd]}")
    return column


def _label(column: pa.Array, known: list[str]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    strange = pc.and_(column.is_valid(), pc.invert(pc.is_in(column, pa.array(known, pa.string()))))
    row = pc.index(strange, True).as_py()
    if row >= 0:
        raise Unfit(row, f"{shown(column[row].as_py())} is none of the column's values")
    return column


def _decimal(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return exact(column.cast(pa.decimal128(20, 0)) if pa.types.is_integer(column.type) else column, kind)


def _in_range(column: pa.Array) -> pa.Array:
    check_range(column)
    return column


def _interval(column: pa.Array) -> pa.Array:
    for row, value in enumerate(column.to_pylist()):
        if value is not None and value.nanoseconds % 1000:
            raise Unfit(row, "an interval has more places than microseconds")
    return column


def _nested(column: pa.Array) -> pa.Array:
    """Look at the intervals in lists and structs, of which DuckDB would cut the nanoseconds."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_list(kind):
        _nested(column.flatten())
    elif pa.types.is_struct(kind):
        for each in column.flatten():
            _nested(each)
    elif pa.types.is_interval(kind):
        _interval(column)
    return column
