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
        self._quote = form.quote.encode()
        part, closed = rb"[^\r\n]++", rb""
        if quote:
            begun = rb"(?:(?<=[%b\r\n])|\A)%b(?:[^%b]++|%b%b)*+%b" % (mark, quote, quote, quote, quote, quote)
            stray = rb"(?<=[^%b\r\n])%b" % (mark, quote)
            part = rb"[^%b\r\n]++|%b|%b" % (quote, begun, stray)
            closed = rb"(?:[^%b]++|%b|%b)*+" % (quote, begun, stray)
        record = rb"(?:%b)*+(?:\r\n|\n|\r)" % part
        self._record, self._records = re.compile(record), re.compile(rb"(?:%b)*+" % record)
        self._closed = re.compile(closed)
        """Matches up to a quoted field that does not end, whatever the records."""

    def end(self, data: bytes, *, last: bool) -> int:
        """Return where the last whole record of ``data`` ends. Unless ``last``, a final CR may be half of a CRLF."""
        stop = len(data) - 1 if data.endswith(b"\r") and not last else len(data)
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
        """Tell whether there is any quote."""
        return bool(self._quote) and self._quote in data

    def spans(self, data: bytes, *, blank: bool) -> list[tuple[int, int]]:
        """Return where each record begins and ends; blank lines only when ``blank``."""
        found = (match.span() for match in self._record.finditer(data))
        return [span for span in found if blank or data[slice(*span)].strip(b"\r\n")]


def read_blocks(form: Csv, lexer: Lexer, data: BinaryIO, how: Decoding) -> Iterator[Block]:
    """Yield the input in UTF-8, cut into blocks of whole records."""
    source, rest, line = Inflated(data, how.item, how.max_bytes), b"", 1
    decoder = None if form.encoding == "utf-8" else codecs.getincrementaldecoder(form.encoding)()
    first = True
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
        end = lexer.end(rest, last=last)
        if end:
            yield Block(rest[:end], line)
            line += count_lines(rest[:end])
            rest = rest[end:]
        if rest and (last or len(rest) > _MAX_RECORD):
            raise DataError(
                "A quoted value does not end." if lexer.quoted(rest) else "A line is too long.",
                where=f"{how.item}: line {line}", hint="A field that begins with a quote must end with one.",
            )  # fmt: skip
        if last:
            return
