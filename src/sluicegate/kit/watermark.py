"""High watermarks: a step reads only the rows whose column is above what the last run that landed has seen.

A value is kept as text in the one spelling of its type (``kit.text``), so none is rounded and no zone is lost: numbers
in digits, dates and moments in ISO 8601, instants in UTC. Which column can be one: whole numbers, decimals, dates,
timestamps. Floats cannot (they do not tell neighbours apart), nor can texts (each database sorts them its own way).
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sluicegate.base.errors import Failed, Invalid
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model
from sluicegate.kit.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from sluicegate.kit.step import Writing

VALUE_MAX = 128
"""Letters of a value: 76 digits with sign and point, and every moment, are shorter."""
_OVERLAP = re.compile(r"(\d{1,18}(?:\.\d{1,18})?) *(second|minute|hour|day|week)?s?")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_DAY = 86_400
_PARTS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_ZONE = re.compile(r"[T ].*(?:Z|[+-]\d\d:?\d\d)$")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MOMENT = re.compile(r"(-?\d{4,6})-(\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?)(?:Z|[+-]\d\d:?\d\d)?")
_LONG = 1 << 63

Nulls = Literal["stop", "read", "skip"]


def _written(value: Any) -> Any:
    """Return what stands in a document as text; a bare date or number means itself."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if value is None or isinstance(value, bool | list | dict) else str(value)


def check_value(text: str) -> str:
    """Return ``text`` when it can be a value of some column; ``Misfit`` otherwise. The run knows its type."""
    if len(text) > VALUE_MAX or not (_NUMBER.fullmatch(text) or _MOMENT.fullmatch(text)):
        raise Misfit("must be a number, a date (2024-01-31) or a moment (2024-01-31T12:00:00, with Z or an offset)")
    return text


def check_overlap(text: str) -> str:
    """Return ``text`` when it says how far to go back; ``Misfit`` otherwise."""
    found = _OVERLAP.fullmatch(text)
    if not found or not Decimal(found[1]) or (found[2] and "." in found[1]):
        raise Misfit("must be a whole number of seconds, minutes, hours, days or weeks (10 minutes), or a number")
    return text


class Since(Model):
    """Read only rows whose column is above what the last run that landed has seen."""

    column: str = Field(min_length=1, max_length=1024)
    """Column that rises with each change of a row: whole number, decimal, date or timestamp."""
    start: Annotated[str, AfterValidator(check_value), BeforeValidator(_written)] | None = None
    """Where the first run begins, this value included (UTC when the column has a zone and this none); all if absent."""
    overlap: Annotated[str, AfterValidator(check_overlap), BeforeValidator(_written)] | None = None
    """How far each run goes back for rows that came late: ``10 minutes``, ``100``; needs a mode with keys."""
    nulls: Nulls = "stop"
    """What happens to rows that hold NULL there: stop the run, read them in each run, or leave them out."""

    def bound(self, state: Mapping[str, Any] | None) -> Bound:
        """Return where a run begins that finds this ``state`` (``type`` and ``value``)."""
        if state is None or state.get("value") is None:
            return Bound(column=self.column, value=self.start, inclusive=True, nulls=self.nulls)
        return Bound(
            column=self.column, value=state["value"], type=state["type"], overlap=self.overlap or "",
            inclusive=self.overlap is not None, nulls=self.nulls, seen=True,
        )  # fmt: skip


class Bound(Model):
    """Where one read begins."""

    column: str
    value: str | None = None
    """Only rows above it; all when absent."""
    type: str = ""
    """Type of the column that it came from; empty when a person wrote it."""
    overlap: str = ""
    """How far below it."""
    inclusive: bool = False
    """Whether rows that hold just this value are read, too."""
    nulls: Nulls = "stop"
    seen: bool = False
    """Whether a run has seen it: then it never falls."""

    def lowest(self, kind: pa.DataType) -> str | None:
        """Return the lower end in the spelling of the column's type, overlap taken off; ``None`` when all are read.

        Raises ``Failed`` when the column's type can be no watermark, or the value is none of it.
        """
        sort = family(kind)
        if sort is None:
            raise self._failed(
                f"a column of type {_name(kind)} can be no watermark",
                "It must be a whole number, a decimal, a date or a timestamp; cast it in a view or name its type.",
            )
        if self.value is None:
            return None
        if self.type and family_of(self.type) != sort:
            raise self._failed(
                f"the column was {self.type} and is {_name(kind)} now",
                "Begin anew with sluice state reset FLOW STEP, or say where with sluice state set.",
            )
        try:
            if sort == "number":
                return self._number(kind)
            return self._date() if sort == "date" else self._moment(kind, zoned=sort == "timestamptz")
        except (ValueError, InvalidOperation):
            raise self._failed(
                f"{'what was read so far' if self.seen else 'start'} is no value of type {_name(kind)}",
                "Change 'start', or set the state: sluice state set FLOW STEP VALUE.",
            ) from None

    def where(self, column: str, value: str) -> str:
        """Return the SQL condition for ``column`` and ``value``, which are SQL. Rows that hold NULL are told of."""
        found = f"{column} {'>=' if self.inclusive else '>'} {value}"
        return found if self.nulls == "skip" else f"({found} or {column} is null)"

    def _failed(self, text: str, hint: str) -> Failed:
        return Failed(text, where=f"since, column {self.column}", hint=hint)

    def _back(self) -> tuple[Decimal, int]:
        """Return the overlap as a number, and in seconds: one of them is 0."""
        found = _OVERLAP.fullmatch(self.overlap)
        if found is None:
            return Decimal(0), 0
        return (Decimal(0), int(found[1]) * _SECONDS[found[2]]) if found[2] else (Decimal(found[1]), 0)

    def _seconds(self, unit: int) -> int:
        number, seconds = self._back()
        if number or seconds % unit:
            said = "days or weeks" if unit == _DAY else "seconds, minutes, hours, days or weeks"
            raise self._failed(f"the overlap {self.overlap!r} does not go with this column", f"Write it in {said}.")
        return seconds

    def _number(self, kind: pa.DataType) -> str | None:
        number, seconds = self._back()
        if seconds:
            raise self._failed(f"the overlap {self.overlap!r} does not go with this column", "Write a plain number.")
        low, high, step = _range(kind)
        value = Decimal(self.value or "")
        with localcontext() as exactly:
            exactly.prec = 2 * VALUE_MAX
            if value % step or number % step or not low <= value <= high:
                raise ValueError(value)
            return None if value - number < low else format(value - number, "f")

    def _date(self) -> str | None:
        day = date.fromisoformat(self.value or "")
        try:
            return (day - timedelta(seconds=self._seconds(_DAY))).isoformat()
        except OverflowError:
            return None

    def _moment(self, kind: pa.DataType, *, zoned: bool) -> str | None:
        import pyarrow as pa

        text = self.value or ""
        bare = pa.timestamp(kind.unit)
        inner = pa.timestamp(kind.unit, "UTC") if zoned else bare
        ticks = pa.scalar(text).cast(inner if zoned and _ZONE.search(text) else bare).value
        ticks -= self._seconds(1) * _PARTS[kind.unit]
        return None if ticks < -_LONG else spell(pa.array([ticks], pa.int64()).view(inner))


