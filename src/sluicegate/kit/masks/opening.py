"""What ``detokenize`` and ``decrypt`` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from sluicegate.base.errors import Corrupt
from sluicegate.base.flaws import Misfit
from sluicegate.kit.masks.method import PERSONAL, Made, Method, Used, Work
from sluicegate.kit.masks.values import SPELLED, Distinct, family, parse
from sluicegate.kit.types import TypeName

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.crypto.masking import Opening


class Opens(Method):
    """Takes a mask off."""

    as_: TypeName = Field(default="text", alias="as")
    """Type of the column that comes out: what it was before it was masked."""

    reveals: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("text",)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Personal, whatever it was before: what it was tagged is not known of tokens that come from outside."""
        return (PERSONAL,)

    @field_validator("as_")
    @classmethod
    def _spelled(cls, value: str) -> str:
        if family(value) not in SPELLED:
            raise Misfit(f"must be one of {', '.join(SPELLED)}")
        return value

    @property
    def gives(self) -> str:
        """What ``as`` says."""
        return self.as_


def open_all(used: Used, open_: Opening, kind: str, what: str) -> Work:
    """Return what opens a column of tokens or fields. Rows whose value does not open are rejected."""

    def work(batch: pa.RecordBatch) -> Made:
        found = Distinct(batch.column(used.column))
        plain: list[bytes | None] = []
        closed: set[int] = set()
        for place, each in enumerate(found.spelled):
            try:
                plain.append(open_(each.decode()))
            except Corrupt:
                plain.append(None)
                closed.add(place)
        values, misfits = parse(plain, kind)
        reason = (
            f"{used.column} is no {what} that this key opens in this domain"
            if closed
            else f"{used.column} opens to what is no {kind}"
        )
        return Made(found.spread(values), found.rows(closed | misfits), reason)

    return work
