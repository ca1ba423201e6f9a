"""``shift``: dates move by some days, the same for all that belongs to one person, so that intervals stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sluicegate.base.model import Name
from sluicegate.kit.masks.method import Made, Method, Used, Work
from sluicegate.kit.masks.values import SPELLED, Distinct, family
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_FIRST, _LAST = -719_162, 2_932_896
"""Days from 1970 to the first of the year 1 and the last of the year 9999: beyond, few systems have dates."""
_INT64 = 1 << 63


class Shift(Method):
    """Move dates by a number of days that comes of the key and of whom the row is about."""

    type: Literal["shift"]
    by: str
    """The column that says whom the row is about: all dates of one move by the same number of days, never by none."""
    days: int = Field(default=365, ge=30, le=36_500)
    """At most this many days, back or forth."""
    domain: Name | None = None
    """Steps of one domain move the dates of one person alike."""

    kinds: ClassVar[tuple[str, ...]] = ("date", "timestamp", "timestamptz")

    @property
    def keeps(self) -> bool:
        """A date stays a date."""
        return True

    @property
    def reads(self) -> tuple[str, ...]:
        """The column of ``by``."""
        return (self.by,)

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        import pyarrow as pa

        digest = used.keys[0].digests(self.domain or "", "shift")

        def work(batch: pa.RecordBatch) -> Made:
            subjects = batch.column(self.by)
            if family(kind := to_name(subjects.type)) not in SPELLED:
                raise TypeError(kind)  # looked at before the first row
            found = Distinct(subjects)
            moves = found.spread(pa.array([_move(digest, each, self.days) for each in found.spelled], pa.int64()))
            return _moved(batch.column(used.column), moves, used.column, self.by)

        return work


def _move(digest: Callable[[bytes], bytes], subject: bytes, most: int) -> int:
    """Return a number of days from -most to most, never 0. Its bias is below 2⁻⁴⁶: 64 bits over 2·36500."""
    drawn = int.from_bytes(digest(subject)[:8], "big") % (2 * most)
    return drawn - most if drawn < most else drawn - most + 1


def _moved(values: pa.Array[Any], moves: pa.Array[Any], column: str, by: str) -> Made:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_date(kind):
        values, whole, first, last = values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), 1, _FIRST, _LAST
    else:
        values, whole = values.cast(pa.int64()), _DAY[kind.unit]
        first, last = max(_FIRST, -_INT64 // whole + 1), min(_LAST, _INT64 // whole - 1)
    days = pc.add(pc.divide(values, whole), moves)
    inside = pc.and_(pc.greater_equal(days, first), pc.less_equal(days, last))
    lost = pc.and_(pc.is_valid(values), pc.invert(pc.fill_null(inside, fill_value=False)))
    made = pc.add(values, pc.multiply(pc.if_else(lost, pa.scalar(None, pa.int64()), moves), whole))
    made = made.cast(pa.int32()).cast(pa.date32()).cast(kind) if pa.types.is_date(kind) else made.cast(kind)
    bad = [int(row) for row in pc.indices_nonzero(lost).to_pylist()]
    return Made(made, bad, f"{column} cannot be shifted: {by} is empty, or the date would leave the years 1 to 9999")
