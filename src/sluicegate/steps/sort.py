"""``sort``: rows in an order, or the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sluicegate.base.model import Name
from sluicegate.kit import order
from sluicegate.kit.lineage import Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Sort(Transform):
    """Put rows in order. Rows that are equal in it stay as they came; text goes by its code points."""

    type: ClassVar[str] = "sort"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    by: tuple[order.Order, ...] = Field(min_length=1, max_length=200)
    """The columns to sort by, the first one first: a name, or ``{ column, descending, nulls }``."""
    limit: int | None = Field(default=None, ge=1)
    """Keep only so many rows from the beginning."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def check_text(self) -> None:
        """There is no text of a person in it; names are only ever quoted."""

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the input's columns."""
        return tuple(inputs[self.from_])

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known of the input: nothing is changed."""
        return inputs[self.from_]

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT columns FROM input ORDER BY by LIMIT limit``."""
        known = inputs[self.from_]
        known.need((each.column for each in self.by), f"step {self.name}, by")
        shown = ", ".join(known.sql(name) for name in known)
        limit = f" LIMIT {self.limit}" if self.limit is not None else ""
        return f"SELECT {shown} FROM {known.table} ORDER BY {order.spell(self.by, known)}{limit}"  # noqa: S608 - quoted names
