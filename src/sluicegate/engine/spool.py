"""A stream made seekable: spooled to a temporary file without a name, sealed under a key that is in memory alone."""

from __future__ import annotations

import io
import tempfile
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from sluicegate.base.errors import DataError
from sluicegate.crypto.scratch import BLOCK, Scratch

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Spool(io.RawIOBase):
    """Reads what was spooled, from anywhere. Closing it frees the disk."""

    def __init__(self) -> None:
        """Begin an empty one."""
        super().__init__()
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by ``close``
        self._blocks = Scratch(cast("BinaryIO", self._file))
        self._size = self._place = 0
        self._held: tuple[int, bytes] = (-1, b"")

    @classmethod
    def of(cls, data: BinaryIO, max_bytes: int) -> BinaryIO:
        """Return all of ``data``, read to its end. Raises what reading raises; ``DataError`` beyond ``max_bytes``."""
        made = cls()
        try:
            made._take(data, max_bytes)
        except BaseException:
            made.close()
            raise
        return io.BufferedReader(made, BLOCK)

    def _take(self, data: BinaryIO, max_bytes: int) -> None:
        held = bytearray()
        while part := data.read(BLOCK):
            held += part
            self._size += len(part)
            if self._size > max_bytes:
                raise DataError(f"The sealed file opens to more than {max_bytes} bytes.", hint="Raise the limit.")
            while len(held) >= BLOCK:
                self._blocks.append(bytes(held[:BLOCK]))
                del held[:BLOCK]
        if held:
            self._blocks.append(bytes(held))

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place; beyond the end there is nothing to read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill ``buffer`` from the block at the place; 0 at the end. Raises ``Corrupt`` when the disk was changed."""
        if self._place >= self._size:
            return 0
        number, offset = divmod(self._place, BLOCK)
        if self._held[0] != number:
            self._held = (number, self._blocks.read(number))
        view = memoryview(buffer).cast("B")
        part = self._held[1][offset : offset + len(view)]
        view[: len(part)] = part
        self._place += len(part)
        return len(part)

    def close(self) -> None:
        """Free the disk."""
        self._file.close()
        super().close()

    def __enter__(self) -> Self:
        return self
