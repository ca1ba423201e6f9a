"""Bytes of a file, unpacked as they are read and never more of them than allowed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from sluicegate.base.errors import DataError

if TYPE_CHECKING:
    from typing import BinaryIO

    import pyarrow as pa

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_INPUT = 1 << 18
_LEVEL = 1  # four times as fast as zlib's default for a fifth more bytes: packing must not be what a run waits for


class Inflated:
    """Reads a file, unpacking it when its first bytes or its suffix say so: gzip (RFC 1952), Zstandard (RFC 8878).

    Raises ``DataError`` naming the file when it ends early, is damaged, or unpacks to more than ``max_bytes``.
    """

    def __init__(self, data: BinaryIO, item: str, max_bytes: int) -> None:
        """Look at the first bytes of ``data``; ``item`` is its name."""
        self._data, self._item, self._left, self._max = data, item or "input", max_bytes, max_bytes
        self._ahead = data.read(_INPUT)
        self._packed = self._ahead.startswith(GZIP) or self._item.lower().endswith(".gz")
        self._member = zlib.decompressobj(wbits=31) if self._packed else None
        self._begun = False
        if self._packed and not self._ahead.startswith(GZIP[: len(self._ahead)]):
            raise DataError("This is not a gzip file, though its name says so.", where=self._item)
        self._zstd = None
        if self._ahead.startswith(ZSTD) or self._item.lower().endswith(".zst"):
            if not self._ahead.startswith(ZSTD):
                raise DataError("This is not a Zstandard file, though its name says so.", where=self._item)
            self._zstd = _Zstd(data, self._ahead, self._item)

    def read(self, size: int) -> bytes:
        """Return the next bytes, ``size`` at the most and fewer only at the end, where it returns ``b""``."""
        parts: list[bytes] = []
        missing = size
        while missing:
            part = self._some(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
            self._left -= len(part)
            if self._left < 0:
                raise DataError(
                    f"The file unpacks to more than {self._max} bytes.", where=self._item, hint="Raise the limit."
                )
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, size: int) -> bytes:
        if self._zstd is not None:
            return self._zstd.read(size)
        if self._member is None:
            taken, self._ahead = self._ahead[:size], self._ahead[size:]
            return taken or self._data.read(size)
        while True:
            if not self._ahead:
                self._ahead = self._data.read(_INPUT)
                if not self._ahead:
                    if self._begun or not self._member_ended:
                        raise DataError("The file ends early: its gzip data is cut off.", where=self._item)
                    return b""
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                part = self._member.decompress(self._ahead, size)
            except zlib.error:
                raise DataError("The gzip data is damaged.", where=self._item) from None
            self._ahead = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if self._member.eof:
                self._begun, self._ended = False, True
                self._ahead = self._ahead.lstrip(b"\0")  # padding, as gzip itself takes it
            if part:
                return part

    _ended = False

    @property
    def _member_ended(self) -> bool:
        return self._ended


class _Zstd:
    """Unpacks Zstandard data, of several frames too."""

    def __init__(self, data: BinaryIO, ahead: bytes, item: str) -> None:
        import pyarrow as pa

        self._item, self._source = item, _Source(data, ahead)
        self._stream = pa.CompressedInputStream(pa.PythonFile(self._source, mode="r"), "zstd")

    def read(self, size: int) -> bytes:
        """Return 1 to ``size`` bytes, ``b""`` at the end. Raises ``DataError``, or what reading the file raised."""
        try:
            taken: bytes = self._stream.read(size)
        except (OSError, ValueError):
            if self._source.fault is not None:
                raise self._source.fault from None
            raise DataError("The Zstandard data is damaged or cut off.", where=self._item) from None
        return taken


class _Source:
    """A file whose first bytes have been read. It keeps its fault: the library passes on only its text."""

    closed = False

    def __init__(self, data: BinaryIO, ahead: bytes) -> None:
        self._data, self._ahead = data, ahead
        self.fault: BaseException | None = None

    def read(self, size: int) -> bytes:
        if self._ahead:
            taken, self._ahead = self._ahead[:size], self._ahead[size:]
            return taken
        try:
            return self._data.read(size)
        except BaseException as fault:
            self.fault = fault
            raise

    def close(self) -> None:
        """Leave the file open."""


class _Target:
    """A file that stays open."""

    closed = False

    def __init__(self, out: BinaryIO) -> None:
        self.write = out.write

    def flush(self) -> None:
        """Do nothing: the file is flushed by whoever owns it."""

    def close(self) -> None:
        """Leave the file open."""


class Deflated:
    """Writes a file, packing it when its name ends in ``.gz`` or ``.zst``. The output itself stays open."""

    def __init__(self, out: BinaryIO, item: str) -> None:
        """Begin; ``item`` is the file name."""
        self._out = out
        self._pack = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31) if item.lower().endswith(".gz") else None
        self._zstd: pa.CompressedOutputStream | None = None
        if item.lower().endswith(".zst"):
            import pyarrow as pa

            self._zstd = pa.CompressedOutputStream(pa.PythonFile(_Target(out), mode="w"), "zstd")

    def write(self, data: bytes | memoryview) -> None:
        """Write ``data``."""
        if self._zstd is not None:
            self._zstd.write(data)
            return
        packed = self._pack.compress(data) if self._pack else data
        if packed:
            self._out.write(packed)

    def close(self) -> None:
        """Write the end of the packed data."""
        if self._zstd is not None:
            self._zstd.close()
            self._zstd = None
        if self._pack:
            self._out.write(self._pack.flush())
            self._pack = None
