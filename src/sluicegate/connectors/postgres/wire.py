"""Arrow columns as binary COPY data (pgpq), and as text where PostgreSQL must parse the value itself.

A plan is made per column before the first row: what cannot be held is refused by type at once, what may not fit is
checked by value, so that the server never rounds or cuts silently.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.base.errors import DataError
from sluicegate.connectors.postgres.link import quoted
from sluicegate.kit.text import Unfit, exact, to_text
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from sluicegate.connectors.postgres.catalogue import Column

_INTS = {"int2": "int16", "int4": "int32", "int8": "int64"}
_TEXTS = frozenset({"text", "varchar", "bpchar", "name"})
_SAME = {
    "bool": "bool", "bytea": "bytes", "date": "date", "time": "time", "timestamp": "timestamp",
    "timestamptz": "timestamptz", "interval": "interval", "uuid": "uuid", "float4": "float32", "float8": "float64",
}  # fmt: skip
_SPELLED = frozenset({"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json"})
_MAX128 = 38


class Plan(NamedTuple):
    """How one column travels."""

    name: str
    encode: Callable[[pa.Array], pa.Array]
    wire: pa.DataType
    """Arrow type handed to pgpq."""
    jsonb: bool
    staged: str
    """Type of the column in a staging table."""
    insert: str
    """Expression that turns the staged column into the target's."""
    direct: bool
    """Whether binary data can go into the target itself."""


def plan(field: pa.Field, column: Column, where: str) -> Plan:  # noqa: PLR0911 - one way a type
    """Return how ``field`` travels into ``column``. ``DataError`` when that would change values."""
    import pyarrow as pa

    want, base, name = to_name(field.type), column.base, quoted(column.name)
    own = to_arrow(want)

    def straight(encode: Callable[[pa.Array], pa.Array], wire: pa.DataType, *, jsonb: bool = False) -> Plan:
        return Plan(field.name, encode, wire, jsonb, column.type_sql, name, direct=True)

    def spelled(insert: str) -> Plan:
        return Plan(
            field.name, lambda each: to_text(exact(each, own)), pa.string(), jsonb=False, staged="text",
            insert=insert, direct=False,
        )  # fmt: skip

    whole = pa.types.is_integer(own)
    if base in _INTS and whole:
        wire = to_arrow(_INTS[base])
        return straight(lambda each: exact(each, wire), wire)
    if base == "numeric" and (whole or pa.types.is_decimal(own)):
        if pa.types.is_decimal(column.kind) and column.kind.precision <= _MAX128:
            return straight(lambda each: _decimal(exact(each, own), column.kind), column.kind)
        if column.bare:
            return spelled(f"{name}::pg_catalog.numeric")
        return spelled(f"{name}::{column.type_sql}") if _roomy(own, column.kind) else _refuse(field, column, where)
    if base in _SAME and (_SAME[base] == want or (base, want) == ("float8", "float32")):
        return _same(field, column, own, straight, where)
    if base in _TEXTS and (want == "text" or want in _SPELLED or want.startswith("decimal(")):
        return straight(lambda each: to_text(exact(each, own)), pa.string())
    if base in ("json", "jsonb") and (want == "json" or pa.types.is_nested(own)):
        return straight(lambda each: to_text(exact(each, own)), pa.string(), jsonb=base == "jsonb")
    if column.element and own == column.kind:
        items = f"array(select i.v::{column.element} from pg_catalog.jsonb_array_elements_text({name}::jsonb) as i(v))"  # noqa: S608 - quoted
        return spelled(f"case when {name} is not null then {items} end")
    if column.bare and want == "text":
        return spelled(f"{name}::{column.type_sql}")
    return _refuse(field, column, where)


def passing(column: Column) -> Plan:
    """Return the plan of a column whose values come in COPY's binary form already: nobody encodes them."""
    name = quoted(column.name)
    return Plan(
        column.name, lambda each: each, column.kind, jsonb=False, staged=column.type_sql, insert=name, direct=True
    )


