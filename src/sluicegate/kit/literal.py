"""Values that flows write down, as SQL."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sluicegate.kit.columns import literal

Value = bool | int | Decimal | float | datetime | date | str
"""A value in a document. What it is in a query, the column says that it is compared with or put into."""


def spell(value: Value) -> str:
    """Return it as an SQL text literal, which ``cast_to_type`` brings into a column's type, or refuses."""
    if isinstance(value, bool):
        return literal(str(value).lower())
    if isinstance(value, Decimal):
        return literal(format(value, "f"))
    return literal(repr(value) if isinstance(value, float) else str(value))
