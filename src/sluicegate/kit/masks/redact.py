"""``redact``: nothing is left of a value, or its last characters."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.kit.masks.method import Made, Method, Used, Work

TRUNCATED = "truncated"
"""Tag of a column in which a part of each value is left."""
_STARS = "***"


class Redact(Method):
    """Put nothing, a fixed text, or stars and the last characters in the place of each value."""

    type: Literal["redact"]
    text: str | None = Field(default=None, max_length=200)
    """Text columns: stands in the place of each value; NULL does when neither this nor ``keep_last`` is said."""
    keep_last: int | None = Field(default=None, ge=1, le=8)
    """Text columns: this many characters at the end stay, after three stars; none when it is not twice as long."""

    keyed: ClassVar[bool] = False

    @model_validator(mode="after")
    def _one(self) -> Redact:
        if self.text is not None and self.keep_last is not None:
            raise Misfit("say text or keep_last, not both", "keep_last")
        return self

    def misfit(self, kind: str) -> str:
        """See ``Method``: NULL fits every type, text a text."""
        if kind == "text" or self.keeps:
            return ""
        return (
            f"redact leaves a text, which does not fit a column of type {kind}: without text and keep_last it is NULL"
        )

    @property
    def keeps(self) -> bool:
        """Only NULL is of every type."""
        return self.text is None and self.keep_last is None

    @property
    def leaves(self) -> tuple[str, ...]:
        """Nothing, or a part of a value."""
        return (TRUNCATED,) if self.keep_last is not None else ()

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        import pyarrow as pa
        import pyarrow.compute as pc

        def nothing(batch: pa.RecordBatch) -> Made:
            return Made(pa.nulls(batch.num_rows, batch.schema.field(used.column).type))

        def fixed(batch: pa.RecordBatch) -> Made:
            values = batch.column(used.column).cast(pa.string())
            return Made(pc.if_else(pc.is_valid(values), self.text or "", pa.scalar(None, pa.string())))

        def ending(batch: pa.RecordBatch) -> Made:
            kept = self.keep_last or 0
            values = batch.column(used.column).cast(pa.string())
            short = pc.less(pc.utf8_length(values), 2 * kept)
            ends = pc.binary_join_element_wise(_STARS, pc.utf8_slice_codeunits(values, -kept), "")
            return Made(pc.if_else(short, _STARS, ends))

        if self.keep_last is not None:
            return ending
        return nothing if self.text is None else fixed
