"""JSON values to typed columns and back, exactly: no number changes, no key is lost, nothing is nested too deeply.

orjson parses; where it could change a value silently (numbers with more digits than a float holds, repeated keys) the
standard library's exact parser takes over, found out per text at the cost of two byte counts.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime, time
from decimal import Decimal
from itertools import accumulate
from operator import itemgetter, methodcaller
from typing import TYPE_CHECKING, Any

import orjson

from sluicegate.kit.text import (
    Unfit,
    float_fits,
    may_lose,
    parse_bytes,
    parse_decimal,
    parse_interval,
    parse_time,
    parse_uuid,
    shown,
    wrap,
    write_interval,
)
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

MAX_DEPTH = 64
"""How deeply a value may be nested (SEC-P09)."""
MARKS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}"]', re.DOTALL)
"""Finds strings as a whole, brackets, and the quote of a string that does not end."""
_QUOTE = ord('"')
_LISTS, _OBJECTS = methodcaller("count", b"["), methodcaller("count", b"{")
_LONG_INT = 21
_SPACED = re.compile(rb'"[ \t\r\n]+:')
_PLACES = {8: (-(1 << 7), 1 << 7), 16: (-(1 << 15), 1 << 15), 32: (-(1 << 31), 1 << 31), 64: (-(1 << 63), 1 << 63)}


def parse(text: bytes) -> Any:
    """Return the value that ``text`` spells, its numbers exact (``int``, ``float`` or ``Decimal``).

    Raises ``ValueError`` when it is not JSON (RFC 8259), repeats a key in one object or is nested more than 64 deep.
    """
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH:
        _check_depth(text)
    if may_lose(text):
        return _exact(text)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        raise ValueError(f"not JSON: {fault.msg.split(':')[0]}") from None
    # Each key is followed by one colon. When there are as many colons as keys were kept, none was repeated.
    keys = _keys(value)
    if text.count(b'":') != keys or _SPACED.search(text):
        return value if text.count(b":") == keys else _exact(text)
    return value


def parse_all(texts: list[bytes]) -> list[Any] | None:
    """Return the values of many texts at once; ``None`` when some text needs ``parse``: it is odd, or no JSON."""
    joined = b"\n".join(texts)
    if may_lose(joined) or _SPACED.search(joined):
        return None
    if sum(max(map(count, texts), default=0) for count in (_LISTS, _OBJECTS)) > MAX_DEPTH:
        return None
    try:
        values = list(map(orjson.loads, texts))
    except orjson.JSONDecodeError:
        return None
    # Each text has at least as many colons after quotes as keys, so equal sums mean equality in each. What is written
    # again has one for each key that was kept, and one for each quote and colon within a string, as the texts have when
    # they spell a quote as it does.
    flat = joined.count(b"{") == len(texts) and all(type(value) is dict for value in values)
    if flat:
        kept = sum(map(len, values))
    elif b"\\u0022" in joined:
        return None
    else:
        kept = orjson.dumps(values).count(b'":')
    return values if joined.count(b'":') == kept else None


def _check_depth(text: bytes) -> None:
    depth = 0
    for found in MARKS.finditer(text):
        mark = text[found.start()]
        if mark != _QUOTE:
            depth += 1 if mark in b"[{" else -1
            if depth > MAX_DEPTH:
                raise ValueError(f"not taken: nested more than {MAX_DEPTH} deep")


def _keys(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(_keys(each) for each in value.values() if type(each) in (dict, list))
    if type(value) is list:
        return sum(_keys(each) for each in value if type(each) in (dict, list))
    return 0


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("not taken: a key is repeated in one object")
    return found


def _whole(text: str) -> int | Decimal:
    low, high = _PLACES[64]
    return int(text) if len(text) < _LONG_INT and low <= int(text) < high else Decimal(text)


def _refuse(word: str) -> Any:
    raise ValueError(f"not JSON: {word}")


def _exact(text: bytes) -> Any:
    try:
        return json.loads(
            text.decode(), parse_float=Decimal, parse_int=_whole, object_pairs_hook=_pairs, parse_constant=_refuse
        )
    except json.JSONDecodeError as fault:
        raise ValueError(f"not JSON: {fault.msg.split(':')[0]}") from None
    except UnicodeDecodeError:
        raise ValueError("not JSON: not valid UTF-8") from None


def dump(value: Any) -> bytes:
    """Return ``value`` as compact JSON; ``Decimal`` is written as a number, digit by digit. ``ValueError`` for NaN."""
    made: bytes = orjson.dumps(value, default=_fragment)
    return made


def _fragment(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))  # never with all places: 1E+999999999 has a billion
    raise TypeError(type(value).__name__)


def shape(value: Any, kind: pa.DataType) -> Any:  # noqa: C901, PLR0911, PLR0912 - one branch a type
    """Return a parsed JSON value as what Arrow takes for ``kind``; ``ValueError`` when it does not fit."""
    import pyarrow as pa

    test = pa.types
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return dump(value).decode()
    if test.is_list(kind):
        if not isinstance(value, list):
            raise ValueError(f"{shown(value)} is not a list")
        return [shape(each, kind.value_type) for each in value]
    if test.is_struct(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{shown(value)} is not an object")
        if extra := set(value) - {field.name for field in kind}:
            raise ValueError(f"unknown key {shown(min(extra))}")
        return {field.name: shape(value.get(field.name), field.type) for field in kind}
    if test.is_boolean(kind):
        if isinstance(value, bool):
            return value
        raise ValueError(f"{shown(value)} is not a bool")
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a number or text")
    if test.is_integer(kind):
        return _integer(value, kind)
    if test.is_floating(kind):
        return _float(value, kind.bit_width)
    if test.is_decimal(kind):
        if isinstance(value, int | float | Decimal | str):
            return parse_decimal(str(value), kind.precision, kind.scale)
        raise ValueError(f"{shown(value)} is not a number")
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text")
    if test.is_string(kind):
        return value
    if isinstance(kind, pa.UuidType):
        return parse_uuid(value)
    if test.is_interval(kind):
        return pa.MonthDayNano(parse_interval(value))
    if test.is_binary(kind):
        return parse_bytes(value)
    if test.is_time(kind):
        return parse_time(value)
    try:
        return pa.scalar(value, pa.string()).cast(kind).as_py()
    except pa.ArrowInvalid:
        raise ValueError(f"{shown(value)} is not {to_name(kind)}") from None


def _integer(value: Any, kind: pa.DataType) -> int:
    import pyarrow as pa

    low, high = _PLACES[kind.bit_width]
    if pa.types.is_unsigned_integer(kind):
        low, high = 0, high * 2
    if not isinstance(value, int | float | Decimal):
        raise ValueError(f"{shown(value)} is not a whole number")
    if not low <= value < high:  # before int(): 1E+999999999 has a billion digits
        raise ValueError(f"{shown(value)} does not fit {to_name(kind)}")
    if value != int(value):
        raise ValueError(f"{shown(value)} is not a whole number")
    return int(value)


def _float(value: Any, bits: int) -> float:
    if not isinstance(value, int | float | Decimal):
        raise ValueError(f"{shown(value)} is not a number")
    if (not isinstance(value, float) or bits == 32) and not float_fits(str(value), bits):  # noqa: PLR2004 - bits
        raise ValueError(f"{shown(value)} has more digits, or is larger, than a float{bits} can hold")
    return float(value)


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return parsed JSON values as one column of ``kind``; ``Unfit`` at the first that does not fit."""
    import pyarrow as pa

    test, kinds = pa.types, set(map(type, values)) - {type(None)}
    if (
        not kinds
        or (kinds == {str} and test.is_string(kind))
        or (kinds == {bool} and test.is_boolean(kind))
        or (kinds == {float} and kind == pa.float64())
    ):
        return wrap(values, kind)
    try:
        if kinds == {int} and test.is_integer(kind):
            return pa.array(values, kind)
        if kinds == {str} and (test.is_timestamp(kind) or test.is_date(kind)):
            return pa.array(values, pa.string()).cast(kind)
        if (whole := _at_once(values, kind, kinds)) is not None:
            return whole
    except (pa.ArrowInvalid, OverflowError, Unfit):
        pass  # the loop below finds the row
    made: list[Any] = []
    for row, value in enumerate(values):
        try:
            made.append(shape(value, kind))
        except (ValueError, OverflowError) as fault:
            raise Unfit(row, str(fault)) from None
    return wrap(made, kind)


