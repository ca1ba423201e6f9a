"""``check``: rules that rows must pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model, Name
from sluicegate.kit import pattern, step
from sluicegate.kit.rows import Reject
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa

Value = bool | int | Decimal | float | datetime | date | str
_RAW_MAX = 2000


class Rule(Model):
    """One rule for one column. NULL passes every rule but ``not_null``."""

    column: str
    """The column the rule is about."""
    not_null: bool = False
    """The column must have a value."""
    between: tuple[Value, Value] | None = None
    """Lowest and highest value, both allowed."""
    in_: tuple[Value, ...] | None = Field(default=None, alias="in", max_length=10_000)
    """The values there may be."""
    matches: str | None = Field(default=None, max_length=1000)
    """A regular expression (RE2) that the whole text must match."""

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if not self.not_null and self.between is None and self.in_ is None and self.matches is None:
            raise Misfit("a rule needs not_null, between, in or matches")
        return self

    @field_validator("matches")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None and (why := pattern.explain(value)):
            raise Misfit(f"this is not a regular expression: {why}")
        return value

    def reason(self) -> str:
        """Return what a row that fails has done wrong."""
        parts = []
        if self.not_null:
            parts.append("must have a value")
        if self.between is not None:
            parts.append(f"must be between {self.between[0]} and {self.between[1]}")
        if self.in_ is not None:
            parts.append("must be one of the values listed")
        if self.matches is not None:
            parts.append(f"must match {self.matches}")
        return f"{self.column} " + " and ".join(parts)


class Check(step.Check):
    """Let rows pass that keep all rules; the others stop the run, are left out, or go to quarantine."""

    type: ClassVar[str] = "check"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=200)
    """All must hold."""
    on_fail: Literal["stop", "skip", "quarantine"] = "stop"
    """What happens to a row that fails: stop the run, leave it out, or keep it sealed for a look."""
    max_rejects: int = Field(default=100_000, ge=0)
    """Stop the run when more rows than this are rejected."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise ``UnknownColumn`` for the first rule whose column is not there, ``Invalid`` for one RE2 cannot read."""
        for place, rule in enumerate(self.rules):
            if rule.column not in columns:
                raise UnknownColumn(
                    f"there is no column {rule.column!r}",
                    where=f"step {self.name}, rules",
                    hint=f"There are: {', '.join(columns[:40])}.",
                )
            if rule.matches is not None and (why := _unreadable(rule.matches)):
                raise Invalid(
                    f"this is not a regular expression: {why}", where=f"step {self.name}, rules[{place}].matches"
                )

    def split(self, batch: pa.RecordBatch, first_row: int) -> tuple[pa.RecordBatch, list[Any]]:
        """Evaluate all rules at once over the batch."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rejected: dict[int, Rule] = {}
        for rule in self.rules:
            try:
                passed = _passes(rule, batch.column(rule.column))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                kind = to_name(batch.schema.field(rule.column).type)
                raise DataError(
                    f"the rule does not fit a column of type {kind}", where=f"step {self.name}, column {rule.column}"
                ) from None
            if pc.all(passed).as_py() is not False:
                continue
            for row in pc.indices_nonzero(pc.invert(passed)).to_pylist():
                rejected.setdefault(int(row or 0), rule)
        if not rejected:
            return batch, []
        keep = [row not in rejected for row in range(batch.num_rows)]
        rejects = [
            Reject(None, rule.column, rule.reason(), _raw(batch, row), first_row + row)
            for row, rule in sorted(rejected.items())
        ]
        return batch.filter(pa.array(keep)), rejects


def _whole(text: str) -> str:
    return f"^(?:{text})$"


def _unreadable(text: str) -> str:
    """Return why RE2 cannot read a pattern; empty when it can."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), pattern=_whole(text))
    except pa.ArrowInvalid as fault:
        return pattern.retell(str(fault))
    return ""


def _raw(batch: pa.RecordBatch, row: int) -> str:
    import orjson

    found = batch.slice(row, 1).to_pylist()[0]
    return orjson.dumps(found, default=str).decode()[:_RAW_MAX]


def _passes(rule: Rule, values: pa.Array[Any]) -> pa.BooleanArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    def scalar(value: Value) -> Any:
        if isinstance(value, str) and not pa.types.is_string(values.type):
            return pa.scalar(value).cast(values.type)
        return pa.scalar(value)

    passed = pc.is_valid(values) if rule.not_null else pa.repeat(pa.scalar(True), len(values))  # noqa: FBT003 - a constant column
    null = pc.is_null(values)
    if rule.between is not None:
        low, high = (scalar(each) for each in rule.between)
        inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
        passed = pc.and_(passed, pc.or_kleene(null, inside))
    if rule.in_ is not None:
        listed = pa.array([scalar(each).as_py() for each in rule.in_])
        passed = pc.and_(passed, pc.or_kleene(null, pc.is_in(values, value_set=listed.cast(values.type))))
    if rule.matches is not None:
        found = pc.match_substring_regex(values, pattern=_whole(rule.matches))
        passed = pc.and_(passed, pc.or_kleene(null, found))
    return passed
