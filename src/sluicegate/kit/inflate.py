"""Bytes of a file, unpacked as they are read and never more of them than allowed."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sluicegate.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    import pyarrow as pa

ENDINGS = (".gz", ".zst", ".lz4", ".bz2", ".xz")
"""What the name of a packed file ends in."""
MAX_RATIO = 1000
"""Unpacked bytes to one packed, from which a file is a bomb once it has given ``FREE_BYTES``."""
FREE_BYTES = 64 << 20
_INPUT = 1 << 18
_LEVEL = 1  # four times as fast as zlib's default for a fifth more bytes: packing must not be what a run waits for
_XZ_MEMORY = 128 << 20  # what `xz -9` makes takes 65 MiB to unpack; a file may ask for 4 GiB


def packings(*suffixes: str) -> tuple[str, ...]:
    """Return the suffixes of plain files, and of the same files packed."""
    return tuple(suffix + ending for ending in ("", *ENDINGS) for suffix in suffixes)


class _Member(Protocol):
    """One packed stream, as the decompressors of ``bz2``, ``lzma`` and ``lz4`` see it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """A gzip member, with the face of the other decompressors."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _xz() -> _Member:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)


def _lz4() -> _Member:
    import lz4.frame

    member: _Member = lz4.frame.LZ4FrameDecompressor()
    return member


class _Packing(NamedTuple):
    name: str
    ending: str
    magic: bytes
    begin: Callable[[], _Member] | None = None
    """How a member is unpacked; none: by pyarrow, all members at once."""
    pad: bytes = b""
    """What may stand after a member."""
    sure: re.Pattern[bytes] = re.compile(b"")
    """What the first bytes match besides, where ``magic`` could be the beginning of a text."""


_PACKINGS = (
    _Packing("gzip", ".gz", b"\x1f\x8b", _Gzip, b"\0"),
    _Packing("Zstandard", ".zst", b"\x28\xb5\x2f\xfd"),
    _Packing("LZ4", ".lz4", b"\x04\x22\x4d\x18", _lz4),
    _Packing("bzip2", ".bz2", b"BZh", bz2.BZ2Decompressor, sure=re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")),
    _Packing("xz", ".xz", b"\xfd7zXZ\0", _xz, b"\0"),
)


class Inflated:
    """Reads a file, unpacking it when its first bytes or its suffix say so.

    gzip (RFC 1952), Zstandard (RFC 8878), LZ4 frames, bzip2, xz; several members or frames one after another are one
    file. Raises ``DataError`` naming the file when it ends early, is damaged, or unpacks to more than ``max_bytes``, or
    to more than ``MAX_RATIO`` times its size.
    """

    def __init__(self, data: BinaryIO, item: str, max_bytes: int) -> None:
        """Look at the first bytes of ``data``; ``item`` is its name."""
        self._data, self._item, self._max = data, item or "input", max_bytes
        self._ahead = data.read(_INPUT)
        self._taken, self._given = len(self._ahead), 0
        self._packing = self._known()
        self._member: _Member | None = None
        self._ended = False  # one member at least
        self._zstd: _Zstd | None = None
        if self._packing and not self._packing.begin:
            self._zstd = _Zstd(self._fetch, self._ahead, self._item)

    def _known(self) -> _Packing | None:
        """Return how the file is packed, by its first bytes, which its name must not contradict."""
        for packing in _PACKINGS:
            if self._ahead.startswith(packing.magic) and packing.sure.match(self._ahead):
                return packing
        named = next((each for each in _PACKINGS if self._item.lower().endswith(each.ending)), None)
        if named and not named.magic.startswith(self._ahead[: len(named.magic)]):
            raise DataError(f"This is no {named.name} file, though its name says so.", where=self._item)
        if named and not self._ahead:
            raise DataError(f"The file ends early: its {named.name} data is cut off.", where=self._item)
        return named

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
            self._given += len(part)
            self._check()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _check(self) -> None:
        if self._given > self._max:
            raise DataError(
                f"The file unpacks to more than {self._max} bytes.", where=self._item, hint="Raise the limit."
            )
        if self._packing and self._given > max(FREE_BYTES, self._taken * MAX_RATIO):
            raise DataError(
                f"The file unpacks to more than {MAX_RATIO} times its size.", where=self._item,
                hint="Unpack it before, if it is meant to be so.",
            )  # fmt: skip

    def _fetch(self, size: int) -> bytes:
        taken = self._data.read(size)
        self._taken += len(taken)
        return taken

    def _some(self, size: int) -> bytes:
        if self._zstd is not None:
            return self._zstd.read(size)
        if self._packing is not None:
            return self._unpack(self._packing, size)
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken or self._data.read(size)

    def _unpack(self, packing: _Packing, size: int) -> bytes:
        while True:
            if not self._ahead and (self._member is None or self._member.needs_input):
                self._ahead = self._fetch(_INPUT)
                if not self._ahead and self._member is None and self._ended:
                    return b""
                if not self._ahead:
                    raise DataError(f"The file ends early: its {packing.name} data is cut off.", where=self._item)
            if self._member is None:
                if self._ended:
                    self._ahead = self._ahead.lstrip(packing.pad) if packing.pad else self._ahead
                    if not self._ahead:
                        continue
                self._member = packing.begin()  # type: ignore[misc] # Zstandard alone has none, and is not read here
            part = self._step(self._member, packing, size)
            if self._member.eof:
                self._ahead = (self._member.unused_data or b"") + self._ahead
                self._member, self._ended = None, True
            if part:
                return part

    def _step(self, member: _Member, packing: _Packing, size: int) -> bytes:
        data = b""
        if member.needs_input:
            data, self._ahead = self._ahead, b""
        try:
            return member.decompress(data, size)
        except (zlib.error, lzma.LZMAError, OSError, RuntimeError, EOFError) as fault:  # the last three: bzip2 and LZ4
            if "Memory usage limit" in str(fault):
                reason = f"The {packing.name} data asks for more than {_XZ_MEMORY >> 20} MiB of memory."
                raise DataError(reason, where=self._item) from None
            raise DataError(f"The {packing.name} data is damaged.", where=self._item) from None


class _Zstd:
    """Unpacks Zstandard data, of several frames too."""

    def __init__(self, fetch: Callable[[int], bytes], ahead: bytes, item: str) -> None:
        import pyarrow as pa

        self._item, self._source = item, _Source(fetch, ahead)
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

    def __init__(self, fetch: Callable[[int], bytes], ahead: bytes) -> None:
        self._fetch, self._ahead = fetch, ahead
        self.fault: BaseException | None = None

    def read(self, size: int) -> bytes:
        if self._ahead:
            taken, self._ahead = self._ahead[:size], self._ahead[size:]
            return taken
        try:
            return self._fetch(size)
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


class _Packer(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Deflated:
    """Writes a file, packing it as the end of its name says (``ENDINGS``). The output itself stays open."""

    def __init__(self, out: BinaryIO, item: str) -> None:
        """Begin; ``item`` is the file name."""
        self._out = out
        self._pack: _Packer | None = None
        self._zstd: pa.CompressedOutputStream | None = None
        name = item.lower()
        if name.endswith(".gz"):
            self._pack = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
        elif name.endswith(".bz2"):
            self._pack = bz2.BZ2Compressor()
        elif name.endswith(".xz"):
            self._pack = lzma.LZMACompressor(preset=_LEVEL)
        elif name.endswith(".lz4"):
            import lz4.frame

            frame = lz4.frame.LZ4FrameCompressor(content_checksum=True)  # pyarrow's LZ4 has no checksums
            out.write(frame.begin())
            self._pack = frame
        elif name.endswith(".zst"):
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
