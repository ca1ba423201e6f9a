"""``check``: rules that rows must pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.base.model import Name
from sluicegate.kit import expression, pattern, step
from sluicegate.kit.marks import Marks
from sluicegate.kit.rows import Reject
from sluicegate.kit.rules import Rule, Value, read_span
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa

_RAW_MAX = 2000


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
        """The one input, then those that references lead to."""
        return (self.from_, *(name for name in self._references if name != self.from_))

    @property
    def _references(self) -> dict[str, int]:
        """The steps that references lead to, and the first rule that does so."""
        found: dict[str, int] = {}
        for place, rule in enumerate(self.rules):
            if rule.reference is not None:
                found.setdefault(rule.reference.from_, place)
        return found

    def check_text(self) -> None:
        """Check every expression against the allowlist, and that no reference leads back to the rows themselves."""
        for place, rule in enumerate(self.rules):
            path = ("rules", place, "expression")
            if rule.expression is not None:
                try:
                    expression.parse(rule.expression)
                except Invalid as fault:
                    fault.path = path
                    raise fault.at(f"step {self.name}, rules[{place}].expression") from None
        if self.from_ in self._references:
            place = self._references[self.from_]
            found = Invalid("the rows cannot refer to themselves", where=f"step {self.name}, rules[{place}].reference")
            found.path = ("rules", place, "reference", "from")
            raise found

    def marking(self, *, whole: bool = True) -> Marks | None:
        """Return what marks the rows that break a rule which no batch can tell alone; see ``step.Check``."""
        chosen = [each for each in enumerate(self.rules) if each[1].is_marked and (whole or not each[1].reference)]
        if not chosen:
            return None
        return Marks.model_construct(name=self.name, source=self.from_, rules=tuple(chosen))

    def watch(self) -> Watch:
        """Return what sees all rows; see ``step.Check``."""
        return Watch(self)

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise ``UnknownColumn`` for the first rule whose column is not there, ``Invalid`` for one RE2 cannot read."""
        for place, rule in enumerate(self.rules):
            lost = [name for name in rule.names if name not in columns]
            if lost:
                raise UnknownColumn(
                    f"there is no column {lost[0]!r}",
                    where=f"step {self.name}, rules",
                    hint=f"There are: {', '.join(columns[:40])}.",
                )
            if rule.matches is not None and (why := _unreadable(rule.matches)):
                raise Invalid(
                    f"this is not a regular expression: {why}", where=f"step {self.name}, rules[{place}].matches"
                )

    def split(
        self, batch: pa.RecordBatch, first_row: int, marks: pa.Array[Any] | None = None
    ) -> tuple[pa.RecordBatch, list[Any]]:
        """Evaluate all rules at once over the batch."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rejected: dict[int, Rule] = {}
        for place, rule in enumerate(self.rules):
            if rule.is_whole:
                continue
            if rule.is_marked:
                if marks is not None:
                    for row in pc.indices_nonzero(pc.equal(marks, place)).to_pylist():
                        rejected.setdefault(int(row or 0), rule)
                continue
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
            Reject(None, ", ".join(rule.names) or None, rule.reason(), _raw(batch, row), first_row + row)
            for row, rule in sorted(rejected.items())
        ]
        return batch.filter(pa.array(keep)), rejects


class Watch:
    """Sees all rows of a check, and says at their end what they break together."""

    def __init__(self, check: Check) -> None:
        """Nothing seen yet."""
        self._check = check
        self._rows = 0
        self._newest: dict[str, datetime] = {}

    def see(self, batch: pa.RecordBatch) -> None:
        """Take note of a batch. Raises ``DataError`` when there are too many rows, or no time in a column."""
        self._rows += batch.num_rows
        for place, rule in enumerate(self._check.rules):
            most = rule.row_count.max if rule.row_count is not None else None
            if most is not None and self._rows > most:
                raise self._fault(place, "row_count", f"there are more than {most} rows")
            if rule.fresh_within is not None and (newest := self._latest(batch, rule.column, place)) is not None:
                self._newest[rule.column] = max(newest, self._newest.get(rule.column, newest))

    def end(self) -> None:
        """Raise ``DataError`` for the first rule that all rows together break."""
        for place, rule in enumerate(self._check.rules):
            if rule.row_count is not None and self._rows < rule.row_count.min:
                told = f"there are {self._rows} rows, at least {rule.row_count.min} must be"
                raise self._fault(place, "row_count", told)
            if rule.fresh_within is None:
                continue
            newest = self._newest.get(rule.column)
            if newest is None:
                raise self._fault(place, "fresh_within", f"no row has a value in {rule.column!r}")
            if newest < datetime.fromtimestamp(clock.system(), UTC) - read_span(rule.fresh_within):
                moment = f"{newest:%Y-%m-%d %H:%M:%S}Z"
                told = f"the newest value of {rule.column!r} is {moment}, older than {rule.fresh_within}"
                raise self._fault(place, "fresh_within", told)

    def _latest(self, batch: pa.RecordBatch, column: str, place: int) -> datetime | None:
        """Return the newest time in the column; a day counts until its end."""
        import pyarrow as pa
        import pyarrow.compute as pc

        values = batch.column(column)
        if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
            told = f"the column {column!r} is {to_name(values.type)}: date, timestamp or timestamptz is needed"
            raise self._fault(place, "fresh_within", told)
        found = pc.max(values).as_py()
        if isinstance(found, datetime):
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return datetime.combine(found, time(), UTC) + timedelta(days=1) if isinstance(found, date) else None

    def _fault(self, place: int, field: str, text: str) -> DataError:
        return DataError(text, where=f"step {self._check.name}, rules[{place}].{field}")


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
