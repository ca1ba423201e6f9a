"""Rows on their way: a ``pyarrow.RecordBatchReader`` between any source and any destination, plus what goes with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self, runtime_checkable

from sluicegate.base.model import Model

if TYPE_CHECKING:
    from types import TracebackType

BATCH_BYTES = 1 << 20
"""The size a reader aims at for one batch: about 1 MiB of Arrow memory, whatever the number of rows."""


class Reject(NamedTuple):
    """One row that could not be taken, with enough to find and mend it."""

    line: int | None
    """Line in the source (1-based, the header counts), when the source has lines and this row is one of them."""
    column: str | None
    reason: str
    raw: str
    """The row as it came, as text."""
    row: int | None = None
    """Ordinal of the row (1-based) among those that the step takes, when no line is known."""

    def place(self) -> str:
        """Return line or row, and column, as errors name them."""
        told = (("line", self.line), ("row", self.row), ("column", self.column))
        return ", ".join(f"{word} {value}" for word, value in told if value not in (None, ""))


OnReject = Callable[[Reject], None]
"""Called for each row that cannot be taken. It raises when the flow says stop or a limit is reached."""


class Marker(NamedTuple):
    """What a destination remembers of a load, so that the same load never lands twice."""

    run: str
    segment: str
    """Name of the writing step: unique within the run."""


class Parcel(NamedTuple):
    """Some rows in the form that two systems of one kind speak between them; nobody on the way looks into them."""

    data: bytes
    num_rows: int

    @property
    def nbytes(self) -> int:
        """Return its size, as a batch does."""
        return len(self.data)


class Receipt(Model):
    """What a destination says has landed."""

    rows: int
    """Rows the destination confirms to have got, counted there."""
    inserted: int | None = None
    """Rows of a table that are new; absent when nobody has counted."""
    updated: int | None = None
    """Rows of a table that were there and had the key of a row that came, counted whether a value differs or not."""
    deleted: int | None = None
    """Rows of a table that were there and are gone."""
    unchanged: int | None = None
    """Rows that came and were there already."""
    bytes: int = 0
    sha256: str | None = None
    guarantee: Literal["exactly-once", "at-least-once"] = "exactly-once"
    manifest: dict[str, Any] | None = None
    """Of a sealed file: what stands beside it."""
    repeated: bool = False
    """True when an earlier attempt of the same run had landed already, and nothing was done now."""


COUNTS = ("inserted", "updated", "deleted", "unchanged")
"""What a receipt may say of a table beside ``rows``."""


@runtime_checkable
class Stage(Protocol):
    """A load in the making: nothing is visible in the destination before ``commit``.

    A context manager: leaving it without ``commit`` aborts and removes what was staged.
    """

    done: Receipt | None
    """Set when this marker has landed before: the caller writes nothing and takes this receipt."""

    def write(self, batch: Any) -> None:
        """Stage one ``RecordBatch``, or one ``Parcel`` of a passage that it has agreed to.

        Raises ``DataError`` or ``Constraint`` naming the column and value.
        """

    def commit(self) -> Receipt:
        """Make all staged rows visible at once, together with the marker, and say what landed."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort unless committed."""
