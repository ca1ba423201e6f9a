"""Two inputs with the same columns, compared row by row: what ``minus`` and ``intersect`` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from sluicegate.base.errors import Invalid
from sluicegate.kit import meeting

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.columns import Columns


def check_sides(name: str, left: str, right: str) -> None:
    """Raise ``Invalid`` when both sides of the step ``name`` are the same input."""
    if left == right:
        fault = Invalid("two different inputs are needed", where=f"step {name}")
        fault.path = ("right",)
        raise fault


def check_types(inputs: Mapping[str, pa.Schema], left: str, right: str, where: str) -> None:
    """Raise ``Invalid`` for the first column whose types on both sides do not meet."""
    for field in inputs[left]:
        there = inputs[right].field(field.name)
        meeting.require(field.name, (left, field.type), (right, there.type), where)


def spell(
    inputs: Mapping[str, Columns],
    left: str,
    right: str,
    word: Literal["EXCEPT", "INTERSECT"],
    rows: Literal["all", "distinct"],
    where: str,
) -> str:
    """Return the SELECT. Raises ``Invalid`` for a column that only one side has."""
    ours, theirs = inputs[left], inputs[right]
    for name in (*ours, *theirs):
        if name not in ours or name not in theirs:
            side, other = (right, left) if name not in theirs else (left, right)
            raise Invalid(
                f"{side!r} has no column {name!r}, which {other!r} has",
                where=where,
                hint="Both inputs need the same columns: choose them in a step before.",
            )
    shown, compared = (", ".join(side.sql(name) for name in ours) for side in (ours, theirs))
    more = " ALL" if rows == "all" else ""
    return f"SELECT {shown} FROM (SELECT {shown} FROM {ours.table} {word}{more} SELECT {compared} FROM {theirs.table})"  # noqa: S608 - quoted names
