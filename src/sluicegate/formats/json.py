"""``json``: a document that is an array of objects, read and written as a stream."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from sluicegate.base.errors import DataError
from sluicegate.kit import records
from sluicegate.kit.format import Decoding, Encoder, Format
from sluicegate.kit.inflate import Deflated, Inflated, packings
from sluicegate.kit.objects import MARKS
from sluicegate.kit.rows import BATCH_BYTES
from sluicegate.kit.types import TypeName

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_FLAT = re.compile(rb'\{(?:[^{}\[\]"]++|"(?:[^"\\]++|\\.)*+")*+\}', re.DOTALL)
_WORD = re.compile(rb"[^\s,\[\]{}\"]+")
_SPACE = re.compile(rb"[ \t\r\n]*")


class Json(Format):
    """A JSON document: an array of objects, plain or packed (gzip, zstd, LZ4, bzip2, xz)."""

    type: Literal["json"] = "json"
    columns: dict[str, TypeName] | None = None
    """Types by key. With this, and without a snapshot, these are all the columns there are."""

    suffixes: ClassVar[tuple[str, ...]] = packings(".json")

    def decode(self, data: BinaryIO, how: Decoding) -> pa.RecordBatchReader:
        """Return the rows lazily; each object that does not fit is rejected with the line it starts on."""
        return records.decode(records.gather(_Scan(data, how).elements()), self.columns, how)

    def encoder(self, schema: pa.Schema, out: BinaryIO, item: str = "") -> Encoder:
        """Begin an output."""
        return _Writing(schema, out, item)


class _Scan:
    """Cuts the array into its elements without parsing them; holds one block and one element at a time."""

    def __init__(self, data: BinaryIO, how: Decoding) -> None:
        self._source, self._item = Inflated(data, how.item, how.max_bytes), how.item
        self._buffer, self._place, self._line, self._over = b"", 0, 1, False
        self._more()
        self._buffer = self._buffer.removeprefix(codecs.BOM_UTF8)

    def elements(self) -> Iterator[records.Found]:
        """Yield the elements of the array; a single object at the top counts as an array of one."""
        if self._peek() == b"{":
            yield self._element()
        elif self._peek() == b"[":
            self._step(self._place + 1)
            if self._peek() == b"]":
                self._step(self._place + 1)
            else:
                yield from self._items()
        else:
            raise self._fault("The document is not an array of objects.")
        if self._peek():
            raise self._fault("There is more after the end of the document.")

    def _items(self) -> Iterator[records.Found]:
        while True:
            yield self._element()
            mark = self._peek()
            if mark not in (b",", b"]"):
                raise self._fault("The document ends early." if not mark else "Not JSON: a comma is missing.")
            self._step(self._place + 1)
            if mark == b"]":
                return

    def _peek(self) -> bytes:
        """Return the next byte that is not space; empty at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._place)
            self._step(found.end() if found else self._place)
            if self._place < len(self._buffer) or not self._more():
                return self._buffer[self._place : self._place + 1]

    def _step(self, place: int) -> None:
        self._line += self._buffer.count(b"\n", self._place, place)
        self._place = place

    def _more(self) -> bool:
        part = self._source.read(BATCH_BYTES)
        self._buffer, self._place = self._buffer[self._place :] + part, 0
        return bool(part)

    def _element(self) -> records.Found:
        self._peek()
        while True:
            end = self._end()
            if end is not None:
                found = records.Found(self._line, self._buffer[self._place : end])
                self._step(end)
                return found
            if len(self._buffer) - self._place > records.MAX_OBJECT:
                raise self._fault("An element is too long.")
            if not self._more():
                raise self._fault("The document ends early.")

    def _end(self) -> int | None:
        """Return where the element at hand ends; ``None`` when the buffer does not hold all of it."""
        if found := _FLAT.match(self._buffer, self._place):
            return found.end()
        if found := _WORD.match(self._buffer, self._place):
            return found.end() if found.end() < len(self._buffer) else None
        depth = 0
        for found in MARKS.finditer(self._buffer, self._place):
            mark = found[0]
            if mark == b'"':
                return None  # a string that goes on
            if mark in (b"{", b"["):
                depth += 1
            elif mark in (b"}", b"]"):
                depth -= 1
            if depth <= 0:
                if found.start() > self._place and mark not in (b"}", b"]"):
                    raise self._fault("Not JSON: an element is missing.")
                return found.end()
        if self._buffer[self._place : self._place + 1] == b",":
            raise self._fault("Not JSON: an element is missing.")
        return None

    def _fault(self, message: str) -> DataError:
        return DataError(message, where=f"{self._item}: line {self._line}")


class _Writing:
    def __init__(self, schema: pa.Schema, out: BinaryIO, item: str) -> None:
        self._out, self._lines = Deflated(out, item), records.Lines(schema, item)
        self._before = b"["

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode one batch."""
        if batch.num_rows:
            self._out.write(self._before + b",\n".join(self._lines(batch)))
            self._before = b",\n"

    def close(self) -> None:
        """Write what must stand at the end."""
        self._out.write(b"[]\n" if self._before == b"[" else b"]\n")
        self._out.close()
