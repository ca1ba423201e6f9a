"""``join``: bring two inputs together on equal columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.base.model import Name
from sluicegate.kit import expression
from sluicegate.kit.step import Transform


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
            raise Invalid("a join needs two different inputs", where=f"step {self.name}")

    def outputs(self, schemas: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the left columns, then the right ones that are not joined on."""
        return (*schemas[self.left], *(each for each in schemas[self.right] if each not in self.on))

    def query(self, schemas: Mapping[str, Sequence[str]]) -> str:
        """``SELECT … FROM left JOIN right USING (…)``."""
        for side in (self.left, self.right):
            for column in self.on:
                if column not in schemas[side]:
                    raise UnknownColumn(
                        f"{side!r} has no column {column!r}",
                        where=f"step {self.name}, on",
                        hint=f"It has: {', '.join(schemas[side][:40])}.",
                    )
        both = [each for each in schemas[self.left] if each in schemas[self.right] and each not in self.on]
        if both:
            raise Invalid(
                f"both inputs have a column {both[0]!r}",
                where=f"step {self.name}",
                hint="Rename or leave out one of them in a map step before the join.",
            )
        left, right = expression.quote(self.left), expression.quote(self.right)
        shown = ", ".join(expression.quote(each) for each in self.outputs(schemas))
        using = ", ".join(expression.quote(each) for each in self.on)
        return f"SELECT {shown} FROM {left} {self.how.upper()} JOIN {right} USING ({using})"  # noqa: S608 - quoted names
