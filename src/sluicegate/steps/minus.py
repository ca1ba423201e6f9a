"""``minus``: the rows of one input that another does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from sluicegate.base.model import Name
from sluicegate.kit import comparison
from sluicegate.kit.lineage import Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.columns import Columns


class Minus(Transform):
    """Give the rows on the left that are not on the right. Columns go together by name; NULL equals NULL here."""

    type: ClassVar[str] = "minus"
    name: Name
    """Name of this step."""
    left: Name
    """Name of the step on the left."""
    right: Name
    """Name of the step on the right; it has the same columns, in any order."""
    rows: Literal["distinct", "all"] = "distinct"
    """Whether a row comes out once, or as often as it is on the left more than on the right."""

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
        comparison.check_sides(self.name, self.left, self.right)

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the columns on the left."""
        return tuple(inputs[self.left])

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known of both sides: which rows are left tells of the right, too."""
        return Facts.merged(inputs.values())

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Hold the columns of both sides against each other."""
        comparison.check_types(inputs, self.left, self.right, f"step {self.name}")

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT left EXCEPT SELECT right``."""
        return comparison.spell(inputs, self.left, self.right, "EXCEPT", self.rows, f"step {self.name}")
