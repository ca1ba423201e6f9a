"""Rows to a file: format, then seal, then a staged file that appears at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, cast

from sluicegate.base.errors import Invalid
from sluicegate.crypto.seal.stream import Sealer
from sluicegate.engine import seals
from sluicegate.engine.manifests import Origin, Witness
from sluicegate.engine.tap import Tap
from sluicegate.kit.registry import format_for
from sluicegate.kit.rows import Marker, Receipt
from sluicegate.kit.seals import of as seals_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.engine.seals import Keys
    from sluicegate.kit.connection import WritesFiles
    from sluicegate.kit.step import Writing


class Sealing(NamedTuple):
    """A seal in the making."""

    sealer: Sealer
    witness: Witness
    recipients: list[str]

    def finish(self, rows: int) -> dict[str, Any]:
        """Complete the seal and return the manifest, which is staged."""
        self.sealer.close()
        return self.witness.stage(rows, self.recipients)


class Outlet:
    """A ``Stage`` over a file."""

    def __init__(self, file: Any, encoder: Any, tap: Tap, sealing: Sealing | None) -> None:
        """Encode into ``tap``, which leads through ``sealing`` when there is one, into the file."""
        self._file, self._encoder, self._tap, self._sealing = file, encoder, tap, sealing
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
        if self._sealing is not None:
            self._sealing.sealer.abort()
            self._sealing.witness.abort()
        self._file.abort()

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode one batch."""
        self._encoder.write(batch)
        self._rows += batch.num_rows

    def commit(self) -> Receipt:
        """Finish the format, then the seal and its manifest, then publish the file, then the manifest."""
        self._encoder.close()
        manifest = self._sealing.finish(self._rows) if self._sealing is not None else None
        receipt: Receipt = self._file.commit(self._rows)
        if self._sealing is not None:
            self._sealing.witness.commit()
        self._over = True
        return receipt.model_copy(update={"manifest": manifest}) if manifest else receipt


def open_outlet(
    session: WritesFiles,
    step: Writing,
    item: str,
    schema: pa.Schema,
    marker: Marker,
    keys: Keys,
    origin: Origin | None = None,
) -> Outlet:
    """Begin a file; ``origin`` is what the manifest of a sealed one tells.

    Raises ``Invalid`` for a mode that files do not have or a recipient that is not known.
    """
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
        if how is None:
            tap = Tap(file.out)
            return Outlet(file, format_.encoder(schema, cast("BinaryIO", tap), inner), tap, None)
        witness = Witness(session, item, marker, how, origin or Origin({}))
        sealer = seals.seal(how, inner, keys, witness.below(file.out))
        tap = Tap(witness.above(sealer))
        sealing = Sealing(sealer, witness, seals.named(how, keys))
        return Outlet(file, format_.encoder(schema, cast("BinaryIO", tap), inner), tap, sealing)
    except BaseException:
        file.abort()
        raise
