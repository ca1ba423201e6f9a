"""A transform that only chooses columns, and fields of structs, done in the task: nothing is computed, so no jail.

Only where the jail would give back the very same values in the very same types, and where every name is written exactly
as it is: all else, every error too, is the jail's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

Path = tuple[str, ...]
"""A column, and below it a field, and so on."""


def find(chosen: Mapping[str, Path] | None, schema: pa.Schema) -> list[list[int]] | None:
    """Return the place of each chosen value, ``[column, field, …]``; ``None`` when the jail must look."""
    if chosen is None or not all(_same(field.type) for field in schema):
        return None
    places: list[list[int]] = []
    for path in chosen.values():
        fields, place = list(schema), list[int]()
        for name in path:
            alike = [number for number, field in enumerate(fields) if field.name.lower() == name.lower()]
            if len(alike) != 1 or fields[alike[0]].name != name:
                return None
            place.append(alike[0])
            fields = _fields(fields[alike[0]].type)
        if fields:  # a struct as a whole
            return None
        places.append(place)
    return places


def project(rows: pa.RecordBatchReader, names: Sequence[str], places: Sequence[Sequence[int]]) -> pa.RecordBatchReader:
    """Return the values at ``places``, under these names."""
    import pyarrow as pa

    kinds = []
    for first, *rest in places:
        kind = rows.schema.field(first).type
        for place in rest:
            kind = kind.field(place).type
        kinds.append(kind)
    schema = pa.schema(list(zip(names, kinds, strict=True)))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            arrays = []
            for first, *rest in places:
                array = batch.column(first)
                for place in rest:
                    array = array.flatten()[place]  # NULL where the struct is
                arrays.append(array)
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _fields(kind: pa.DataType) -> list[pa.Field]:
    import pyarrow as pa

    return list(kind) if pa.types.is_struct(kind) else []


def _same(kind: pa.DataType) -> bool:
    """Tell whether values of this type, and the type, come back from the jail as they went in."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        alone = len({field.name.lower() for field in kind}) == kind.num_fields > 0
        return alone and all(_same(field.type) for field in kind)
    if isinstance(kind, pa.BaseExtensionType):
        return isinstance(kind, pa.JsonType | pa.UuidType)
    if pa.types.is_timestamp(kind):
        return kind.unit == "us" and kind.tz in (None, "UTC")
    plain = (pa.bool_(), pa.string(), pa.binary(), pa.date32(), pa.time64("us"), pa.float32(), pa.float64())
    return kind in plain or pa.types.is_integer(kind) or pa.types.is_decimal128(kind)