def _range(kind: pa.DataType) -> tuple[Decimal, Decimal, Decimal]:
    """Return the lowest and the highest value of a number's type, and how far apart two neighbours are."""
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        top = Decimal((0, (9,) * kind.precision, -kind.scale))
        return top.copy_negate(), top, Decimal((0, (1,), -kind.scale))
    bits = kind.bit_width
    if pa.types.is_unsigned_integer(kind):
        return Decimal(0), Decimal((1 << bits) - 1), Decimal(1)
    return Decimal(-(1 << (bits - 1))), Decimal((1 << (bits - 1)) - 1), Decimal(1)


def _name(kind: pa.DataType) -> str:
    from sluicegate.kit.types import to_name

    return to_name(kind)


def family(kind: pa.DataType) -> str | None:
    """Return which sort of watermark a type is (``number``, ``date``, ``timestamp``, ``timestamptz``), or ``None``."""
    return family_of(_name(kind))


def family_of(type_name: str) -> str | None:
    """Return what ``family`` does, of a type by name."""
    if type_name.startswith(("int", "uint", "decimal(")) and type_name != "interval":
        return "number"
    return type_name if type_name in ("date", "timestamp", "timestamptz") else None


def plain(column: pa.Array) -> pa.Array:
    """Return a column that can be a watermark in the form that is compared: instants in UTC, days as days."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if pa.types.is_timestamp(kind) and kind.tz:
        return column.cast(pa.timestamp(kind.unit, "UTC"))
    return column.cast(pa.date32()) if pa.types.is_date64(kind) else column


def read(text: str, kind: pa.DataType) -> pa.Scalar[Any]:
    """Return the value that ``lowest`` or ``spell`` has written for a ``plain`` column of ``kind``."""
    import pyarrow as pa

    if pa.types.is_integer(kind):
        return pa.scalar(int(text), kind)
    if pa.types.is_decimal(kind):
        return pa.scalar(Decimal(text), kind)
    return pa.scalar(date.fromisoformat(text), kind) if pa.types.is_date(kind) else pa.scalar(text).cast(kind)


def spell(column: pa.Array) -> str:
    """Return the first value of a ``plain`` column as text."""
    from sluicegate.kit.text import to_text

    text: str = to_text(column)[0].as_py()
    return text


def is_above(text: str, other: str, type_name: str) -> bool:
    """Tell whether one value as ``spell`` writes it is above another of the same family."""
    return _key(text, type_name) > _key(other, type_name)


def _key(text: str, type_name: str) -> tuple[Any, ...]:
    if family_of(type_name) == "number":
        return (Decimal(text),)
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise Invalid(f"{shown(text)} is no value of type {type_name}")
    return (int(found[1]), found[2])


def obstacle(since: Since, writes: Iterable[tuple[str, Writing]]) -> str:
    """Return why the rows of a step that reads ``since`` cannot go to these steps, by name; empty when they can."""
    sources: dict[str, str] = {}
    for name, step in writes:
        mode = getattr(step, "mode", None)
        if getattr(mode, "type", "") in ("replace", "truncate"):
            return f"step {name} would replace all that is there by the new rows alone: append, or merge by a key"
        if since.overlap and not getattr(mode, "keys", ()):
            return f"an overlap reads rows again, and step {name} would add them once more: merge them by a key"
        sources.setdefault(step.from_, name)
    if len(sources) > 1:
        told = " and ".join(sources.values())
        return f"its rows go two ways, to {told}, which are read one after the other: write them from one step"
    return ""
