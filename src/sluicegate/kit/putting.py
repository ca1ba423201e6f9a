"""A file in the making, wherever it is made: counts and digests what goes through, and publishes it whole."""

from __future__ import annotations

import hashlib
import io
from typing import Any, BinaryIO, Protocol, cast

from sluicegate.kit.rows import Receipt


class Draft(Protocol):
    """What a store of files makes of one: nothing appears under its name before ``commit``."""

    out: BinaryIO

    def commit(self) -> None:
        """Publish it under its name, whole, in one step."""

    def abort(self) -> None:
        """Remove what was staged; nothing to do once committed."""


class _Counted(io.RawIOBase):
    """Counts and digests what goes through."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out, self.count, self.digest = out, 0, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        self._out.write(view)
        self.digest.update(view)
        self.count += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.count

    def flush(self) -> None:
        if not self.closed:
            self._out.flush()


class Putting:
    """See ``FileStage``."""

    def __init__(self, draft: Draft) -> None:
        """Write into ``draft``, which is owned from here on."""
        self._draft, self._counted = draft, _Counted(draft.out)
        self.done: Receipt | None = None
        self.out = cast("BinaryIO", self._counted)

    def commit(self, rows: int) -> Receipt:
        """Publish, and say what landed."""
        self._draft.commit()
        return Receipt(rows=rows, bytes=self._counted.count, sha256=self._counted.digest.hexdigest())

    def abort(self) -> None:
        """Remove what was staged; nothing to do once committed."""
        self._draft.abort()
