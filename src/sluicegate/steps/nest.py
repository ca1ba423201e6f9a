"""``nest``: one row for each group, with a list of what its rows hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Name
from sluicegate.kit import order
from sluicegate.kit.columns import quote
from sluicegate.kit.lineage import Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Nest(Transform):
    """Gather the rows of each group into one list of structs: what ``flatten`` takes apart.

    A list is made in memory: groups are to be small, all of them together no larger than the memory a step may use.
    """

    type: ClassVar[str] = "nest"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    by: tuple[str, ...] = Field(min_length=1, max_length=200)
    """Columns whose values make a group (NULL is a value like any other)."""
    into: str = Field(min_length=1, max_length=200)
    """Name of the column with the lists."""
    fields: dict[str, str] = Field(min_length=1, max_length=2000)
    """What an element holds, ``name: column``."""
    order_by: tuple[order.Order, ...] = Field(default=(), max_length=200)
    """The order of elements, as in ``sort``; the order of arrival when there is none."""
    as_: Literal["list", "json"] = Field(default="list", alias="as")
    """What comes out: a list of structs, or a JSON array of objects."""

    @model_validator(mode="after")
    def _differ(self) -> Nest:
        if self.into in self.by:
            raise Misfit(f"the column {self.into!r} is in 'by' already", "into")
        for place, name in enumerate(self.by):
            if name in self.by[:place]:
                raise Misfit(f"the column {name[:64]!r} is given twice", "by", place)
        small = [name.lower() for name in self.fields]
        for place, name in enumerate(self.fields):
            if small.index(name.lower()) != place:
                raise Misfit("two fields of a struct must not differ in case only", "fields", name)
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def check_text(self) -> None:
        """There is no text of a person in it; names are only ever quoted."""

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:  # noqa: ARG002 - it tells them itself
        """Return the columns of the group, then the list."""
        return (*self.by, self.into)

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: the list comes of all columns in it, and of those that order it."""
        known = inputs[self.from_]
        held = known.of((*self.fields.values(), *(each.column for each in self.order_by)))
        return Facts.listed([*((name, known.get(name)) for name in self.by), (self.into, held)])

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT by, list(struct ORDER BY order) FROM input GROUP BY by``."""
        known = inputs[self.from_]
        where = f"step {self.name}"
        known.need(self.by, f"{where}, by")
        known.need(self.fields.values(), f"{where}, fields")
        known.need((each.column for each in self.order_by), f"{where}, order_by")
        keys = ", ".join(known.sql(name) for name in self.by)
        fields = ", ".join(f"{quote(name)} := {known.sql(column)}" for name, column in self.fields.items())
        ordered = ", ".join((*(each.sql(known) for each in self.order_by), quote("place")))
        made = f"list(struct_pack({fields}) ORDER BY {ordered})"
        if self.as_ == "json":
            made = f"to_json({made})"
        used = dict.fromkeys((*self.by, *self.fields.values(), *(each.column for each in self.order_by)))
        rows = ", ".join((*map(known.sql, used), f"{order.ARRIVAL} AS {quote('place')}"))
        return f"SELECT {keys}, {made} FROM (SELECT {rows} FROM {known.table}) GROUP BY {keys}"  # noqa: S608 - quoted names
