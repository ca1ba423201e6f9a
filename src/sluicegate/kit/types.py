"""The types of the product, by name, and their Arrow form.

``bool int8…int64 uint8…uint64 float32 float64 decimal(p,s) text bytes date time timestamp timestamptz interval uuid
json list(T) struct(name T, …)``. The same words stand in flows, snapshots, errors and docs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from sluicegate.base.flaws import Misfit

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "text",
    "bytes", "date", "time", "timestamp", "timestamptz", "interval", "uuid", "json",
)  # fmt: skip
_DECIMAL = re.compile(r"^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$")
_FIELD = re.compile(r'^\s*(?:"([^"]+)"|([A-Za-z_]\w*))\s+(.+)$', re.DOTALL)
_MAX_DEPTH = 16


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return parts


def check_type(text: str, depth: int = 0) -> str:
    """Return ``text`` when it names a type; ``ValueError`` otherwise."""
    text = text.strip()
    if depth > _MAX_DEPTH:
        msg = "types are nested too deeply"
        raise Misfit(msg)
    if text in _PLAIN:
        return text
    if found := _DECIMAL.match(text):
        precision, scale = int(found[1]), int(found[2])
        if 1 <= precision <= 76 and scale <= precision:  # noqa: PLR2004 - the range of Arrow's decimal256
            return f"decimal({precision},{scale})"
    if text.startswith("list(") and text.endswith(")"):
        return f"list({check_type(text[5:-1], depth + 1)})"
    if text.startswith("struct(") and text.endswith(")"):
        found_fields = [_FIELD.match(part) for part in _split(text[7:-1])]
        if all(found_fields):
            inner = ((one[1] or one[2], check_type(one[3], depth + 1)) for one in found_fields if one)
            return "struct(" + ", ".join(f'"{name}" {kind}' for name, kind in inner) + ")"
    msg = "is not a type; use " + " ".join(_PLAIN[:3]) + " … text date timestamp decimal(p,s) list(T) struct(name T, …)"
    raise Misfit(msg)


TypeName = Annotated[str, AfterValidator(check_type)]
"""A type by name, such as ``int64`` or ``decimal(12,2)``."""


def to_arrow(name: str) -> pa.DataType:
    """Return the Arrow type for a type name."""
    import pyarrow as pa

    name = check_type(name)
    plain: dict[str, pa.DataType] = {
        "bool": pa.bool_(), "int8": pa.int8(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(),
        "uint8": pa.uint8(), "uint16": pa.uint16(), "uint32": pa.uint32(), "uint64": pa.uint64(),
        "float32": pa.float32(), "float64": pa.float64(), "text": pa.string(), "bytes": pa.binary(),
        "date": pa.date32(), "time": pa.time64("us"), "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", "UTC"), "interval": pa.month_day_nano_interval(),
        "uuid": pa.uuid(), "json": pa.json_(),
    }  # fmt: skip
    if name in plain:
        return plain[name]
    if found := _DECIMAL.match(name):
        precision, scale = int(found[1]), int(found[2])
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)  # noqa: PLR2004
    if name.startswith("list("):
        return pa.list_(to_arrow(name[5:-1]))
    fields = (_FIELD.match(part) for part in _split(name[7:-1]))
    return pa.struct([(one[1] or one[2], to_arrow(one[3])) for one in fields if one])


_OPEN = b"sluicegate.open"


def opened(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a stream that has ended without a row, of which some types were never seen."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(field.name, pa.string() if pa.types.is_null(field.type) else field.type, metadata={_OPEN: b"1"})
            for field in schema
        ]
    )


def is_open(field: pa.Field) -> bool:
    """Tell whether no value has said what the type is, so that it contradicts no column of a target."""
    return bool(field.metadata and _OPEN in field.metadata)


def to_name(kind: pa.DataType) -> str:  # noqa: PLR0911 - one line for each type
    """Return the type name for an Arrow type; ``ValueError`` when we have no word for it."""
    import pyarrow as pa

    tests = (
        (pa.types.is_boolean, "bool"), (pa.types.is_string, "text"), (pa.types.is_large_string, "text"),
        (pa.types.is_string_view, "text"), (pa.types.is_binary, "bytes"), (pa.types.is_large_binary, "bytes"),
        (pa.types.is_fixed_size_binary, "bytes"), (pa.types.is_date, "date"), (pa.types.is_time, "time"),
        (pa.types.is_interval, "interval"), (pa.types.is_duration, "interval"), (pa.types.is_null, "text"),
    )  # fmt: skip
    if isinstance(kind, pa.UuidType):
        return "uuid"
    if isinstance(kind, pa.JsonType):
        return "json"
    if pa.types.is_integer(kind):
        return str(kind)
    if pa.types.is_floating(kind):
        return "float64" if kind == pa.float64() else "float32"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if pa.types.is_dictionary(kind):
        return to_name(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list({to_name(kind.value_type)})"
    if pa.types.is_struct(kind):
        return "struct(" + ", ".join(f'"{field.name}" {to_name(field.type)}' for field in kind) + ")"
    for test, name in tests:
        if test(kind):
            return name
    msg = f"no type name for {kind}"
    raise ValueError(msg)
