r"""Values as text and back, exactly: one spelling for every type, the same in CSV, in JSON strings and in databases.

bool ``true``; numbers in decimal; bytes ``\x`` and hexadecimal digits (as PostgreSQL writes them); dates and times
in ISO 8601 (RFC 3339 for instants, always UTC); intervals as ISO 8601 durations; lists and structs as JSON.
"""

from __future__ import annotations

import math
import re
import struct
from datetime import time
from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_SHOWN = 64
_FLOAT_DIGITS = {32: 6, 64: 15}
"""A decimal number of so many significant digits always survives this many bits of float (IEEE 754)."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DURATION = re.compile(
    r"P(?:(?P<y>[+-]?\d+)Y)?(?:(?P<m>[+-]?\d+)M)?(?:(?P<w>[+-]?\d+)W)?(?:(?P<d>[+-]?\d+)D)?"
    r"(?:T(?:(?P<h>[+-]?\d+)H)?(?:(?P<min>[+-]?\d+)M)?(?:(?P<s>[+-]?\d+)(?:\.(?P<f>\d{1,9}))?S)?)?"
)
_TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?")
_SECOND = 1_000_000_000
_WORD, _LONG_WORD = 1 << 31, 1 << 63


_SIGNS = {**dict.fromkeys(b"0123456789.", ord("0")), **dict.fromkeys(b"eE", ord("e")), **dict.fromkeys(b"+-", ord("-"))}
_TABLE = bytes(_SIGNS.get(byte, ord(" ")) for byte in range(256))
_LONG = {64: (b"0" * 16, b"0e000", b"0e-000"), 32: (b"0" * 7, b"0e00", b"0e-00")}
_POWER = b"0e"  # what the last two begin with, and few inputs have at all


def may_lose(data: bytes, bits: int = 64) -> bool:
    """Tell whether ``data`` can hold a number that a float changes. Quick, and never wrong when it says no."""
    signs = data.translate(_TABLE)
    digits, *powers = _LONG[bits]
    return digits in signs or (_POWER in signs and any(sign in signs for sign in powers))


class Unfit(ValueError):
    """One value that its type cannot hold. ``row`` is its place in the column it came in."""

    def __init__(self, row: int, reason: str) -> None:
        """Hold the place and the reason."""
        super().__init__(reason)
        self.row, self.reason = row, reason


def shown(value: object) -> str:
    """Return ``value`` for an error message: quoted and short."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def float_fits(text: str, bits: int = 64) -> bool:
    """Tell whether a float of ``bits`` bits keeps every digit of the number ``text``.

    The nearest float must lie within half a unit of the last digit written: so every dump of a float fits, however many
    digits the dumper wrote, and ``12345678901234567.89`` does not.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return True  # nan, inf, or not a number at all: for the parser to judge
    number = Decimal(text)
    value = float(text)
    if bits == 32:  # noqa: PLR2004 - bits
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            return False
    if math.isinf(value) or (value == 0) != (not number):
        return False
    if Decimal(repr(value)) == number:
        return True
    with localcontext() as exactly:
        exactly.prec = 1200  # more than the places of any float and of any text that comes near one
        return abs(Decimal(value) - number) * 2 <= Decimal((0, (1,), int(number.as_tuple().exponent)))


def may_be_long(texts: pa.Array, kind: pa.DataType) -> bool:
    """Tell whether one of ``texts`` can spell a number that ``kind`` changes; never wrong when it says no."""
    import pyarrow.compute as pc

    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    return longest > _FLOAT_DIGITS[kind.bit_width] or bool(pc.any(pc.match_substring_regex(texts, "[eE]")).as_py())


def check_floats(texts: pa.Array, kind: pa.DataType) -> None:
    """Raise ``Unfit`` at the first number among ``texts`` that floats of type ``kind`` would change."""
    import pyarrow.compute as pc

    long = pc.greater(pc.utf8_length(texts), _FLOAT_DIGITS[kind.bit_width])
    odd = pc.or_(long, pc.match_substring_regex(texts, "[eE]"))
    for row in pc.indices_nonzero(pc.fill_null(odd, False)).to_pylist():  # noqa: FBT003 - the value to fill in
        text = texts[row].as_py()
        if not float_fits(text, kind.bit_width):
            raise Unfit(row, f"{shown(text)} has more digits, or is larger, than a float{kind.bit_width} can hold")


def parse_interval(text: str) -> tuple[int, int, int]:
    """Return months, days and nanoseconds of an ISO 8601 duration such as ``P1Y2M3DT4H5M6.7S``."""
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        raise ValueError(f"{shown(text)} is not an ISO 8601 duration")
    part = {name: int(value or 0) for name, value in found.groupdict().items() if name != "f"}
    nanos = int((found["f"] or "0").ljust(9, "0"))
    seconds = part["h"] * 3600 + part["min"] * 60 + part["s"]
    nanos = -nanos if (found["s"] or "").startswith("-") else nanos
    months, days, nanos = part["y"] * 12 + part["m"], part["w"] * 7 + part["d"], seconds * _SECOND + nanos
    if not (-_WORD <= months < _WORD and -_WORD <= days < _WORD and -_LONG_WORD <= nanos < _LONG_WORD):
        raise ValueError(f"{shown(text)} is too long for an interval")
    return months, days, nanos


def write_interval(months: int, days: int, nanos: int) -> str:
    """Return an ISO 8601 duration. Months, days and time stay apart: a month has no fixed length."""
    sign, rest = ("-" if nanos < 0 else ""), abs(nanos)
    seconds, fraction = divmod(rest, _SECOND)
    text = "P" + (f"{months}M" if months else "") + (f"{days}D" if days else "")
    if nanos or text == "P":
        tail = f".{fraction:09d}".rstrip("0") if fraction else ""
        text += f"T{sign}{seconds}{tail}S"
    return text


def parse_bytes(text: str) -> bytes:
    r"""Return the bytes that ``\x…`` spells."""
    if not text.startswith("\\x"):
        raise ValueError(f"{shown(text)} is not bytes: they are written \\x and hexadecimal digits")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError(f"{shown(text)} is not hexadecimal") from None


def parse_uuid(text: str) -> bytes:
    """Return the 16 bytes of a UUID (RFC 9562)."""
    try:
        return UUID(text).bytes
    except ValueError:
        raise ValueError(f"{shown(text)} is not a uuid") from None


def parse_time(text: str) -> time:
    """Return the time of day that ``HH:MM[:SS[.ffffff]]`` spells."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a time of day")
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a time of day") from None


