"""``distinct``: each row once, or one row for each key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Name
from sluicegate.kit.columns import quote
from sluicegate.kit.lineage import Facts
from sluicegate.kit.order import ARRIVAL
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Distinct(Transform):
    """Leave out rows that are there already: equal in all columns, or in ``keys``. NULL equals NULL here."""

    type: ClassVar[str] = "distinct"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    keys: tuple[str, ...] = Field(default=(), max_length=200)
    """Columns that make two rows the same; all of them when there are none."""
    keep: Literal["first", "last"] | None = None
    """With ``keys``: which row to keep, by ``order_by``; of equal ones the one that came first, or last."""
    order_by: tuple[str, ...] = Field(default=(), max_length=200)
    """Columns that say which row is the last, NULL being the least wanted; the order of arrival when there are none."""

    @model_validator(mode="after")
    def _whole(self) -> Distinct:
        if bool(self.keys) != (self.keep is not None):
            raise Misfit("'keys' and 'keep: first' or 'keep: last' go together")
        if self.order_by and not self.keys:
            raise Misfit("without 'keys' there is nothing to order")
        return self

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
        """``SELECT DISTINCT …``, or the first row of each key's window."""
        known = inputs[self.from_]
        known.need(self.keys, f"step {self.name}, keys")
        known.need(self.order_by, f"step {self.name}, order_by")
        shown = ", ".join(known.sql(name) for name in known)
        if not self.keys:
            return f"SELECT DISTINCT {shown} FROM {known.table}"  # noqa: S608 - quoted names
        place = quote("place")
        keys = ", ".join(known.sql(name) for name in self.keys)
        direction = "DESC" if self.keep == "last" else "ASC"
        ordered = ", ".join(
            (*(f"{known.sql(name)} {direction} NULLS LAST" for name in self.order_by), f"{place} {direction}")
        )
        return (
            f"SELECT {shown} FROM (SELECT {shown}, {ARRIVAL} AS {place} FROM {known.table}) "  # noqa: S608 - the same
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {ordered}) = 1"
        )
