"""``unpivot``: columns become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from sluicegate.base.errors import Invalid
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Name
from sluicegate.kit import meeting
from sluicegate.kit.columns import literal, quote
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.columns import Columns


class Unpivot(Transform):
    """Give a row for each of some columns, with its name and its value; the other columns stay beside."""

    type: ClassVar[str] = "unpivot"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    columns: tuple[str, ...] = Field(min_length=1, max_length=1000)
    """The columns that become rows; their types must meet, without loss."""
    into: str = Field(min_length=1, max_length=200)
    """Name of the column for their names."""
    value: str = Field(min_length=1, max_length=200)
    """Name of the column for their values."""
    nulls: Literal["keep", "drop"] = "keep"
    """Whether a NULL gives a row, too."""

    @field_validator("columns")
    @classmethod
    def _differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place, name in enumerate(value):
            if name in value[:place]:
                raise Misfit(f"the column {name[:64]!r} is given twice", place)
        return value

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    @property
    def typed(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def check_text(self) -> None:
        """There is no text of a person in it; names are only ever quoted."""

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the other columns, then name and value."""
        return (*(name for name in inputs[self.from_] if name not in self.columns), self.into, self.value)

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: the value comes of all columns that became rows."""
        known = inputs[self.from_]
        return Facts.listed(
            [*known.named.items(), (self.into, Fact(sure=True)), (self.value, known.of(self.columns))], known.rest
        )

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Hold the columns against each other."""
        schema = inputs[self.from_]
        for place, here in enumerate(self.columns):
            for there in self.columns[place + 1 :]:
                kinds = (here, schema.field(here).type), (there, schema.field(there).type)
                meeting.require(self.value, *kinds, where=f"step {self.name}, columns")

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT others, name, value FROM (SELECT others, unnest(names), unnest(values) FROM input)``."""
        known = inputs[self.from_]
        known.need(self.columns, f"step {self.name}, columns")
        outputs = self.outputs(inputs)
        twice = next((name for place, name in enumerate(outputs) if name in outputs[:place]), None)
        if twice is not None:
            raise Invalid(
                f"two columns would be called {twice!r}",
                where=f"step {self.name}",
                hint="Give 'into' and 'value' names that no other column has.",
            )
        others = [known.sql(name) for name in known if name not in self.columns]
        names = f"unnest([{', '.join(map(literal, self.columns))}]) AS {quote('label')}"
        values = f"unnest([{', '.join(map(known.sql, self.columns))}]) AS {quote('value')}"
        shown = ", ".join((*others, quote("label"), quote("value")))
        kept = f" WHERE {quote('value')} IS NOT NULL" if self.nulls == "drop" else ""
        return f"SELECT {shown} FROM (SELECT {', '.join((*others, names, values))} FROM {known.table}){kept}"  # noqa: S608 - quoted names
