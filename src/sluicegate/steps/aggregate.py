"""``aggregate``: one row for each group of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sluicegate.base.errors import Invalid
from sluicegate.base.flaws import Path
from sluicegate.base.model import Name
from sluicegate.kit.computing import Computing
from sluicegate.kit.lineage import Facts

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Aggregate(Computing):
    """Give one row for each group: its columns in ``by``, then what is computed over its rows.

    Sums of whole numbers are ``decimal(38,0)``, sums of decimals ``decimal(38,s)``: exact, an overflow is an error.
    ``avg`` and the statistics are ``float64``.
    """

    type: ClassVar[str] = "aggregate"
    aggregates: ClassVar[bool] = True
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    by: tuple[str, ...] = Field(default=(), max_length=200)
    """Columns whose values make a group (NULL is a value like any other); without any, all rows are one group."""
    columns: dict[str, str] = Field(min_length=1)
    """What is computed, ``name: expression`` over aggregates: ``count(*)``, ``sum(amount) filter (where paid)``."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def check_text(self) -> None:
        """Check that no name is given twice, and every expression against the allowlist."""
        for place, name in enumerate(self.by):
            if name in self.by[:place] or name in self.columns:
                raise self._fault(f"the column {name!r} is given twice", ("by", place))
        super().check_text()

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:  # noqa: ARG002 - it tells them itself
        """Return the columns of the group, then the computed ones."""
        return (*self.by, *self.columns)

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: a result comes of the columns that its expression reads."""
        known = inputs[self.from_]
        computed = ((name, known.of(self.parsed(text).columns)) for name, text in self.columns.items())
        return Facts.listed([*((name, known.get(name)) for name in self.by), *computed])

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT by, expressions FROM input GROUP BY by``."""
        known = inputs[self.from_]
        known.need(self.by, f"step {self.name}, by")
        keys = [known.sql(name) for name in self.by]
        shown = [*keys, *(self.sql(text, known, path) for path, text in self.texts())]
        grouped = f" GROUP BY {', '.join(keys)}" if keys else " HAVING true"
        return f"SELECT {', '.join(shown)} FROM {known.table}{grouped}"  # noqa: S608 - every part is checked or quoted

    def sql(self, text: str, known: Columns, path: Path) -> str:
        """Return an expression; each column outside of aggregate functions is one of the group's."""
        made = super().sql(text, known, path)
        for name in self.parsed(text).ungrouped:
            if known.find(name) not in self.by:
                raise Invalid(
                    f"the column {name!r} is neither in 'by' nor in an aggregate function",
                    where=self.place(path),
                    hint="Rows of a group can differ in it: write first(…), max(…) or list(…), or add it to 'by'.",
                )
        return made

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yield each expression and where it stands."""
        return ((("columns", name), text) for name, text in self.columns.items())

    def _fault(self, text: str, path: Path) -> Invalid:
        fault = Invalid(text, where=self.place(path))
        fault.path = path
        return fault
