"""``csv``: RFC 4180, read and written without losing anything.

Reading. An unquoted empty field is NULL, a quoted one (``""``) is the empty text; words in ``nulls`` are NULL too: unquoted in
text columns, quoted or not in all others. A stray quote inside an unquoted field stands for itself. Each row that does not fit
goes to the reject channel with its line. A column without a declared type gets one from the first blocks, proposed so that no
value changes: whole numbers, decimals, dates and instants in ISO 8601, true/false; anything else, leading zeros too, stays text.

Blocks of 1 MiB that end at a record are parsed by pyarrow straight into typed columns; only a block that fails is halved, again
and again, until the rows at fault stand alone.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from sluicegate.base.errors import DataError
from sluicegate.kit.format import Decoding, Encoder, Format
from sluicegate.kit.inflate import Deflated, Inflated
from sluicegate.kit.rows import BATCH_BYTES, Reject
from sluicegate.kit.text import Unfit, check_floats, from_text, may_lose, shown, special, to_text
from sluicegate.kit.types import TypeName, to_arrow, to_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

_SAMPLE_BLOCKS = 4
_MAX_RECORD = 16 << 20
_RAW = 4096
_PROPOSALS = (
    (r"^(?i:true|false)$", "bool"),
    (r"^(0|-?[1-9][0-9]{0,17})$", "int64"),
    (r"^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+)$", "decimal"),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "date"),
    (r"^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$", "time"),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$", "timestamp"),
    (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$",
        "timestamptz",
    ),
)


class Csv(Format):
    """Comma-separated values, plain or gzip."""

    type: Literal["csv"] = "csv"
    columns: dict[str, TypeName] | None = None
    """Types by column name; columns left out get a type from the flow's schema snapshot or from the data."""
    nulls: tuple[str, ...] = ()
    """Words that stand for NULL, besides the empty field; the first is what NULL is written as."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between two fields: one ASCII character."""
    quote: str = Field(default='"', max_length=1)
    """What encloses a field; empty when nothing does."""
    header: bool = True
    """Whether the first line names the columns."""
    encoding: str = "utf-8"
    """Character encoding of the file."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz")

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            "".encode(name)
        except (LookupError, ValueError):
            raise ValueError("not a character encoding") from None
        return codecs.lookup(name).name.removesuffix("-sig")

    @model_validator(mode="after")
    def _distinct(self) -> Csv:
        marks = self.delimiter + self.quote
        if not marks.isascii() or set(marks) & set("\r\n\0") or self.delimiter == self.quote:
            raise ValueError("delimiter and quote are two different ASCII characters, and no line ends")
        return self

    def decode(self, data: BinaryIO, how: Decoding) -> pa.RecordBatchReader:
        """Return the rows lazily; see the module for what is NULL and what is rejected."""
        import pyarrow as pa

        reading = _Reading(self, data, how)
        return pa.RecordBatchReader.from_batches(reading.schema, reading.batches())

    def encoder(self, schema: pa.Schema, out: BinaryIO, item: str = "") -> Encoder:
        """Begin an output with quotes only where they are needed; NULL and ``''`` stay apart."""
        return _Writing(self, schema, out, item)


class _Block(NamedTuple):
    data: bytes
    line: int
    """Line of its first record (1-based)."""


def _lines(data: bytes) -> int:
    returns = data.count(b"\r")
    return data.count(b"\n") + (returns - data.count(b"\r\n") if returns else 0)


class _Lexer:
    """Finds where records end. A regular expression with possessive quantifiers (no backtracking), run in C."""

    def __init__(self, form: Csv) -> None:
        mark, quote = re.escape(form.delimiter.encode()), re.escape(form.quote.encode())
        self._quote = form.quote.encode()
        self._first = form.quote.encode() + form.delimiter.encode()
        part = rb"[^\r\n]++"
        if quote:
            begun = rb"(?:(?<=[%b\r\n])|\A)%b(?:[^%b]++|%b%b)*+%b" % (mark, quote, quote, quote, quote, quote)
            stray = rb"(?<=[^%b\r\n])%b" % (mark, quote)
            part = rb"[^%b\r\n]++|%b|%b" % (quote, begun, stray)
        record = rb"(?:%b)*+(?:\r\n|\n|\r)" % part
        self._record, self._records = re.compile(record), re.compile(rb"(?:%b)*+" % record)

    def end(self, data: bytes, *, last: bool) -> int:
        """Return where the last whole record of ``data`` ends. Unless ``last``, a final CR may be half of a CRLF."""
        stop = len(data) - 1 if data.endswith(b"\r") and not last else len(data)
        if self.quoted(data):
            found = self._records.match(data, 0, stop)
            return found.end() if found else 0
        return max(data.rfind(b"\n"), data.rfind(b"\r", 0, stop) if b"\n" not in data else -1) + 1

    def quoted(self, data: bytes) -> bool:
        return bool(self._quote) and self._quote in data

    def spans(self, data: bytes, *, blank: bool) -> list[tuple[int, int]]:
        """Return where each record begins and ends; blank lines only when ``blank``."""
        found = (match.span() for match in self._record.finditer(data))
        return [span for span in found if blank or data[slice(*span)].strip(b"\r\n")]


def _read_blocks(form: Csv, lexer: _Lexer, data: BinaryIO, how: Decoding) -> Iterator[_Block]:
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
                place = f"{how.item}: after line {line + _lines(rest)}"
                raise DataError(f"Not valid {form.encoding}.", where=place) from None
        if first:
            part, first = part.removeprefix(codecs.BOM_UTF8), False
        rest += part
        if last and rest and not rest.endswith((b"\n", b"\r")):
            rest += b"\n"
        end = lexer.end(rest, last=last)
        if end:
            yield _Block(rest[:end], line)
            line += _lines(rest[:end])
            rest = rest[end:]
        if rest and (last or len(rest) > _MAX_RECORD):
            raise DataError(
                "A quoted value does not end." if lexer.quoted(rest) else "A line is too long.",
                where=f"{how.item}: line {line}", hint="A field that begins with a quote must end with one.",
            )  # fmt: skip
        if last:
            return


class _Reading:
    """One input on its way to typed batches."""

    def __init__(self, form: Csv, data: BinaryIO, how: Decoding) -> None:
        self._form, self._how, self._lexer = form, how, _Lexer(form)
        self._blocks = _read_blocks(form, self._lexer, data, how)
        first = next(self._blocks, None)
        if first is None and form.header:
            raise DataError("The file is empty: it has no header line.", where=how.item)
        self._names: list[str] = []
        known: Mapping[str, str] = {**(how.columns or {}), **(form.columns or {})}
        head = first.data[slice(*spans[0])] if first and (spans := self._lexer.spans(first.data, blank=False)) else b""
        width = len(self._fields(head)) if head else 0
        if form.header:
            self._names = self._header(head)
            if first:
                stop = spans[0][1] if head else len(first.data)
                first = _Block(first.data[stop:], first.line + _lines(first.data[:stop]))
        else:
            self._names = list(known) if len(known) == width or not head else [f"column_{n + 1}" for n in range(width)]
            if not self._names:
                raise DataError("The file is empty, and no columns are declared.", where=how.item)
        if gone := [name for name in known if name not in self._names]:
            raise DataError(
                f"The column {shown(gone[0])} is declared but not in the file.", where=how.item,
                hint="It has: " + ", ".join(self._names[:20]) + ".",
            )  # fmt: skip
        self._ahead = [first] if first else []
        missing = [name for name in self._names if name not in known]
        while missing and len(self._ahead) < _SAMPLE_BLOCKS and (block := next(self._blocks, None)):
            self._ahead.append(block)
        found = self._propose(missing) if missing else {}
        self.types = {name: known.get(name) or found[name] for name in self._names}
        import pyarrow as pa

        self.schema = pa.schema([(name, to_arrow(kind)) for name, kind in self.types.items()])
        self._parsed = {  # what pyarrow parses; the special ones come as text and are converted here
            field.name: pa.string() if special(field.type) else field.type for field in self.schema
        }
        self._texts = [name for name, kind in self._parsed.items() if pa.types.is_string(kind)]
        self._others = [name for name in self._names if name not in self._texts]
        self._floats = {field.name: field.type for field in self.schema if pa.types.is_floating(field.type)}
        self._two_ways = bool(self._others) and any(map(_could_be_value, form.nulls))

    def _fields(self, record: bytes) -> list[str | None]:
        import pyarrow as pa
        from pyarrow import csv

        options = csv.ConvertOptions(strings_can_be_null=False)
        read = csv.ReadOptions(autogenerate_column_names=True, use_threads=False, block_size=len(record) + 1)
        table = csv.read_csv(pa.BufferReader(record), read, self._parsing(blank=False), options)
        texts = csv.ConvertOptions(column_types={name: pa.binary() for name in table.column_names})
        table = csv.read_csv(pa.BufferReader(record), read, self._parsing(blank=False), texts)
        return [each[0].as_py().decode("utf-8", "backslashreplace") for each in table.columns]

    def _header(self, record: bytes) -> list[str]:
        if not record:
            raise DataError("The file has no header line.", where=self._how.item)
        try:
            record.decode()
        except UnicodeDecodeError:
            raise DataError("The header is not valid UTF-8.", where=f"{self._how.item}: line 1") from None
        names = [name or f"column_{place + 1}" for place, name in enumerate(self._fields(record))]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise DataError(f"The header names {shown(name)} twice.", where=f"{self._how.item}: line 1")
        return names

    def _parsing(self, *, blank: bool, quoted: bool = True, handler: object = None) -> object:
        from pyarrow import csv

        return csv.ParseOptions(
            delimiter=self._form.delimiter, quote_char=self._form.quote or False, newlines_in_values=quoted,
            ignore_empty_lines=not blank, invalid_row_handler=handler,
        )  # fmt: skip

    def _parse(
        self, data: bytes, kinds: Mapping[str, pa.DataType], bad: list[tuple[int, int]], *, quoted_nulls: bool = False
    ) -> pa.Table:
        """Parse the columns in ``kinds``; rows with another number of fields go to ``bad`` as (ordinal, fields)."""
        import pyarrow as pa
        from pyarrow import csv

        def skip(row: csv.InvalidRow) -> str:
            bad.append((row.number, row.actual_columns))
            return "skip"

        read = csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(data) + 1)
        convert = csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds), null_values=["", *self._form.nulls],
            strings_can_be_null=True, quoted_strings_can_be_null=quoted_nulls,
        )  # fmt: skip
        blank, quoted = len(self._names) == 1, self._lexer.quoted(data)
        return csv.read_csv(
            pa.BufferReader(data), read, self._parsing(blank=blank, quoted=quoted, handler=skip), convert
        )

    def _propose(self, names: list[str]) -> dict[str, str]:
        import pyarrow as pa

        kinds = {name: pa.binary() for name in names}
        blocks = [self._parse(block.data, kinds, []) for block in self._ahead if block.data]
        if not blocks:
            return dict.fromkeys(names, "text")
        table = pa.concat_tables(blocks)
        return {name: propose(table.column(name).combine_chunks()) for name in names}

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield a batch for each block; a row that does not fit goes to the reject channel instead."""
        left = self._how.limit
        while left is None or left > 0:
            block = self._ahead.pop(0) if self._ahead else next(self._blocks, None)
            if block is None:
                return
            for batch in self._convert(block):
                kept = batch if left is None else batch.slice(0, left)
                left = None if left is None else left - kept.num_rows
                if kept.num_rows:
                    yield kept
                if left == 0:
                    return

    def _convert(self, block: _Block) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        bad: list[tuple[int, int]] = []
        if not block.data:
            return
        if not (self._two_ways and self._lexer.quoted(block.data)):
            try:
                made = self._finish(block.data, self._parse(block.data, self._parsed, bad))
            except (pa.ArrowInvalid, Unfit):
                bad.clear()
            else:
                self._reject_widths(block, bad)
                yield made
                return
        yield from self._halve(block)

    def _finish(self, data: bytes, table: pa.Table) -> pa.RecordBatch:
        """Convert what pyarrow leaves as text, and look again at numbers that a float may have changed."""
        import pyarrow as pa

        for name, kind in self._floats.items():
            if may_lose(data, kind.bit_width):
                texts = self._parse(data, {name: pa.string()}, [], quoted_nulls=True).column(0)
                check_floats(texts.combine_chunks(), kind)
        arrays = []
        for field in self.schema:
            array = table.column(field.name).combine_chunks()
            arrays.append(from_text(array, field.type) if special(field.type) else array)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _twice(self, data: bytes, bad: list[tuple[int, int]]) -> pa.RecordBatch:
        """Parse text columns, where quotes tell '' from NULL, apart from the others, where they tell nothing."""
        if not self._others:
            return self._finish(data, self._parse(data, self._parsed, bad))
        table = self._parse(data, {name: self._parsed[name] for name in self._others}, bad, quoted_nulls=True)
        if self._texts:
            texts = self._parse(data, {name: self._parsed[name] for name in self._texts}, [])
            for name in self._texts:
                table = table.append_column(name, texts.column(name))
        return self._finish(data, table)

    def _halve(self, block: _Block) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        bad: list[tuple[int, int]] = []
        try:
            made = self._twice(block.data, bad)
        except (pa.ArrowInvalid, Unfit) as fault:
            spans = self._lexer.spans(block.data, blank=len(self._names) == 1)
            if len(spans) == 1:
                self._how.on_reject(self._why(block, spans[0], fault))
                return
            cut = spans[len(spans) // 2][0]
            yield from self._halve(_Block(block.data[:cut], block.line))
            yield from self._halve(_Block(block.data[cut:], block.line + _lines(block.data[:cut])))
        else:
            self._reject_widths(block, bad)
            yield made

    def _reject_widths(self, block: _Block, bad: list[tuple[int, int]]) -> None:
        if not bad:
            return
        spans = self._lexer.spans(block.data, blank=len(self._names) == 1)
        for number, fields in bad:
            start, stop = spans[number - 1]
            reason = f"{fields} fields where {len(self._names)} are expected"
            self._how.on_reject(Reject(self._line(block, start), None, reason, _raw(block.data[start:stop])))

    def _line(self, block: _Block, start: int) -> int:
        return block.line + _lines(block.data[:start])

    def _why(self, block: _Block, span: tuple[int, int], fault: Exception) -> Reject:
        """Say which column of this one record does not fit, by trying its columns one by one."""
        import pyarrow as pa

        record, column, reason = block.data[slice(*span)], None, str(fault)
        for name, kind in self._parsed.items():
            try:
                array = self._parse(record, {name: kind}, [], quoted_nulls=name in self._others).column(0)
                if name in self._floats:
                    text = self._parse(record, {name: pa.string()}, [], quoted_nulls=True).column(0)
                    check_floats(text.combine_chunks(), kind)
                elif special(self.schema.field(name).type):
                    from_text(array.combine_chunks(), self.schema.field(name).type)
            except Unfit as unfit:
                column, reason = name, unfit.reason
            except pa.ArrowInvalid:
                value = self._parse(record, {name: pa.binary()}, []).column(0)[0].as_py() or b""
                column, reason = name, f"{shown(_raw(value))} is not {self.types[name]}"
                if kind == pa.string():
                    reason = "not valid UTF-8"
            if column:
                break
        return Reject(self._line(block, span[0]), column, reason, _raw(record))


def _raw(record: bytes) -> str:
    return record[:_RAW].rstrip(b"\r\n").decode("utf-8", "backslashreplace")


def _could_be_value(word: str) -> bool:
    """Tell whether a word for NULL could also be read as a value of some type other than text."""
    return any(sign.isdigit() for sign in word) or word.strip().lower().strip("+-") in {
        "nan", "inf", "infinity", "true", "false",
    }  # fmt: skip


def propose(column: pa.Array) -> str:
    """Return the type name for a sample of one column (binary, as it stands in the file), such that nothing changes.

    Text unless all values have one of the spellings in ``_PROPOSALS``: numbers with leading zeros, signs or exponents stay text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.unique(column).drop_null()
    if not len(values):
        return "text"
    for pattern, kind in _PROPOSALS:
        if not pc.all(pc.match_substring_regex(values, pattern)).as_py():
            continue
        texts = values.cast(pa.string())
        if kind == "decimal":
            whole = pc.max(pc.utf8_length(pc.replace_substring_regex(texts, r"^-|\..*$", ""))).as_py()
            scale = pc.max(pc.utf8_length(pc.replace_substring_regex(texts, r"^[^.]*\.?", ""))).as_py()
            room = next((size for size in (18, 38) if whole + scale <= size), None)
            return f"decimal({room},{scale})" if room else "text"
        if kind in ("date", "timestamp", "timestamptz"):
            try:
                texts.cast(to_arrow(kind))
            except pa.ArrowInvalid:
                return "text"
        return kind
    return "text"


class _Writing:
    """Rows to lines: columns become text, then lines, in Arrow; Python sees no value."""

    def __init__(self, form: Csv, schema: pa.Schema, out: BinaryIO, item: str) -> None:
        self._form, self._out, self._item = form, Deflated(out, item), item
        self._null = form.nulls[0] if form.nulls else ""
        self._special = "[" + re.escape(form.delimiter + form.quote) + "\r\n]"
        if form.header:
            import pyarrow as pa

            names = [self._quoted(pa.array([name])) for name in schema.names]
            self._emit(names)

    def _quoted(self, texts: pa.Array) -> pa.Array:
        """Put quotes around the texts that would be read as something else without."""
        import pyarrow as pa
        import pyarrow.compute as pc

        words = pa.array(["", *self._form.nulls], pa.string())
        needy = pc.or_(pc.match_substring_regex(texts, self._special), pc.is_in(texts, words))
        needy = pc.and_(needy, pc.is_valid(texts))
        if not pc.any(needy).as_py():
            return texts
        if not self._form.quote:
            raise DataError("A value needs quotes, and the format has none.", where=self._item)
        quote = self._form.quote
        doubled = pc.replace_substring(texts, quote, quote * 2)
        return pc.if_else(needy, pc.binary_join_element_wise(quote, doubled, quote, ""), texts)

    def _emit(self, columns: list[pa.Array]) -> None:
        import pyarrow.compute as pc

        filled = [pc.fill_null(column, self._null) for column in columns]
        filled[-1] = pc.binary_join_element_wise(filled[-1], "\n", "")
        rows = pc.binary_join_element_wise(*filled, self._form.delimiter) if len(filled) > 1 else filled[0]
        first, last = rows.offset, rows.offset + len(rows)
        offsets = memoryview(rows.buffers()[1]).cast("i")
        text = memoryview(rows.buffers()[2])[offsets[first] : offsets[last]]
        if self._form.encoding == "utf-8":
            self._out.write(text)
            return
        try:
            self._out.write(bytes(text).decode().encode(self._form.encoding))
        except UnicodeEncodeError as fault:
            raise DataError(f"{self._form.encoding} has no {fault.object[fault.start]!r}.", where=self._item) from None

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode one batch. ``DataError`` for a number that would be read back as NULL."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not batch.num_rows:
            return
        columns = []
        for field, column in zip(batch.schema, batch.columns, strict=True):
            texts = to_text(column)
            if to_name(field.type) == "text":
                texts = self._quoted(texts.cast(pa.string()))
            else:
                clash = pc.is_in(texts, pa.array(["", *self._form.nulls], pa.string()))
                if pc.any(pc.and_(clash, pc.is_valid(texts))).as_py():
                    raise DataError("A value reads like the word for NULL.", where=f"{self._item}: column {field.name}")
                if special(field.type):
                    texts = self._quoted(texts)
            columns.append(texts)
        self._emit(columns)

    def close(self) -> None:
        """Write what must stand at the end."""
        self._out.close()