def _refuse(field: pa.Field, column: Column, where: str) -> Plan:
    raise DataError(
        f"The column is {column.declared} and cannot hold {to_name(field.type)} unchanged.",
        where=f"{where}: column {column.name}", hint="Cast it in a map step.",
    )  # fmt: skip


def _roomy(own: pa.DataType, target: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_integer(own):
        own = pa.decimal128(20, 0)
    return bool(target.scale >= own.scale and target.precision - target.scale >= own.precision - own.scale)


def _same(field: pa.Field, column: Column, own: pa.DataType, straight: Callable[..., Plan], where: str) -> Plan:
    import pyarrow as pa

    if column.base == "interval":
        if column.mod >= 0:
            return _refuse(field, column, where)
        return straight(_interval, pa.binary(16))
    if column.base == "uuid":
        return straight(lambda each: each.storage, pa.binary(16))
    if column.base in ("time", "timestamp", "timestamptz") and 0 <= column.mod < 6:  # noqa: PLR2004 - microseconds
        unit = 10 ** (6 - column.mod)
        return straight(lambda each: _rounded(exact(each, own), unit, column.declared), own)
    wire = pa.float64() if column.base == "float8" else own
    return straight(lambda each: exact(each, wire), wire)


def _decimal(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        column = column.cast(pa.decimal128(20, 0))
    return exact(column, kind)


def _rounded(column: pa.Array, unit: int, declared: str) -> pa.Array:
    """Return ``column`` when no value has more places of a second than its target keeps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    micros = column.cast(pa.int64())
    odd = pc.index(pc.not_equal(pc.multiply(pc.divide(micros, unit), unit), micros), True).as_py()
    if odd >= 0:
        raise Unfit(odd, f"{column[odd].as_py()} has more places than {declared} keeps")
    return column


def _interval(column: pa.Array) -> pa.Array:
    """Return intervals as PostgreSQL's binary form: microseconds, days, months."""
    import pyarrow as pa

    made: list[bytes | None] = []
    for row, value in enumerate(column.to_pylist()):
        if value is None:
            made.append(None)
            continue
        if value.nanoseconds % 1000:
            raise Unfit(row, "an interval has more places than microseconds")
        made.append(struct.pack(">qii", value.nanoseconds // 1000, value.days, value.months))
    return pa.array(made, pa.binary(16))


class Encoder:
    """Batches to binary COPY data."""

    def __init__(self, plans: list[Plan]) -> None:
        """Prepare for these columns."""
        import pyarrow as pa
        from pgpq import ArrowToPostgresBinaryEncoder, encoders, schema

        self._plans = plans
        self._schema = pa.schema([(each.name, each.wire) for each in plans])
        made: dict[str, Any] = {}
        for field, each in zip(self._schema, plans, strict=True):
            made[each.name] = (
                encoders.StringEncoderBuilder.new_with_output(field, schema.Jsonb())
                if each.jsonb else ArrowToPostgresBinaryEncoder.infer_encoder(field)
            )  # fmt: skip
        self._encoder = ArrowToPostgresBinaryEncoder.new_with_encoders(self._schema, made)
        self.begin: Callable[[], bytes] = self._encoder.write_header
        self.finish: Callable[[], bytes] = self._encoder.finish

    def batch(self, batch: pa.RecordBatch, first_row: int, where: str) -> bytes:
        """Encode one batch; ``DataError`` names column, row and value that do not fit."""
        import pyarrow as pa

        arrays = []
        for each, column in zip(self._plans, batch.columns, strict=True):
            try:
                arrays.append(each.encode(column))
            except Unfit as fault:
                place = f"{where}: column {each.name}, row {first_row + fault.row + 1}"
                raise DataError(fault.reason, where=place) from None
        return bytes(self._encoder.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema)))