def parse_decimal(value: str | int | Decimal, precision: int, scale: int) -> Decimal:
    """Return ``value`` when ``decimal(precision, scale)`` holds it exactly; ``ValueError`` otherwise."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{shown(value)} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{shown(value)} is not a finite number")
    _, digits, exponent = number.as_tuple()
    least = int(exponent)
    places = list(digits)
    while places and places[-1] == 0:  # trailing zeros need no room
        places.pop()
        least += 1
    if places and (-least > scale or len(places) + least > precision - scale):
        raise ValueError(f"{shown(value)} does not fit decimal({precision},{scale})")
    return number


def wrap(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return an array of ``kind``, also where it is an extension type, from Python values of its storage type."""
    import pyarrow as pa

    bare = _storage(kind)
    made = pa.array(values, bare)
    return made if bare == kind else made.cast(kind)


def _storage(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    if pa.types.is_list(kind):
        return pa.list_(_storage(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_storage(field.type)) for field in kind])
    return kind


def special(kind: pa.DataType) -> bool:
    """Tell whether values of ``kind`` are parsed from text one by one, here, because Arrow has no parser for it."""
    import pyarrow as pa

    return (
        isinstance(kind, pa.BaseExtensionType)
        or pa.types.is_nested(kind)
        or pa.types.is_interval(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_decimal256(kind)
    )


def from_text(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return ``texts`` as values of a ``special`` kind; ``Unfit`` at the first that is none."""
    import pyarrow as pa

    from sluicegate.kit import objects

    def element(text: str) -> Any:
        if isinstance(kind, pa.UuidType):
            return parse_uuid(text)
        if isinstance(kind, pa.JsonType):
            objects.parse(text.encode())
            return text
        if pa.types.is_nested(kind):
            return objects.shape(objects.parse(text.encode()), kind)
        if pa.types.is_interval(kind):
            return pa.MonthDayNano(parse_interval(text))
        if pa.types.is_decimal(kind):
            return parse_decimal(text, kind.precision, kind.scale)
        return parse_bytes(text)

    values: list[Any] = []
    for row, text in enumerate(texts.to_pylist()):
        try:
            values.append(None if text is None else element(text))
        except ValueError as fault:
            raise Unfit(row, str(fault)) from None
    return wrap(values, kind)


def to_text(column: pa.Array) -> pa.Array:  # noqa: PLR0911 - one way a type
    """Return ``column`` as text in the one spelling of its type; NULL stays NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from sluicegate.kit import objects

    kind = column.type
    if isinstance(kind, pa.UuidType):
        return pa.array([None if each is None else str(each) for each in column.to_pylist()], pa.string())
    if isinstance(kind, pa.JsonType):
        return column.storage.cast(pa.string())
    if pa.types.is_nested(kind):
        return pa.array(
            [None if each is None else objects.dump(objects.plain(each, kind)).decode() for each in column.to_pylist()],
            pa.string(),
        )
    if pa.types.is_interval(kind):
        return pa.array([None if each is None else write_interval(*each) for each in column.to_pylist()], pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if each is None else "\\x" + each.hex() for each in column.to_pylist()], pa.string())
    if pa.types.is_decimal(kind):
        texts = pc.cast(column, pa.string())
        if not pc.any(pc.match_substring(texts, "E")).as_py():
            return texts
        return pa.array([None if each is None else f"{each:f}" for each in column.to_pylist()], pa.string())
    if pa.types.is_timestamp(kind):
        texts = pc.replace_substring(pc.cast(column, pa.string()), " ", "T", max_replacements=1)
        return pc.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1")
    if pa.types.is_time(kind):
        return pc.replace_substring_regex(pc.cast(column, pa.string()), r"\.0+$", "")
    return pc.cast(column, pa.string())


def exact(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return ``column`` as ``kind`` with every value unchanged; ``Unfit`` at the first that would change."""
    import pyarrow as pa

    from sluicegate.kit.types import to_name

    if column.type == kind:
        return column
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        low, high = 0, len(column)  # the first row at fault lies in low..high
        while high - low > 1:
            middle = (low + high) // 2
            try:
                column.slice(low, middle - low).cast(kind)
            except pa.ArrowInvalid:
                high = middle
            else:
                low = middle
        raise Unfit(low, f"{shown(to_text(column.slice(low, 1))[0].as_py())} does not fit {to_name(kind)}") from None
