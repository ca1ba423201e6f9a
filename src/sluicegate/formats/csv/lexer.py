"""Where a CSV record ends, and the input cut into blocks of whole records."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sluicegate.base.errors import DataError
from sluicegate.kit.inflate import Inflated
from sluicegate.kit.rows import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.formats.csv import Csv
    from sluicegate.kit.format import Decoding

_MAX_RECORD = 16 << 20
_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r)")


class Block(NamedTuple):
    """Some whole records, in UTF-8."""

    data: bytes
    line: int
    """Line of its first record (1-based)."""


def count_lines(data: bytes) -> int:
    """Return how many line ends there are: LF, CRLF or CR."""
    ends = data.count(b"\n")
    return ends + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else ends


class Lexer:
    """Finds where records end. A regular expression with possessive quantifiers (no backtracking), run in C."""

    def __init__(self, form: Csv) -> None:
        mark, quote = re.escape(form.delimiter.encode()), re.escape(form.quote.encode())
        self._quote, self._escape, self._comment = form.quote.encode(), form.escape.encode(), form.comment.encode()
        part, closed = rb"[^\r\n]++", rb""
        if quote:
            begun = rb"(?:(?<=[%b\r\n])|\A)%b(?:[^%b]++|%b%b)*+%b" % (mark, quote, quote, quote, quote, quote)
            stray = rb"(?<=[^%b\r\n])%b" % (mark, quote)
            part = rb"[^%b\r\n]++|%b|%b" % (quote, begun, stray)
            closed = rb"(?:[^%b]++|%b|%b)*+" % (quote, begun, stray)
        record = rb"(?:%b)*+" % part
        if form.escape:
            record = _escaped(mark, quote, re.escape(self._escape))
        if form.comment:
            record = rb"(?:%b[^\r\n]*+|%b)" % (re.escape(self._comment), record)
        record += rb"(?:\r\n|\n|\r)"
        self._record, self._records = re.compile(record), re.compile(rb"(?:%b)*+" % record)
        self._closed = re.compile(closed)
        """Matches up to a quoted field that does not end, whatever the records."""

    def end(self, data: bytes, *, last: bool) -> int:
        """Return where the last whole record of ``data`` ends. Unless ``last``, a final CR may be half of a CRLF."""
        stop = len(data) - 1 if data.endswith(b"\r") and not last else len(data)
        if self._escape or self._comment:
            found = self._records.match(data, 0, stop)
            return found.end() if found else 0
        if self.quoted(data):
            closed = self._closed.match(data, 0, stop)
            reached = closed.end() if closed else 0
            after = data.rfind(self._quote, 0, reached) + 1  # no line end after the last quote is within a field
            ended = max(data.rfind(b"\n", after, reached), data.rfind(b"\r", after, reached)) + 1
            if ended:
                return ended
            found = self._records.match(data, 0, stop)
            return found.end() if found else 0
        return max(data.rfind(b"\n", 0, stop), data.rfind(b"\r", 0, stop)) + 1

    def quoted(self, data: bytes) -> bool:
        """Tell whether there is any quote, or anything else by which a line end ends no record."""
        return bool(self._quote and self._quote in data) or bool(self._escape and self._escape in data)

    def uncommented(self, block: Block) -> Iterator[Block]:
        """Yield the block without the lines that are comments."""
        data, mark = block.data, self._comment
        if not mark or not (data.startswith(mark) or b"\n" + mark in data or b"\r" + mark in data):
            yield block
            return
        begin, line, counted = 0, block.line, 0
        for start, stop in self.spans(data, blank=True):
            if data.startswith(mark, start):
                if start > begin:
                    yield Block(data[begin:start], line + count_lines(data[counted:begin]))
                    line, counted = line + count_lines(data[counted:begin]), begin
                begin = stop
        if begin < len(data):
            yield Block(data[begin:], line + count_lines(data[counted:begin]))

    def spans(self, data: bytes, *, blank: bool) -> list[tuple[int, int]]:
        """Return where each record begins and ends; blank lines only when ``blank``."""
        found = (match.span() for match in self._record.finditer(data))
        return [span for span in found if blank or data[slice(*span)].strip(b"\r\n")]


def _escaped(mark: bytes, quote: bytes, escape: bytes) -> bytes:
    """Return the expression of a record without its end, where ``escape`` makes the next byte stand for itself."""
    single = rb"%b[\s\S]" % escape
    if not quote:
        return rb"(?:[^%b\r\n]++|%b)*+" % (escape, single)
    field = rb"(?:%b(?:[^%b%b]++|%b|%b%b)*+%b|(?!%b))" % (quote, quote, escape, single, quote, quote, quote, quote)
    return rb"%b(?:[^%b%b%b\r\n]++|%b|%b%b|%b)*+" % (field, quote, escape, mark, single, mark, field, quote)


def _drop(data: bytes, line: int, count: int, how: Decoding, *, last: bool) -> tuple[bytes, int, int]:
    """Return ``data`` without its first ``count`` lines, the line it then begins with, and how many are to come."""
    place = 0
    while count and (found := _LINE.match(data, place)) and (last or found.end() < len(data)):
        place, line, count = found.end(), line + 1, count - 1
    if count and last:
        raise DataError(f"The file ends at line {line - 1}, among the lines to skip.", where=how.item)
    if count and len(data) - place > _MAX_RECORD:
        raise DataError("A line is too long.", where=f"{how.item}: line {line}")
    return data[place:], line, count


def read_blocks(form: Csv, lexer: Lexer, data: BinaryIO, how: Decoding) -> Iterator[Block]:
    """Yield the input in UTF-8, cut into blocks of whole records."""
    source, rest, line = Inflated(data, how.item, how.max_bytes), b"", 1
    decoder = None if form.encoding == "utf-8" else codecs.getincrementaldecoder(form.encoding)()
    first, skip = True, form.skip
    while True:
        part = source.read(BATCH_BYTES)
        last = not part
        if decoder is not None:
            try:
                part = decoder.decode(part, final=last).encode()
            except UnicodeError:
                place = f"{how.item}: after line {line + count_lines(rest)}"
                raise DataError(f"Not valid {form.encoding}.", where=place) from None
        if first:
            part, first = part.removeprefix(codecs.BOM_UTF8), False
        rest += part
        if last and rest and not rest.endswith((b"\n", b"\r")):
            rest += b"\n"
        if skip:
            rest, line, skip = _drop(rest, line, skip, how, last=last)
            if skip:
                continue
        end = lexer.end(rest, last=last)
        if end:
            yield from lexer.uncommented(Block(rest[:end], line))
            line += count_lines(rest[:end])
            rest = rest[end:]
        if rest and (last or len(rest) > _MAX_RECORD):
            raise DataError(
                "A quoted value does not end." if lexer.quoted(rest) else "A line is too long.",
                where=f"{how.item}: line {line}", hint="A field that begins with a quote must end with one.",
            )  # fmt: skip
        if last:
            return
