"""Values of a column as bytes that say the same whatever the column's width: what is hashed, sealed and opened."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa

SPELLED = (
    "text", "bytes", "json", "uuid", "date", "timestamp", "timestamptz", "decimal",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip
"""Types whose values have one spelling. Floats have many, and two values or three would be guessed."""


def family(kind: str) -> str:
    """Return a type's name without what stands in parentheses."""
    return kind.partition("(")[0]


class Distinct:
    """The distinct values of an array, spelled, and where each stands: work is done once for each."""

    def __init__(self, values: pa.Array[Any]) -> None:
        """Look through ``values``, of one of the types of ``SPELLED``."""
        import pyarrow.compute as pc

        coded = pc.dictionary_encode(_storage(values))
        self.spelled: list[bytes] = _spell(values.type, coded.dictionary)
        """Of each distinct value but NULL."""
        self._places = coded.indices

    def spread(self, made: pa.Array[Any]) -> pa.Array[Any]:
        """Return what was made of each distinct value, in its places; NULL stays NULL."""
        return made.take(self._places)

    def rows(self, distinct: set[int]) -> list[int]:
        """Return the rows in which these distinct values stand."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not distinct:
            return []
        wanted = pa.array(sorted(distinct), self._places.type)
        return [int(row) for row in pc.indices_nonzero(pc.is_in(self._places, value_set=wanted)).to_pylist()]


def _storage(values: pa.Array[Any]) -> pa.Array[Any]:
    """Return the same values in a type that Arrow tells apart, with one width for each kind of moment."""
    import pyarrow as pa

    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        return values.cast(pa.string())
    if pa.types.is_timestamp(values.type):
        wide = pa.timestamp("us", "UTC" if values.type.tz else None)
        try:
            return values.cast(wide)
        except pa.ArrowInvalid:  # finer than a microsecond: no two spellings there
            return values
    if pa.types.is_date(values.type):
        return values.cast(pa.date32())
    return values


def _spell(kind: pa.DataType, values: pa.Array[Any]) -> list[bytes]:
    import pyarrow as pa

    if isinstance(kind, pa.UuidType):
        return [str(UUID(bytes=each)).encode() for each in values.to_pylist()]
    if pa.types.is_decimal(values.type):
        return [_plain(each).encode() for each in values.to_pylist()]
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary)
    if not any(test(values.type) for test in known):
        large = pa.types.is_large_binary(values.type) or pa.types.is_fixed_size_binary(values.type)
        values = values.cast(pa.binary() if large else pa.string())
    return [each.encode() if isinstance(each, str) else bytes(each) for each in values.to_pylist()]


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def parse(spelled: list[bytes | None], kind: str) -> tuple[pa.Array[Any], set[int]]:
    """Return values of type ``kind`` from their spelling, and the places of those that are none; they are NULL."""
    import pyarrow as pa

    from sluicegate.kit.types import to_arrow

    wanted = to_arrow(kind)
    if kind == "bytes":
        return pa.array(spelled, wanted), set()
    bad: set[int] = set()

    def tried(place: int, read: Callable[[bytes], Any]) -> Any:
        raw = spelled[place]
        if raw is None:
            return None
        try:
            return read(raw)
        except (ValueError, pa.ArrowInvalid):
            bad.add(place)
            return None

    if kind == "uuid":
        found = [tried(place, lambda raw: UUID(raw.decode()).bytes) for place in range(len(spelled))]
        return pa.ExtensionArray.from_storage(wanted, pa.array(found, pa.binary(16))), bad
    texts = pa.array([tried(place, bytes.decode) for place in range(len(spelled))], pa.string())
    if kind in ("text", "json"):
        return (texts if kind == "text" else pa.ExtensionArray.from_storage(wanted, texts)), bad
    try:
        return texts.cast(wanted), bad
    except pa.ArrowInvalid:
        one = [tried(place, lambda raw: pa.scalar(raw.decode()).cast(wanted).as_py()) for place in range(len(spelled))]
        return pa.array(one, wanted), bad
