"""An order of rows, as flows say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from sluicegate.base.model import Model

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Order(Model):
    """One column that rows are sorted by; a bare word is a column in ascending order."""

    column: str
    """The column's name, exactly."""
    descending: bool = False
    """From the largest value to the smallest."""
    nulls: Literal["first", "last"] = "last"
    """Where rows without a value come, whichever the direction."""

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    def sql(self, known: Columns) -> str:
        """Return it as it stands after ORDER BY."""
        direction = "DESC" if self.descending else "ASC"
        return f"{known.sql(self.column)} {direction} NULLS {self.nulls.upper()}"


ARRIVAL = "row_number() OVER ()"
"""SQL for the place of a row among those that come in: with it as the last key, equal rows keep their order."""


def spell(orders: Iterable[Order], known: Columns) -> str:
    """Return what stands after ORDER BY; rows that are equal in it stay as they came."""
    return ", ".join((*(each.sql(known) for each in orders), ARRIVAL))
