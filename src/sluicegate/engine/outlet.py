"""Rows to a file: format, then seal, then a staged file that appears at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from sluicegate.base.errors import Invalid
from sluicegate.engine import seals
from sluicegate.engine.tap import Tap
from sluicegate.kit.registry import format_for
from sluicegate.kit.rows import Marker, Receipt
from sluicegate.kit.seals import of as seals_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.engine.seals import Keys
    from sluicegate.kit.connection import WritesFiles
    from sluicegate.kit.step import Writing


class Outlet:
    """A ``Stage`` over a file."""

    def __init__(self, file: Any, encoder: Any, tap: Tap, sealer: Any) -> None:
        """Encode into ``tap``, which leads into ``sealer`` when there is one, else into the file."""
        self._file, self._encoder, self._tap, self._sealer = file, encoder, tap, sealer
        self._rows = 0
        self._over = file.done is not None
        self.done: Receipt | None = file.done

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Abort unless committed."""
        if self._over:
            return
        self._over = True
        self._tap.shut()
        self._encoder.close()  # into the void: what it still holds must not come out later
        if self._sealer is not None:
            self._sealer.abort()
        self._file.abort()

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode one batch."""
        self._encoder.write(batch)
        self._rows += batch.num_rows

    def commit(self) -> Receipt:
        """Finish the format, then the seal, then publish the file."""
        self._encoder.close()
        if self._sealer is not None:
            self._sealer.close()
        receipt: Receipt = self._file.commit(self._rows)
        self._over = True
        return receipt


def open_outlet(
    session: WritesFiles, step: Writing, item: str, schema: pa.Schema, marker: Marker, keys: Keys
) -> Outlet:
    """Begin a file. Raises ``Invalid`` for a mode that files do not have or a recipient that is not known."""
    mode = getattr(step, "mode", None)
    if mode is not None and mode.type != "replace":
        raise Invalid(
            f"a file cannot be written with mode {mode.type!r}",
            hint="Use mode: replace, or a {param} in the item for one file a run.",
        )
    how = seals_of(step)
    inner = how.inner(item) if how else item
    format_ = getattr(step, "format", None) or format_for(inner)
    file = session.put(item, marker)
    try:
        sealer: Any = seals.seal(how, inner, keys, file.out) if how else None
        tap = Tap(sealer or file.out)
        return Outlet(file, format_.encoder(schema, cast("BinaryIO", tap), inner), tap, sealer)
    except BaseException:
        file.abort()
        raise
