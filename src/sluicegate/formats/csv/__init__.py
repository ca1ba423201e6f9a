"""``csv``: RFC 4180, read and written without losing anything.

Reading. An unquoted empty field is NULL, a quoted one (``""``) is the empty text; words in ``nulls`` are NULL too:
unquoted in text columns, quoted or not in all others. A stray quote inside an unquoted field stands for itself.
Each row that does not fit goes to the reject channel with its line. A column without a declared type gets one from
the first blocks, proposed so that no value changes: whole numbers, decimals, dates and instants in ISO 8601,
true/false; anything else, leading zeros too, stays text.

Formulas are kept unless the format says otherwise: most files that a flow writes are read by programs, for which an
apostrophe would be a changed value.

Blocks of 1 MiB that end at a record are parsed by pyarrow straight into typed columns; only a block that fails is
halved, again and again, until the rows at fault stand alone.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.formats.csv.reading import Reading
from sluicegate.formats.csv.writing import Writing
from sluicegate.kit.format import Decoding, Encoder, Format
from sluicegate.kit.inflate import packings
from sluicegate.kit.types import TypeName

if TYPE_CHECKING:
    import pyarrow as pa

_COMMENTS = "#;!%/*&$~|:?"
"""What a comment may begin with: no number, date, time or list does."""


class Csv(Format):
    """Comma-separated values, plain or packed (gzip, zstd, LZ4, bzip2, xz)."""

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
    escape: str = Field(default="", max_length=1)
    """What makes the next character stand for itself, quoted or not, such as ``\\``; empty when nothing does. A quote
    within quotes may be doubled as well."""
    comment: str = Field(default="", max_length=8)
    """What a line begins with that is left out, such as ``#``; empty when there is none."""
    skip: int = Field(default=0, ge=0, le=10_000)
    """Lines left out before the header, whatever they hold."""
    formulas: Literal["keep", "escape", "reject"] = "keep"
    """What becomes of text that a spreadsheet takes for a formula: it begins with ``= + - @``, their full-width
    forms, a tab or a line end. ``keep``: it is data like any other. ``escape``, for files that people open: it is
    written with an apostrophe before it, which reading with ``escape`` takes off again. ``reject``: the run stops."""

    suffixes: ClassVar[tuple[str, ...]] = packings(".csv")

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            "".encode(name)
        except (LookupError, ValueError):
            raise Misfit("not a character encoding") from None
        return codecs.lookup(name).name.removesuffix("-sig")

    @model_validator(mode="after")
    def _distinct(self) -> Csv:
        marks = self.delimiter + self.quote
        if not marks.isascii() or set(marks) & set("\r\n\0") or self.delimiter == self.quote:
            raise Misfit("delimiter and quote are two different ASCII characters, and no line ends")
        if self.escape and (not self.escape.isascii() or self.escape in marks + "\r\n\0'"):
            raise Misfit("escape is an ASCII character, and no delimiter, quote, apostrophe or line end")
        if self.comment and (self.comment[0] not in _COMMENTS or self.comment[0] in marks + self.escape):
            raise Misfit(f"comment begins with one of {' '.join(_COMMENTS)}, and not as delimiter, quote or escape do")
        if self.comment and not (self.comment.isascii() and self.comment.isprintable()):
            raise Misfit("comment is ASCII characters that print")
        for word in self.nulls:
            if self.escape and self.escape in word:
                raise Misfit("a word in nulls has the escape character in it, and so is never read")
            if self.comment and word.startswith(self.comment):
                raise Misfit("a word in nulls begins like a comment")
        return self

    def decode(self, data: BinaryIO, how: Decoding) -> pa.RecordBatchReader:
        """Return the rows lazily; see the module for what is NULL and what is rejected."""
        import pyarrow as pa

        reading = Reading(self, data, how)
        return pa.RecordBatchReader.from_batches(reading.schema, reading.batches())

    def encoder(self, schema: pa.Schema, out: BinaryIO, item: str = "") -> Encoder:
        """Begin an output with quotes only where they are needed; NULL and ``''`` stay apart."""
        return Writing(self, schema, out, item)
