"""Typed batches to CSV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from sluicegate.base.errors import DataError
from sluicegate.formats.csv.formulas import escape, find
from sluicegate.kit.inflate import Deflated
from sluicegate.kit.text import shown, special, to_text
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.formats.csv import Csv


class Writing:
    """Rows to lines: columns become text, then lines, in Arrow; Python sees no value."""

    def __init__(self, form: Csv, schema: pa.Schema, out: BinaryIO, item: str) -> None:
        self._form, self._out, self._item = form, Deflated(out, item), item
        self._null = form.nulls[0] if form.nulls else ""
        self._special = "[" + re.escape(form.delimiter + form.quote) + "\r\n]"
        if form.comment:
            self._special += "|^" + re.escape(form.comment)
        if form.header:
            import pyarrow as pa

            names = [self._quoted(self._defused(pa.array([name], pa.string()), name)) for name in schema.names]
            self._emit(names)

    def _quoted(self, texts: pa.Array) -> pa.Array:
        """Put quotes around the texts that would be read as something else without."""
        import pyarrow as pa
        import pyarrow.compute as pc

        form, words = self._form, pa.array(["", *self._form.nulls], pa.string())
        if form.escape:
            texts = pc.replace_substring(texts, form.escape, form.escape * 2)
        needy = pc.or_(pc.match_substring_regex(texts, self._special), pc.is_in(texts, words))
        needy = pc.and_(needy, pc.is_valid(texts))
        if not pc.any(needy).as_py():
            return texts
        if not form.quote:
            raise DataError("A value needs quotes, and the format has none.", where=self._item)
        quote = form.quote
        doubled = pc.replace_substring(texts, quote, (form.escape or quote) + quote)
        return pc.if_else(needy, pc.binary_join_element_wise(quote, doubled, quote, ""), texts)

    def _defused(self, texts: pa.Array, name: str) -> pa.Array:
        """Apply the policy for formulas to the texts of the column ``name``."""
        if self._form.formulas == "keep":
            return texts
        if self._form.formulas == "escape":
            return escape(texts)
        if (row := find(texts)) is not None:
            raise DataError(
                f"{shown(texts[row].as_py())} reads like a formula, and the format rejects these.",
                where=f"{self._item}: column {name}",
                hint="formulas: escape writes an apostrophe before it; formulas: keep writes it as it is.",
            )
        return texts

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
                texts = self._quoted(self._defused(texts.cast(pa.string()), field.name))
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
