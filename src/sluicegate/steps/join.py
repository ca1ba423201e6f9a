"""``join``: bring two inputs together on equal columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.base.model import Name
from sluicegate.kit.lineage import Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Join(Transform):
    """Join two inputs. The join columns come out once; a name that both sides have otherwise is an error."""

    type: ClassVar[str] = "join"
    name: Name
    """Name of this step."""
    left: Name
    """Name of the step on the left."""
    right: Name
    """Name of the step on the right."""
    on: tuple[str, ...] = Field(min_length=1)
    """Columns that must be equal on both sides."""
    how: Literal["inner", "left", "right", "full"] = "inner"
    """Which rows without a partner to keep."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Both inputs."""
        return (self.left, self.right)

    def check_text(self) -> None:
        """Check that the two inputs differ; names are only ever quoted."""
        if self.left == self.right:
            fault = Invalid("a join needs two different inputs", where=f"step {self.name}")
            fault.path = ("right",)
            raise fault

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the left columns, then the right ones that are not joined on."""
        return (*inputs[self.left], *(each for each in inputs[self.right] if each not in self.on))

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known of both sides."""
        return Facts.merged(inputs.values())

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT … FROM left JOIN right ON …``."""
        for side in (self.left, self.right):
            for column in self.on:
                if column not in inputs[side]:
                    raise UnknownColumn(
                        f"{side!r} has no column {column!r}",
                        where=f"step {self.name}, on",
                        hint=f"It has: {', '.join(inputs[side][:40])}.",
                    )
        both = [each for each in inputs[self.left] if each in inputs[self.right] and each not in self.on]
        if both:
            raise Invalid(
                f"both inputs have a column {both[0]!r}",
                where=f"step {self.name}",
                hint="Rename or leave out one of them in a map step before the join.",
            )
        left, right = inputs[self.left], inputs[self.right]
        shown = [*(self._key(name, left, right) if name in self.on else left.sql(name) for name in left)]
        shown += [right.sql(name) for name in right if name not in self.on]
        equal = " AND ".join(f"{left.sql(name)} = {right.sql(name)}" for name in self.on)
        return f"SELECT {', '.join(shown)} FROM {left.table} {self.how.upper()} JOIN {right.table} ON {equal}"  # noqa: S608 - quoted names

    def _key(self, name: str, left: Columns, right: Columns) -> str:
        """Return a join column: from the side that has a row."""
        if self.how == "full":
            return f"coalesce({left.sql(name)}, {right.sql(name)})"
        return (right if self.how == "right" else left).sql(name)
