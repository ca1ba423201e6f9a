"""Times finer than DuckDB's, before they reach it: it would cut a ``timestamptz`` to microseconds without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sluicegate.base.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def kept(rows: pa.RecordBatchReader, step: str) -> pa.RecordBatchReader:
    """Return the rows of ``step`` with such columns in microseconds; ``DataError`` for a value that does not fit."""
    import pyarrow as pa

    schema = pa.schema([field.with_type(_held(field.type)) for field in rows.schema])
    if schema.equals(rows.schema):
        return rows

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            columns = [_cast(values, field, step) for values, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _held(kind: pa.DataType) -> pa.DataType:
    """Return the type as DuckDB holds it."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind) and kind.tz is not None and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_held(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_held(field.type)) for field in kind])
    return kind


def _cast(values: pa.Array, field: pa.Field, step: str) -> pa.Array:
    import pyarrow as pa

    if values.type.equals(field.type):
        return values
    try:
        return values.cast(field.type)
    except pa.ArrowInvalid:
        raise DataError(
            f"the column {field.name!r} has times finer than a microsecond, which a query cannot hold",
            where=f"step {step}",
            hint="Leave it out in the step that reads, or have it written in microseconds.",
        ) from None