def taken(values: Sequence[Any], names: list[str]) -> list[tuple[Any, ...]] | None:
    """Return the values of each of ``names`` when all ``values`` are objects of exactly these keys."""
    alike = len(set(names)) == len(names) > 1 and set(map(type, values)) == {dict}
    if not alike or set(map(len, values)) != {len(names)}:
        return None
    try:
        return list(zip(*map(itemgetter(*names), values), strict=True))
    except KeyError:
        return None  # as many keys, but others


def _at_once(values: Sequence[Any], kind: pa.DataType, kinds: set[type]) -> pa.Array | None:
    """Return the column built child by child, without a call a value; ``None`` when values need to be looked at."""
    import pyarrow as pa

    if isinstance(kind, pa.JsonType):
        texts = [None if value is None else orjson.dumps(value, default=_fragment) for value in values]
        return pa.ExtensionArray.from_storage(kind, pa.array(texts, kind.storage_type))
    if kinds == {dict} and pa.types.is_struct(kind):
        if (parts := taken(values, [field.name for field in kind])) is not None:
            whole = zip(parts, kind, strict=True)
            return pa.StructArray.from_arrays([column(each, field.type) for each, field in whole], fields=list(kind))
        known = {field.name for field in kind}
        if len(known) < kind.num_fields or any(value is not None and not value.keys() <= known for value in values):
            return None
        absent: dict[str, Any] = {}
        filled = [absent if value is None else value for value in values]
        children = [column([value.get(field.name) for value in filled], field.type) for field in kind]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=pa.array([each is None for each in values]))
    if kinds == {list} and pa.types.is_list(kind):
        ends = accumulate((0 if value is None else len(value) for value in values), initial=0)
        starts = [None if value is None else end for value, end in zip([*values, ()], ends, strict=True)]
        inner = column([each for value in values if value is not None for each in value], kind.value_type)
        return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), inner, type=kind)
    if kinds <= {int, float} and pa.types.is_decimal(kind):
        return pa.array([None if value is None else repr(value) for value in values], pa.string()).cast(kind)
    return None


