"""Rules that rows, or all rows together, must keep: what the step ``check`` takes."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model, Name
from sluicegate.kit import pattern

Value = bool | int | Decimal | float | datetime | date | str

_SPAN = re.compile(r"([1-9]\d{0,6}) (minute|hour|day|week)s?")


def read_span(text: str) -> timedelta:
    """Return a length of time such as ``24 hours``; ``Misfit`` when it is none."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise Misfit("must be a length of time: a number and minutes, hours, days or weeks, such as 24 hours")
    return timedelta(**{f"{found[2]}s": int(found[1])})


def _span(text: str) -> str:
    read_span(text)
    return text


class Reference(Model):
    """Where values must exist."""

    from_: Name = Field(alias="from")
    """Name of the step that has them; it is held in memory, and spilled when it is too large for it."""
    columns: tuple[str, ...] = Field(default=(), max_length=20)
    """Its columns, in the order of the rule's; of the same names when there are none."""


class Count(Model):
    """How many rows there must be."""

    min: int = Field(default=0, ge=0)
    """At least so many."""
    max: int | None = Field(default=None, ge=0)
    """At most so many."""

    @model_validator(mode="after")
    def _bounds(self) -> Count:
        if self.max is None and self.min == 0:
            raise Misfit("needs min or max")
        if self.max is not None and self.max < self.min:
            raise Misfit("max is less than min")
        return self


class Rule(Model):
    """One rule. NULL passes every rule about rows but ``not_null``.

    ``fresh_within`` and ``row_count`` are about all rows together: a run that breaks one stops, whatever ``on_fail``.
    """

    column: str = ""
    """The column the rule is about."""
    columns: tuple[str, ...] = Field(default=(), max_length=20)
    """For ``unique`` and ``reference``: several columns that are looked at as one."""
    not_null: bool = False
    """The column must have a value."""
    between: tuple[Value, Value] | None = None
    """Lowest and highest value, both allowed."""
    in_: tuple[Value, ...] | None = Field(default=None, alias="in", max_length=10_000)
    """The values there may be."""
    matches: str | None = Field(default=None, max_length=1000)
    """A regular expression (RE2) that the whole text must match."""
    unique: bool = False
    """No two rows have the same value; the first passes, those after it fail."""
    reference: Reference | None = None
    """The value must exist in the rows of another step."""
    expression: str | None = Field(default=None, max_length=10_000)
    """An SQL expression over the columns that must not be false."""
    fresh_within: Annotated[str, AfterValidator(_span)] | None = Field(default=None, max_length=40)
    """The newest value, a date or timestamp, is no older than this: ``24 hours``. A date counts until its end (UTC)."""
    row_count: Count | None = None
    """How many rows come in."""

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        said = {
            "not_null": self.not_null, "between": self.between is not None, "in": self.in_ is not None,
            "matches": self.matches is not None, "unique": self.unique, "reference": self.reference is not None,
            "expression": self.expression is not None, "fresh_within": self.fresh_within is not None,
            "row_count": self.row_count is not None,
        }  # fmt: skip
        used = [name for name, is_said in said.items() if is_said]
        if not used:
            raise Misfit(f"a rule needs {', '.join([*said][:-1])} or row_count")
        alone = [name for name in used if name not in {"not_null", "between", "in", "matches"}]
        if alone and used[1:]:
            raise Misfit(f"{alone[0]!r} is a rule of its own: write two rules")
        about = bool(self.column) + bool(self.columns)
        if alone in (["expression"], ["row_count"]):
            if about:
                raise Misfit(f"{alone[0]!r} is about no one column", "column" if self.column else "columns")
        elif about != 1 or (self.columns and alone not in (["unique"], ["reference"])):
            raise Misfit("a rule needs 'column'; 'unique' and 'reference' may have 'columns' instead")
        if self.reference and self.reference.columns and len(self.reference.columns) != len(self.names):
            raise Misfit("has another number of columns than the rule", "reference", "columns")
        return self

    @field_validator("matches")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None and (why := pattern.explain(value)):
            raise Misfit(f"this is not a regular expression: {why}")
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it is about."""
        return self.columns or ((self.column,) if self.column else ())

    @property
    def is_marked(self) -> bool:
        """Whether it is found out by a query over all rows, and not batch by batch."""
        return self.unique or self.reference is not None or self.expression is not None

    @property
    def is_whole(self) -> bool:
        """Whether it is about all rows together."""
        return self.fresh_within is not None or self.row_count is not None

    def reason(self) -> str:
        """Return what a row that fails has done wrong."""
        if self.expression is not None:
            return f"must hold: {self.expression[:200]}"
        parts = []
        if self.not_null:
            parts.append("must have a value")
        if self.between is not None:
            parts.append(f"must be between {self.between[0]} and {self.between[1]}")
        if self.in_ is not None:
            parts.append("must be one of the values listed")
        if self.matches is not None:
            parts.append(f"must match {self.matches}")
        if self.unique:
            parts.append("must be unique")
        if self.reference is not None:
            parts.append(f"must exist in {self.reference.from_}")
        return f"{', '.join(self.names)} " + " and ".join(parts)
