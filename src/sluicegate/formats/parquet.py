"""``parquet``: Apache Parquet, read row group by row group, written with zstd."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from sluicegate.base.errors import DataError
from sluicegate.kit.format import Decoding, Encoder, Format
from sluicegate.kit.rows import BATCH_BYTES
from sluicegate.kit.text import shown
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    import pyarrow.parquet as pq

_GROUP_ROWS = 1 << 17
_GROUP_BYTES = 16 << 20
_BATCH_ROWS = 1 << 16
_THRIFT = 64 << 20
_SAMPLE_ROWS = 1 << 13
_REPEATS = 8
"""Values of a sample to one that is distinct, from which a dictionary pays: else it takes twice the time to write, and
more room, as its pages are not packed as well."""


class Parquet(Format):
    """Apache Parquet. Types come from the file itself."""

    type: Literal["parquet"] = "parquet"

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)
    seeks: ClassVar[bool] = True

    def decode(self, data: BinaryIO, how: Decoding) -> pa.RecordBatchReader:
        """Return the rows lazily. ``DataError``: no Parquet, truncated, too large, or not as in the snapshot."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not data.seekable():
            raise DataError("Parquet is read from its end, and this input cannot be.", where=how.item)
        try:
            file = pq.ParquetFile(
                data, pre_buffer=False, buffer_size=BATCH_BYTES, page_checksum_verification=True,
                thrift_string_size_limit=_THRIFT, thrift_container_size_limit=1 << 20,
            )  # fmt: skip
        except (pa.ArrowException, OSError) as fault:
            raise DataError(f"Not a whole Parquet file: {_reason(fault)}", where=how.item) from None
        self._check(file, how)
        return pa.RecordBatchReader.from_batches(file.schema_arrow, _batches(file, how))

    @staticmethod
    def _check(file: pq.ParquetFile, how: Decoding) -> None:
        meta = file.metadata
        size = sum(meta.row_group(place).total_byte_size for place in range(meta.num_row_groups))
        if size > how.max_bytes:
            raise DataError(f"The file unpacks to {size} bytes; {how.max_bytes} are allowed.", where=how.item)
        fields = {field.name: field for field in file.schema_arrow}
        if len(fields) != len(file.schema_arrow):
            raise DataError("Two columns have the same name.", where=how.item)
        for name, kind in (how.columns or {}).items():
            if name not in fields:
                raise DataError(f"The column {shown(name)} of the snapshot is not in the file.", where=how.item)
            found = to_name(fields[name].type)
            if to_arrow(found) != to_arrow(kind):
                raise DataError(
                    f"The column is {found}, and {kind} in the snapshot.", where=f"{how.item}: column {name}"
                )

    def encoder(self, schema: pa.Schema, out: BinaryIO, item: str = "") -> Encoder:
        """Begin an output; the schema's metadata is kept."""
        return _Writing(schema, out, item)


def _reason(fault: Exception) -> str:
    return str(fault).split("\n", 1)[0][:200]


def _batches(file: pq.ParquetFile, how: Decoding) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    meta, left, budget = file.metadata, how.limit, how.max_bytes
    for group in range(meta.num_row_groups):
        part = meta.row_group(group)
        rows = max(1, min(_BATCH_ROWS, BATCH_BYTES * part.num_rows // max(part.total_byte_size, 1)))
        try:
            for batch in file.iter_batches(rows, row_groups=[group], use_threads=False):
                kept = batch if left is None else batch.slice(0, left)
                budget -= kept.nbytes  # the sizes in the footer are only what the file says of itself
                if budget < 0:
                    raise DataError(f"The file unpacks to more than {how.max_bytes} bytes.", where=how.item)
                left = None if left is None else left - kept.num_rows
                if kept.num_rows:
                    yield kept
                if left == 0:
                    return
        except (pa.ArrowException, OSError) as fault:
            raise DataError(f"The Parquet file is damaged: {_reason(fault)}", where=how.item) from None


class _Writing:
    def __init__(self, schema: pa.Schema, out: BinaryIO, item: str) -> None:
        import pyarrow as pa

        self._schema, self._out, self._rows, self._bytes = schema, out, 0, 0
        self._held: list[pa.RecordBatch] = []
        self._writer: pq.ParquetWriter | None = None
        try:
            self._open(pa.BufferOutputStream(), []).close()  # what has no form is told before the first row
        except pa.ArrowNotImplementedError:
            raise DataError(
                "Parquet has no form for intervals.", where=item, hint="Cast the column to text in a map step."
            ) from None

    def _open(self, out: BinaryIO, dictionaries: list[str]) -> pq.ParquetWriter:
        import pyarrow.parquet as pq

        return pq.ParquetWriter(
            out, self._schema, compression="zstd", compression_level=1, store_schema=True, write_page_checksum=True,
            use_dictionary=dictionaries,
        )  # fmt: skip

    def write(self, batch: pa.RecordBatch) -> None:
        """Hold the batch until a row group is full."""
        self._held.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        table = pa.Table.from_batches(self._held, self._schema)
        if self._writer is None:
            self._writer = self._open(self._out, list(_repetitive(table.slice(0, _SAMPLE_ROWS))))
        if self._rows:
            self._writer.write_table(table, row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        if self._writer is not None:
            self._writer.close()


def _repetitive(sample: pa.Table) -> Iterator[str]:
    """Yield the columns whose values come again and again."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for field, values in zip(sample.schema, sample.columns, strict=True):
        kind = field.type
        plain = not pa.types.is_nested(kind) and not isinstance(kind, pa.BaseExtensionType)
        if plain and pc.count_distinct(values, mode="all").as_py() * _REPEATS <= len(values):
            yield field.name
