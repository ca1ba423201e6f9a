"""Two inputs with the same columns, compared row by row: what ``minus`` and ``intersect`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from sluicegate.base.errors import Invalid
from sluicegate.base.model import Name
from sluicegate.kit import meeting
from sluicegate.kit.lineage import Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.columns import Columns


def check_sides(name: str, left: str, right: str, field: str = "right") -> None:
    """Raise ``Invalid`` when both sides of the step ``name`` are the same input; ``field`` names the second."""
    if left == right:
        fault = Invalid("two different inputs are needed", where=f"step {name}")
        fault.path = (field,)
        raise fault


class Comparison(Transform):
    """Holds the rows on the left against those on the right."""

    name: Name
    """Name of this step."""
    left: Name
    """Name of the step on the left."""
    right: Name
    """Name of the step on the right; it has the same columns, in any order."""
    rows: Literal["distinct", "all"] = "distinct"

    word: ClassVar[Literal["EXCEPT", "INTERSECT"]]
    """The set operation of SQL that it is."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Both inputs."""
        return (self.left, self.right)

    @property
    def typed(self) -> tuple[str, ...]:
        """Both inputs."""
        return self.inputs

    def check_text(self) -> None:
        """Check that the two inputs differ; names are only ever quoted."""
        check_sides(self.name, self.left, self.right)

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the columns on the left."""
        return tuple(inputs[self.left])

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known of both sides: which rows are left tells of the right, too."""
        return Facts.merged(inputs.values())

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Hold the columns of both sides against each other."""
        for field in inputs[self.left]:
            there = inputs[self.right].field(field.name)
            meeting.require(field.name, (self.left, field.type), (self.right, there.type), f"step {self.name}")

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT left EXCEPT SELECT right``, or ``INTERSECT``."""
        ours, theirs = inputs[self.left], inputs[self.right]
        for name in (*ours, *theirs):
            if name not in ours or name not in theirs:
                side, other = (self.right, self.left) if name not in theirs else (self.left, self.right)
                raise Invalid(
                    f"{side!r} has no column {name!r}, which {other!r} has",
                    where=f"step {self.name}",
                    hint="Both inputs need the same columns: choose them in a step before.",
                )
        shown, compared = (", ".join(side.sql(name) for name in ours) for side in (ours, theirs))
        compare = f"{self.word} ALL" if self.rows == "all" else self.word
        return f"SELECT {shown} FROM (SELECT {shown} FROM {ours.table} {compare} SELECT {compared} FROM {theirs.table})"  # noqa: S608 - quoted names
