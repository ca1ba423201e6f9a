"""``ndjson``: one JSON object a line (also called JSON Lines)."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from sluicegate.base.errors import DataError
from sluicegate.kit import records
from sluicegate.kit.format import Decoding, Encoder, Format
from sluicegate.kit.inflate import Deflated, Inflated, packings
from sluicegate.kit.rows import BATCH_BYTES
from sluicegate.kit.types import TypeName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa


class Ndjson(Format):
    """One JSON object a line, plain or packed (gzip, zstd, LZ4, bzip2, xz)."""

    type: Literal["ndjson"] = "ndjson"
    columns: dict[str, TypeName] | None = None
    """Types by key. With this, and without a snapshot, these are all the columns there are."""

    suffixes: ClassVar[tuple[str, ...]] = packings(".ndjson", ".jsonl")

    def decode(self, data: BinaryIO, how: Decoding) -> pa.RecordBatchReader:
        """Return the rows lazily; each object that does not fit is rejected with its line."""
        return records.decode(_lines(data, how), self.columns, how)

    def encoder(self, schema: pa.Schema, out: BinaryIO, item: str = "") -> Encoder:
        """Begin an output."""
        return _Writing(schema, out, item)


def _lines(data: BinaryIO, how: Decoding) -> Iterator[records.Texts]:
    source, rest, line = Inflated(data, how.item, how.max_bytes), b"", 0
    while part := source.read(BATCH_BYTES):
        if not line and not rest:
            part = part.removeprefix(codecs.BOM_UTF8)
        whole = (rest + part).split(b"\n")
        rest = whole.pop()
        if len(rest) > records.MAX_OBJECT:
            raise DataError("The line is too long.", where=f"{how.item}: line {line + len(whole) + 1}")
        lines: Sequence[int] = range(line + 1, line + 1 + len(whole))
        line += len(whole)
        if not all(whole) or any(map(bytes.isspace, whole)):
            kept = [(number, text) for number, text in zip(lines, whole, strict=True) if text.strip()]
            lines, whole = [number for number, _ in kept], [text for _, text in kept]
        if whole:
            yield records.Texts(lines, whole)
    if rest.strip():
        yield records.Texts([line + 1], [rest])


class _Writing:
    def __init__(self, schema: pa.Schema, out: BinaryIO, item: str) -> None:
        self._out, self._lines = Deflated(out, item), records.Lines(schema, item)

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode one batch."""
        if batch.num_rows:
            self._out.write(b"\n".join(self._lines(batch)) + b"\n")

    def close(self) -> None:
        """Write what must stand at the end."""
        self._out.close()
