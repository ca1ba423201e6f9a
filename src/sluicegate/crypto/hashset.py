"""A set of texts that can be asked whether it holds one, and cannot be read: sorted prefixes of SHA-1 in one file.

Made for lists of passwords that are known elsewhere, from some thousands to a thousand million. SHA-1, because the
public lists come as SHA-1; it names a text here and protects nothing. 64 bits of it are kept: with a thousand million
entries, one password in eighteen thousand million is refused for another's sake.

File: a header, an index of where each first byte (or two) begins, then the rest of each prefix, sorted. The file is
mapped, not read: a look-up touches a few pages of it.
"""

import hashlib
import mmap
import os
import re
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Final

from sluicegate.base.errors import Corrupt, Invalid

_MAGIC: Final = b"sluice hash set\n"
_HEADER: Final = struct.Struct("<16sB7xQ")  # magic, bytes that the index stands for, entries
_WIDTH: Final = 8
_LINE: Final = re.compile(rb"([0-9A-Fa-f]{40})(?::[0-9]{1,18})?[ \t]*\r?\n?")
_LINE_MAX: Final = 128
_NTLM: Final = re.compile(rb"[0-9A-Fa-f]{32}(?::[0-9]{1,18})?\s*")


def digest(text: str) -> bytes:
    """Return what is kept of a text."""
    raw = text.encode("utf-8", "surrogatepass")  # no UnicodeEncodeError carries a password along
    return hashlib.sha1(raw, usedforsecurity=False).digest()[:_WIDTH]


class HashSet:
    """An open file of such a set. It stays readable when another one takes its place."""

    def __init__(self, path: Path) -> None:
        """Map the file. Raises ``Corrupt`` when it is none, or not whole, and ``OSError`` when it cannot be read."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _HEADER.size:
                raise _broken(path)
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, self._skip, self.count = _HEADER.unpack_from(self._map)
        self._rest = _WIDTH - self._skip
        buckets = 256**self._skip
        self._entries = _HEADER.size + 8 * (buckets + 1)
        whole = magic == _MAGIC and self._skip in {1, 2} and size == self._entries + self.count * self._rest
        if not whole or self._index(buckets) != self.count:
            self._map.close()
            raise _broken(path)

    def __contains__(self, text: object) -> bool:
        """Tell whether the set holds ``text``."""
        if not isinstance(text, str):
            return False
        wanted = digest(text)
        bucket, rest = int.from_bytes(wanted[: self._skip]), wanted[self._skip :]
        low, high = self._index(bucket), self._index(bucket + 1)
        while low < high:
            middle = (low + high) // 2
            at = self._entries + middle * self._rest
            found = self._map[at : at + self._rest]
            if found == rest:
                return True
            low, high = (middle + 1, high) if found < rest else (low, middle)
        return False

    def __len__(self) -> int:
        """Return how many entries there are."""
        return int(self.count)

    def _index(self, bucket: int) -> int:
        found: int = struct.unpack_from("<Q", self._map, _HEADER.size + 8 * bucket)[0]
        return found

    def close(self) -> None:
        """Give the memory back."""
        self._map.close()


def write(digests: Iterable[bytes], target: Path, *, many: bool = True) -> int:
    """Put sorted ``digests`` into ``target``, whole or not at all, and return how many different ones there were.

    ``many``: expect more than a million. Whatever ``digests`` raises leaves what was there before.
    """
    skip = 2 if many else 1
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            count = _fill(out, digests, skip)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    _settle(target.parent)
    return count


def _fill(out: IO[bytes], digests: Iterable[bytes], skip: int) -> int:
    buckets = 256**skip
    starts = [0] * (buckets + 1)
    out.write(bytes(_HEADER.size + 8 * (buckets + 1)))
    count, filled, before = 0, 0, b""
    for each in digests:
        if each == before:
            continue
        bucket = int.from_bytes(each[:skip])
        while filled < bucket:
            filled += 1
            starts[filled] = count
        out.write(each[skip:])
        count, before = count + 1, each
    for place in range(filled + 1, buckets + 1):
        starts[place] = count
    out.seek(0)
    out.write(_HEADER.pack(_MAGIC, skip, count) + struct.pack(f"<{buckets + 1}Q", *starts))
    return count


def _settle(folder: Path) -> None:
    """Have the new name outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_lines(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield what is kept of each line of a list of SHA-1 hashes, sorted, with or without ``:count``.

    Raises ``Invalid`` that names the line, and never what stands in it: it may be somebody's password.
    """
    before, number = b"", 0
    for number, line in enumerate(iter(partial(stream.readline, _LINE_MAX), b""), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise _refused(line, f"{name}:{number}")
        each = bytes.fromhex(found[1].decode("ascii"))
        if each < before:
            raise Invalid(
                "this hash is smaller than the one before it",
                where=f"{name}:{number}",
                hint="Sort the list by hash first: LC_ALL=C sort",
            )
        before = each
        yield each[:_WIDTH]
    if not number:
        raise Invalid("the list is empty", where=name)


def _refused(line: bytes, where: str) -> Invalid:
    if _NTLM.fullmatch(line):
        return Invalid("this is an NTLM hash", where=where, hint="Take the list of SHA-1: it is of the same passwords.")
    return Invalid(
        "this is not a SHA-1 hash",
        where=where,
        hint="A line is 40 hexadecimal digits, then perhaps a colon and a count.",
    )


def _broken(path: Path) -> Corrupt:
    return Corrupt("This list of passwords is damaged.", where=str(path), hint="Import it again.")
