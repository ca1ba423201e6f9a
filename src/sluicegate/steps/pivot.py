"""``pivot``: values of one column become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Name
from sluicegate.kit.lineage import Facts
from sluicegate.kit.literal import Value, fit, spell
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Pivot(Transform):
    """Give one row for each group, with a column for each of the values listed.

    The values are listed because the columns of a flow are known before it runs; one that is not is an error.
    """

    type: ClassVar[str] = "pivot"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    by: tuple[str, ...] = Field(min_length=1, max_length=200)
    """Columns whose values make a row (NULL is a value like any other)."""
    column: str
    """The column whose values become columns."""
    values: dict[str, Value] = Field(min_length=1, max_length=1000)
    """The values that it has, ``name of the new column: value``; a list of values names the columns after them."""
    value: str
    """The column that gives the values of the new ones."""
    function: Literal["one", "sum", "count", "min", "max", "avg", "first", "last"] = "one"
    """What becomes of several rows for one place; ``one``: more than one are an error. Types as in ``aggregate``."""
    others: Literal["error", "drop"] = "error"
    """What becomes of a row whose value is not listed, or NULL."""

    @field_validator("values", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        found = {str(each): each for each in value if not isinstance(each, dict | list)}
        if len(found) != len(value):
            raise Misfit("two values of the list are the same, or one is none")
        return found

    @model_validator(mode="after")
    def _differ(self) -> Pivot:
        spelled = [spell(each) for each in self.values.values()]
        for place, name in enumerate(self.values):
            if spelled.index(spelled[place]) != place:
                raise Misfit("two columns have the same value", "values", name)
            if name in self.by:
                raise Misfit(f"the column {name[:64]!r} is in 'by' already", "values", name)
        for place, name in enumerate(self.by):
            if name in self.by[:place] or name == self.column:
                raise Misfit(f"the column {name[:64]!r} is given twice", "by", place)
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def check_text(self) -> None:
        """There is no text of a person in it; names and values are only ever quoted."""

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:  # noqa: ARG002 - it tells them itself
        """Return the columns of the group, then the new ones."""
        return (*self.by, *self.values)

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: a new column comes of the value, and of the column that says where it goes."""
        known = inputs[self.from_]
        made = known.of((self.value, self.column))
        return Facts.listed([*((name, known.get(name)) for name in self.by), *((name, made) for name in self.values)])

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT by, function(value) FILTER (WHERE column = …) … FROM input GROUP BY by``."""
        known = inputs[self.from_]
        where = f"step {self.name}"
        known.need(self.by, f"{where}, by")
        known.need([self.column], f"{where}, column")
        known.need([self.value], f"{where}, value")
        column = known.sql(self.column)
        keys = [known.sql(name) for name in self.by]
        listed = [fit(value, column) for value in self.values.values()]
        function = "first" if self.function == "one" else self.function
        cells = (f"{function}({known.sql(self.value)}) FILTER (WHERE {column} = {value})" for value in listed)
        shown = [*keys, *cells]
        is_listed = f"coalesce({column} IN ({', '.join(listed)}), false)"
        kept = is_listed
        if self.others == "error":
            says = f"error('a value is not listed: ' || {known.told([self.column])})"
            kept = f"CASE WHEN {is_listed} THEN true ELSE {says} END"
        made = f"SELECT {', '.join(shown)} FROM {known.table} WHERE {kept} GROUP BY {', '.join(keys)}"  # noqa: S608 - quoted names and values
        if self.function != "one":
            return made
        several = " OR ".join(f"count(*) FILTER (WHERE {column} = {value}) > 1" for value in listed)
        says = f"error('several rows go to one place: ' || {known.told(self.by)})"
        return f"{made} HAVING CASE WHEN {several} THEN {says} ELSE true END"
