"""Bytes to rows and rows to bytes: the second plugin shape.

A format has no Context: a parser cannot reach network, vault or disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol

from sluicegate.base.errors import DataError
from sluicegate.base.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sluicegate.kit.rows import OnReject, Reject


def refuse(reject: Reject) -> None:
    """Stop at the first bad row: what happens when a flow says nothing else."""
    raise DataError(reject.reason, where=reject.place())


@dataclass(frozen=True)
class Decoding:
    """How one input is to be decoded."""

    item: str = ""
    """Name of the file: its suffix tells the compression, errors name it."""
    columns: Mapping[str, str] | None = None
    """Types by column, from the flow's schema snapshot. The format's own ``columns`` win."""
    on_reject: OnReject = refuse
    max_bytes: int = 1 << 40
    """Stop when this many decompressed bytes have been read (bombs)."""
    limit: int | None = None
    """At most this many rows (previews)."""


class Encoder(Protocol):
    """Rows to bytes, a batch at a time."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode one batch."""

    def close(self) -> None:
        """Write what must stand at the end. The output itself stays open."""


class Format(Model):
    """How rows are written down as bytes."""

    type: str
    """Which format."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """File-name endings that mean this format, such as ``.csv`` and ``.csv.gz``."""
    seeks: ClassVar[bool] = False
    """Whether it reads a file out of order, so that the input must be seekable."""

    def decode(self, data: BinaryIO, how: Decoding) -> pa.RecordBatchReader:
        """Return the rows lazily. Raises ``DataError`` for input that is truncated or not of this format."""
        raise NotImplementedError

    def encoder(self, schema: pa.Schema, out: BinaryIO, item: str = "") -> Encoder:
        """Begin an output. ``item`` is the file name: its suffix tells the compression."""
        raise NotImplementedError