def faults(values: Sequence[Any], kind: pa.DataType) -> dict[int, str]:
    """Return the reason for each row of one column that does not fit ``kind``."""
    found = {}
    for row, value in enumerate(values):
        try:
            shape(value, kind)
        except (ValueError, OverflowError) as fault:
            found[row] = str(fault)
    return found


def propose(values: list[Any]) -> str:
    """Return the narrowest type name that holds all ``values`` of one key without changing any; strings stay text."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds or kinds == {str}:
        return "text"
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64"
    if kinds <= {int, Decimal} and all(value is None or _whole_digits(value) <= 38 for value in values):  # noqa: PLR2004 - Arrow's decimal128
        return "decimal(38,0)"
    if kinds <= {int, float, Decimal}:
        exact = all(value is None or isinstance(value, float) or float_fits(str(value)) for value in values)
        return "float64" if exact else "json"
    return "json"


def _whole_digits(value: int | Decimal) -> int:
    """Return how many digits a whole number was written with; more than any type has for another number."""
    if isinstance(value, int):
        return len(str(abs(value)))
    _, digits, exponent = value.as_tuple()
    return len(digits) if exponent == 0 else 1 << 30


Plain = Any


def plain(value: Any, kind: pa.DataType) -> Plain:  # noqa: PLR0911 - one branch a type
    """Return one value of ``kind`` as what ``dump`` writes; ``ValueError`` for what JSON cannot say (NaN, infinity)."""
    import pyarrow as pa

    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return orjson.Fragment(value)
    if isinstance(kind, pa.UuidType):
        return str(value)
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    if isinstance(value, list):
        return [plain(each, kind.value_type) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON has no word for {value}")
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, tuple):
        return write_interval(*value)
    return value


def encoder(kind: pa.DataType) -> Callable[[pa.Array], list[Plain]]:
    """Return what turns a column of ``kind`` into values for ``dump``. Raises ``Unfit`` for what JSON cannot say."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from sluicegate.kit.text import to_text

    test = pa.types

    def texts(column: pa.Array) -> list[Plain]:
        return to_text(column).to_pylist()  # type: ignore[no-any-return]

    def floats(column: pa.Array) -> list[Plain]:
        odd = pc.indices_nonzero(pc.fill_null(pc.invert(pc.is_finite(column)), False))  # noqa: FBT003 - the value to fill in
        if len(odd):
            row = odd[0].as_py()
            raise Unfit(row, f"JSON has no word for {column[row].as_py()}")
        return column.to_pylist()  # type: ignore[no-any-return]

    def nested(column: pa.Array) -> list[Plain]:
        made = []
        for row, value in enumerate(column.to_pylist()):
            try:
                made.append(plain(value, kind))
            except ValueError as fault:
                raise Unfit(row, str(fault)) from None
        return made

    def fragments(column: pa.Array) -> list[Plain]:
        return [None if text is None else orjson.Fragment(text) for text in texts(column)]

    if test.is_floating(kind):
        return floats
    if test.is_decimal(kind) or isinstance(kind, pa.JsonType):
        return fragments
    if test.is_nested(kind):
        return nested
    if test.is_boolean(kind) or test.is_integer(kind) or test.is_string(kind):
        return lambda column: column.to_pylist()
    return texts
