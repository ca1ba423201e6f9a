"""Values that flows write down, as SQL."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal

from sluicegate.kit.columns import literal

Value = bool | int | Decimal | float | datetime | date | str
"""A value in a document. What it is in a query, the column says that it is compared with or put into."""


def spell(value: Value) -> str:
    """Return it as an SQL text literal."""
    if isinstance(value, bool):
        return literal(str(value).lower())
    if isinstance(value, Decimal):
        return literal(format(value, "f"))
    return literal(repr(value) if isinstance(value, float) else str(value))


def fit(value: Value, column: str) -> str:
    """Return SQL that gives the value in the type of ``column``; it ends in an error when it does not fit exactly.

    DuckDB itself makes 3 of 2.5 for a column of whole numbers, and a day of a moment.
    """
    made = f"cast_to_type({spell(value)}, {column})"
    exact = _exact(value)
    if not exact:
        return made
    says = literal(f"the value {value} cannot be had exactly in the type of its column")
    return f"CASE WHEN {made} = {exact} THEN {made} ELSE error({says}) END"


def _exact(value: Value) -> str:
    """Return it as a literal of its own type; empty for what a cast does not round."""
    if isinstance(value, datetime):
        return f"CAST({spell(value)} AS {'TIMESTAMP' if value.tzinfo is None else 'TIMESTAMPTZ'})"
    if isinstance(value, bool | str | date) or not math.isfinite(value):
        return ""
    return f"({format(value, 'f') if isinstance(value, Decimal) else repr(value)})"
