"""CSV on its way to typed batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from sluicegate.base.errors import DataError
from sluicegate.formats.csv.formulas import unescape
from sluicegate.formats.csv.lexer import Block, Lexer, count_lines, read_blocks
from sluicegate.formats.csv.proposal import propose
from sluicegate.kit.rows import Reject
from sluicegate.kit.text import Unfit, check_floats, from_text, may_be_long, may_lose, shown, special
from sluicegate.kit.types import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from sluicegate.formats.csv import Csv
    from sluicegate.kit.format import Decoding

_SAMPLE_BLOCKS = 4
_RAW = 4096


class Reading:
    """One input on its way to typed batches."""

    def __init__(self, form: Csv, data: BinaryIO, how: Decoding) -> None:
        self._form, self._how, self._lexer = form, how, Lexer(form)
        self._blocks = read_blocks(form, self._lexer, data, how)
        first = next(self._blocks, None)
        if first is None and form.header:
            raise DataError("The file is empty: it has no header line.", where=how.item)
        self._names: list[str] = []
        known: Mapping[str, str] = {**(how.columns or {}), **(form.columns or {})}
        head = first.data[slice(*spans[0])] if first and (spans := self._lexer.spans(first.data, blank=False)) else b""
        width = len(self._fields(head)) if head else 0
        if form.header:
            self._names = self._header(head, first.line if first else 1)
            if first:
                stop = spans[0][1] if head else len(first.data)
                first = Block(first.data[stop:], first.line + count_lines(first.data[:stop]))
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
        self._rows: int | None = None  # of an input that the sample holds whole
        found = self._propose(missing) if missing else {}
        self.types = {name: known.get(name) or found[name] for name in self._names}
        import pyarrow as pa

        unseen: list[str] = missing if self._rows == 0 else []
        self.schema = pa.schema(
            [(name, pa.null() if name in unseen else to_arrow(kind)) for name, kind in self.types.items()]
        )
        self._parsed = {  # what pyarrow parses; the special ones come as text and are converted here
            field.name: pa.string() if special(field.type) else field.type for field in self.schema
        }
        self._quick = {  # the same, but floats as they are spelled: whether one changes its number is seen there
            name: pa.string() if pa.types.is_floating(kind) else kind for name, kind in self._parsed.items()
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

    def _header(self, record: bytes, line: int) -> list[str]:
        import pyarrow as pa

        if not record:
            raise DataError("The file has no header line.", where=self._how.item)
        try:
            record.decode()
        except UnicodeDecodeError:
            raise DataError("The header is not valid UTF-8.", where=f"{self._how.item}: line {line}") from None
        names = [name or f"column_{place + 1}" for place, name in enumerate(self._fields(record))]
        if self._form.formulas == "escape":
            names = unescape(pa.array(names, pa.string())).to_pylist()
        for place, name in enumerate(names):
            if name in names[:place]:
                raise DataError(f"The header names {shown(name)} twice.", where=f"{self._how.item}: line {line}")
        return names

    def _parsing(self, *, blank: bool, quoted: bool = True, handler: object = None) -> object:
        from pyarrow import csv

        return csv.ParseOptions(
            delimiter=self._form.delimiter, quote_char=self._form.quote or False, newlines_in_values=quoted,
            escape_char=self._form.escape or False,
            ignore_empty_lines=not blank, invalid_row_handler=handler,
        )  # fmt: skip

    def _parse(
        self,
        data: bytes,
        kinds: Mapping[str, pa.DataType],
        bad: list[tuple[int, int]] | None,
        *,
        quoted_nulls: bool = False,
    ) -> pa.Table:
        """Parse the columns in ``kinds``; rows with another number of fields go to ``bad`` as (ordinal, fields).

        ``pa.ArrowInvalid`` for a value that is none, and for such a row when ``bad`` is ``None``; otherwise all must be
        UTF-8.
        """
        import pyarrow as pa
        from pyarrow import csv

        def skip(row: csv.InvalidRow) -> str:
            bad.append((row.number, row.actual_columns))  # type: ignore[union-attr] # used with a list only
            return "skip"

        read = csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(data) + 1)
        convert = csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds), null_values=["", *self._form.nulls],
            strings_can_be_null=True, quoted_strings_can_be_null=quoted_nulls,
        )  # fmt: skip
        blank, quoted = len(self._names) == 1, self._lexer.quoted(data)
        parsing = self._parsing(blank=blank, quoted=quoted, handler=None if bad is None else skip)
        return csv.read_csv(pa.BufferReader(data), read, parsing, convert)

    def _propose(self, names: list[str]) -> dict[str, str]:
        import pyarrow as pa

        kinds = {name: pa.binary() for name in names}
        sample = (
            block.data if _is_utf8(block.data) else block.data.decode("utf-8", "replace").encode()
            for block in self._ahead
        )
        blocks = [self._parse(data, kinds, []) for data in sample if data]
        whole = len(self._ahead) < _SAMPLE_BLOCKS
        self._rows = sum(block.num_rows for block in blocks) if whole else None
        if not self._rows and whole:
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

    def _readable(self, block: Block) -> Iterator[Block]:
        """Yield the block without the records that are not UTF-8; these are rejected."""
        if _is_utf8(block.data):
            yield block
            return
        begin, line = 0, block.line
        for start, stop in self._lexer.spans(block.data, blank=True):
            record = block.data[start:stop]
            if not _is_utf8(record):
                yield Block(block.data[begin:start], line)
                begin, line = stop, self._line(block, stop)
                self._how.on_reject(Reject(self._line(block, start), None, "not valid UTF-8", _raw(record)))
        yield Block(block.data[begin:], line)

    def _convert(self, block: Block) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a block, at once when nothing is rejected: pyarrow has then seen that all is UTF-8."""
        import pyarrow as pa

        if not block.data:
            return
        if not (self._two_ways and self._lexer.quoted(block.data)):
            try:
                made = self._finish(block.data, self._parse(block.data, self._quick, None))
            except (pa.ArrowInvalid, Unfit):
                pass  # what is wrong is found below
            else:
                yield made
                return
        for part in self._readable(block):
            yield from self._sift(part)

    def _sift(self, block: Block) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        bad: list[tuple[int, int]] = []
        if not block.data:
            return
        if not (self._two_ways and self._lexer.quoted(block.data)):
            try:
                made = self._finish(block.data, self._parse(block.data, self._quick, bad))
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

        arrays = []
        for field in self.schema:
            array = table.column(field.name).combine_chunks()
            if special(field.type):
                array = from_text(array, field.type)
            elif self._form.formulas == "escape" and pa.types.is_string(field.type):
                array = unescape(array)
            elif field.name in self._floats:
                array = self._checked(field, array, data)
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _checked(self, field: pa.Field, array: pa.Array, data: bytes) -> pa.Array:
        """Return floats, which may come as text, none of which is another number than the text of it in ``data``."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_string(array.type):
            if may_be_long(array, field.type):
                check_floats(array, field.type)
            return pc.ascii_trim(array, " \t").cast(field.type)  # as pyarrow's CSV reader does
        if may_lose(data, field.type.bit_width):
            texts = self._parse(data, {field.name: pa.string()}, [], quoted_nulls=True).column(0)
            check_floats(texts.combine_chunks(), field.type)
        return array

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

    def _halve(self, block: Block) -> Iterator[pa.RecordBatch]:
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
            yield from self._halve(Block(block.data[:cut], block.line))
            yield from self._halve(Block(block.data[cut:], block.line + count_lines(block.data[:cut])))
        else:
            self._reject_widths(block, bad)
            yield made

    def _reject_widths(self, block: Block, bad: list[tuple[int, int]]) -> None:
        if not bad:
            return
        spans = self._lexer.spans(block.data, blank=len(self._names) == 1)
        for number, fields in bad:
            start, stop = spans[number - 1]
            reason = f"{fields} fields where {len(self._names)} are expected"
            self._how.on_reject(Reject(self._line(block, start), None, reason, _raw(block.data[start:stop])))

    def _line(self, block: Block, start: int) -> int:
        return block.line + count_lines(block.data[:start])

    def _why(self, block: Block, span: tuple[int, int], fault: Exception) -> Reject:
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
            if column:
                break
        return Reject(self._line(block, span[0]), column, reason, _raw(record))


def _raw(record: bytes) -> str:
    return record[:_RAW].rstrip(b"\r\n").decode("utf-8", "backslashreplace")


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _could_be_value(word: str) -> bool:
    """Tell whether a word for NULL could also be read as a value of some type other than text."""
    return any(sign.isdigit() for sign in word) or word.strip().lower().strip("+-") in {
        "nan", "inf", "infinity", "true", "false",
    }  # fmt: skip
