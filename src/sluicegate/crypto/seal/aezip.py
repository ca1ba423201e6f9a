"""ZIP files of one member, encrypted with AES-256 as WinZip does (AE-2): what people open who have no tool for more.

The format derives its keys by 1000 rounds of PBKDF2-SHA-1, so all its strength lies in the passphrase (``passphrase``).
It authenticates what is in the member and nothing else: its name, date and size can be read, and the first two changed.
The proof of the content stands at the member's end: until a read has returned ``b""``, nothing of it has been checked.
"""

import struct
import zlib
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import BinaryIO, Final

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto import passphrase as phrases
from sluicegate.crypto.seal.stream import BLOCK, Pipe, Sealer, Sink, reading

_MADE: Final = datetime(1980, 1, 1)  # noqa: DTZ001 - the date tells nothing: it is the earliest that ZIP can say
_MODE: Final = 0o100600
_END: Final = struct.Struct("<4s4H2LH")
_END_SIGN: Final = b"PK\5\6"
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_END_64_SIGN: Final = b"PK\6\6"
_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCATOR_SIGN: Final = b"PK\6\7"
_TAIL: Final = _END_64.size + _LOCATOR.size + _END.size + 0xFFFF
_SAME_16, _SAME_32 = 0xFFFF, 0xFFFFFFFF  # "see the ZIP64 record"


def seal_with(passphrase: Secret, name: str, out: BinaryIO, *, packed: bool = False) -> Sealer:
    """Return a file to write into; in ``out`` arrives a ZIP file with one member, ``name``.

    ``packed``: what is written is compressed already, and is not compressed again.
    Raises ``Invalid`` for a passphrase of less than 128 bits, before anything is written.
    """
    phrases.require_strong(passphrase)
    return Sealer(partial(_pack, passphrase, name, 0 if packed else 1), out)


def open_with(passphrase: Secret, data: BinaryIO) -> BinaryIO:
    """Return a stream of the one member of a ZIP file encrypted by AES.

    Raises ``Corrupt`` at the read that meets a wrong passphrase, a changed or a cut file; ``Invalid`` for a file that
    holds none or several members, or one that is not encrypted so.
    """
    return reading(partial(_unpack, passphrase), data)


def _pack(passphrase: Secret, name: str, level: int, pipe: Pipe, out: BinaryIO) -> None:
    from stream_zip import ZIP_64, stream_zip

    sink = Sink(out.write)
    member = (name, _MADE, _MODE, ZIP_64, iter(lambda: pipe.read(BLOCK), b""))
    try:
        for block in stream_zip(
            [member],
            chunk_size=BLOCK,
            get_compressobj=lambda: zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS),
            extended_timestamps=False,
            password=passphrase.reveal(),
        ):
            sink.write(block)
        pipe.finish()
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is raised in the thread of the writer
        pipe.fail(fault)


class _Blocks:
    """The blocks of a file; remembers its end, which the library passes over."""

    def __init__(self, data: BinaryIO) -> None:
        self._data, self._held, self._size, self._total = data, deque[bytes](), 0, 0
        self.fault: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            while block := self._data.read(BLOCK):
                self._held.append(block)
                self._size += len(block)
                self._total += len(block)
                while self._size - len(self._held[0]) >= _TAIL:
                    self._size -= len(self._held.popleft())
                yield block
        except BaseException as fault:
            self.fault = fault
            raise

    def check_end(self) -> None:
        """Raise ``Corrupt`` unless the file ends with the records that end a ZIP file of one member and this size."""
        tail = b"".join(self._held)[-_TAIL:]
        start = tail.rfind(_END_SIGN)
        if start < 0 or len(tail) - start < _END.size:
            raise Corrupt
        _, disk, first, here, members, size, offset, comment = _END.unpack_from(tail, start)
        if len(tail) - start - _END.size != comment:
            raise Corrupt
        end = self._total - len(tail) + start
        if _SAME_16 in (here, members) or _SAME_32 in (size, offset):
            place = start - _LOCATOR.size - _END_64.size
            if place < 0:
                raise Corrupt
            sign, _, _, _, disk, first, here, members, size, offset = _END_64.unpack_from(tail, place)
            locator, _, record, _ = _LOCATOR.unpack_from(tail, place + _END_64.size)
            end -= _LOCATOR.size + _END_64.size
            if (sign, locator, record) != (_END_64_SIGN, _LOCATOR_SIGN, end):
                raise Corrupt
        if (disk, first, here, members, offset + size) != (0, 0, 1, 1, end):
            raise Corrupt


def _unpack(passphrase: Secret, pipe: Pipe, data: BinaryIO) -> None:
    from stream_unzip import AE_1, AE_2, AES_256, UnzipError, stream_unzip

    blocks, found = _Blocks(data), 0
    try:
        only = frozenset({AE_1, AE_2, AES_256})
        password = passphrase.reveal().encode()
        for _name, _size, member in stream_unzip(
            blocks, password=password, chunk_size=BLOCK, allowed_encryption_mechanisms=only
        ):
            found += 1
            if found > 1:
                raise Invalid("The ZIP file holds several files.", hint="Give one file to an archive.")
            for block in member:
                pipe.put(block)
        if not found:
            raise Corrupt
        blocks.check_end()
        pipe.end()
    except UnzipError:  # the library's own words tell causes apart
        pipe.fail(blocks.fault or Corrupt())
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is raised in the thread of the reader
        pipe.fail(fault)
