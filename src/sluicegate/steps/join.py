"""``join``: bring two inputs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.base.model import Name
from sluicegate.kit import comparison, meeting
from sluicegate.kit.lineage import Facts
from sluicegate.kit.order import ARRIVAL
from sluicegate.kit.pair import Pair
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.columns import Columns

_CROSS_MAX = 10_000


class Join(Transform):
    """Join two inputs. The join columns come out once; a name that both sides have otherwise is an error.

    NULL equals nothing, not even NULL. The right side is held in memory, and spilled when it is too large for it; for a
    ``cross`` join it has at most 10000 rows.
    """

    type: ClassVar[str] = "join"
    name: Name
    """Name of this step."""
    left: Name
    """Name of the step on the left."""
    right: Name
    """Name of the step on the right."""
    on: tuple[Pair, ...] = Field(default=(), max_length=200)
    """Columns that must be equal on both sides: a name, or ``{ left, right }`` when they are called differently."""
    how: Literal["inner", "left", "right", "full", "semi", "anti", "cross"] = "inner"
    """Which rows to keep; ``semi``, ``anti``: those of the left with a partner, or without; ``cross``: all with all."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Both inputs."""
        return (self.left, self.right)

    @property
    def typed(self) -> tuple[str, ...]:
        """Both inputs, when columns are compared."""
        return self.inputs if self.on else ()

    def check_text(self) -> None:
        """Check that the two inputs differ, and that there is something to join on; names are only ever quoted."""
        comparison.check_sides(self.name, self.left, self.right)
        if bool(self.on) == (self.how == "cross"):
            text = "a cross join has no 'on'" if self.on else "a join needs 'on': the columns that must be equal"
            fault = Invalid(text, where=f"step {self.name}, on")
            fault.path = ("on",)
            raise fault

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the left columns, then the right ones that are not joined on."""
        if self.how in {"semi", "anti"}:
            return tuple(inputs[self.left])
        return (*inputs[self.left], *self._others(inputs[self.right]))

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known of both sides; a join column has what it has on either."""
        if self.how in {"semi", "anti"}:  # which rows are left tells of the columns that are compared
            known = inputs[self.left]
            held = ((each.left, known.get(each.left), inputs[self.right].get(each.right)) for each in self.on)
            told = Facts.listed((name, replace(ours.joined(theirs), kind=ours.kind)) for name, ours, theirs in held)
            return Facts.merged([known, told])
        found = Facts.merged(inputs.values())
        pairs = ((each.left, inputs[self.right].get(each.right)) for each in self.on if each.left != each.right)
        return Facts.merged([found, Facts.listed(pairs)]) if self.on else found

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Hold the join columns against each other."""
        for each in self.on:
            kinds = (inputs[self.left].field(each.left).type, inputs[self.right].field(each.right).type)
            meeting.require(each.left, (self.left, kinds[0]), (self.right, kinds[1]), f"step {self.name}, on")

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT … FROM left JOIN right ON …``."""
        left, right = inputs[self.left], inputs[self.right]
        self._check(left, right)
        pairs = {each.left: each.right for each in self.on}
        shown = [*(self._key(name, pairs[name], left, right) if name in pairs else left.sql(name) for name in left)]
        if self.how in {"semi", "anti"}:
            shown = [left.sql(name) for name in left]
        else:
            shown += [right.sql(name) for name in self._others(right)]
        chosen = f"SELECT {', '.join(shown)} FROM {left.table} {self.how.upper()} JOIN"  # noqa: S608 - quoted names
        if self.how == "cross":
            return f"{chosen} ({self._bounded(right)})"
        equal = " AND ".join(f"{left.sql(ours)} = {right.sql(theirs)}" for ours, theirs in pairs.items())
        return f"{chosen} {right.table} ON {equal}"

    def _others(self, right: Sequence[str]) -> list[str]:
        joined = {each.right for each in self.on}
        return [name for name in right if name not in joined]

    def _check(self, left: Columns, right: Columns) -> None:
        for side, known, names in (
            (self.left, left, [each.left for each in self.on]),
            (self.right, right, [each.right for each in self.on]),
        ):
            for column in names:
                if column not in known:
                    raise UnknownColumn(
                        f"{side!r} has no column {column!r}",
                        where=f"step {self.name}, on",
                        hint=f"It has: {', '.join(known[:40])}.",
                    )
        if self.how in {"semi", "anti"}:
            return
        both = [name for name in self._others(right) if name in left]
        if both:
            more = f" (and {len(both) - 1} more: {', '.join(both[1:6])})" if both[1:] else ""
            raise Invalid(
                f"both inputs have a column {both[0]!r}{more}",
                where=f"step {self.name}",
                hint="Rename or leave out one of them in a step before: select has rename and drop.",
            )

    def _bounded(self, right: Columns) -> str:
        """Return the right side of a cross join, which ends in an error when it is longer than it may be."""
        shown = ", ".join(right.sql(name) for name in right)
        fault = f"error('the right side of a cross join has more than {_CROSS_MAX} rows')"
        bound = f"CASE WHEN {ARRIVAL} > {_CROSS_MAX} THEN {fault} ELSE true END"
        return f"SELECT {shown} FROM {right.table} QUALIFY {bound}"  # noqa: S608 - quoted names

    def _key(self, name: str, other: str, left: Columns, right: Columns) -> str:
        """Return a join column: from the side that has a row."""
        if self.how == "full":
            return f"coalesce({left.sql(name)}, {right.sql(other)})"
        return right.sql(other) if self.how == "right" else left.sql(name)
