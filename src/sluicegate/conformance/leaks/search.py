r"""Looks for canaries in streams of bytes, in every form in which software writes text down.

A stream is looked at in chunks that overlap, so it may have any size. Rather than one pattern for each spelling, each
chunk is brought into a few plain shapes, in which few patterns cover many spellings:

- without zeros: the text and backwards, also as UTF-16 and UTF-32 of either byte order, and as programs escape it;
- in lower case and without what stands between hex digits: hex of either case, percent-encoding, ``\x`` escapes;
- in one alphabet and without breaks of lines: Base64 (RFC 4648 §4, §5) at each of the three places a text can begin at,
  of the text and of its UTF-16.

What is packed (gzip, zlib, deflate in ZIP, bzip2, xz) is unpacked and looked at in turn, wherever in a stream it
begins; Zstandard, too, but not within what is packed.
"""

from __future__ import annotations

import base64
import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Final, NamedTuple, Protocol

SHORTEST: Final = 8
"""Bytes of a canary: a shorter one is found by chance."""
CHUNK: Final = 1 << 20
DEPTH: Final = 3
"""How often what was unpacked may be packed again."""
UNPACKED_MAX: Final = 64 << 20
"""Bytes that are unpacked at one place; a bomb is looked at as far as that."""
_HEX_NOISE: Final = b"%\\xX: -\r\n\t"
_LOWER: Final = bytes(range(256)).lower()
_ONE_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_MAGIC: Final = re.compile(rb"\x1f\x8b\x08|PK\x03\x04|BZh[1-9]1AY&SY|\xfd7zXZ\x00|\x78[\x01\x5e\x9c\xda]", re.DOTALL)
_AHEAD: Final = 1 << 17
"""Bytes that the reader of Zstandard may have read beyond what it unpacked, at the most."""
_ZSTD: Final = re.compile(rb"\x28\xb5\x2f\xfd")
_ZIP: Final = b"PK\x03\x04"
_LOCAL, _DEFLATE = 30, 8
"""Bytes of a ZIP's local header before its name, and the method that packs (APPNOTE 4.3.7, 4.4.5)."""
_TAIL: Final = 4096
_PACKED: Final = ", packed"


class Hit(NamedTuple):
    """Something that was found. It never holds what was found."""

    secret: str
    """Name of the canary."""
    form: str
    """How it is spelled."""
    at: int
    """Offset of the chunk's part in the stream; within something packed, where that begins."""


class _Pattern(NamedTuple):
    secret: str
    form: str
    text: bytes


class Searcher:
    """Looks for canaries; knows them by name."""

    def __init__(self, canaries: Mapping[str, str | bytes]) -> None:
        """``canaries``: texts, or raw bytes, by name. Raises ``ValueError`` for one so short that chance finds it."""
        sizes = {name: len(each.encode() if isinstance(each, str) else each) for name, each in canaries.items()}
        for name, size in sizes.items():
            if size < SHORTEST:
                raise ValueError(name)
        self._plain: list[_Pattern] = []
        self._hex: list[_Pattern] = []
        self._base: list[_Pattern] = []
        for name, each in canaries.items():
            if isinstance(each, str):
                self._add(name, each)
            else:
                self._add_bytes(name, each)
        self._overlap = 8 * max(sizes.values(), default=0) + 1024
        self.bytes = 0
        """Bytes that have been looked at, unpacked ones included."""

    @property
    def patterns(self) -> int:
        """How many patterns stand for the canaries."""
        return len(self._plain) + len(self._hex) + len(self._base)

    def _add(self, name: str, text: str) -> None:
        raw, wide = text.encode(), text.encode("utf-16-le")
        self._plain.append(_Pattern(name, "text", raw))
        self._plain.append(_Pattern(name, "backwards", text[::-1].encode()))
        if (latin := _encoded(text, "latin-1")) not in (None, raw):
            self._plain.append(_Pattern(name, "latin-1", latin or b""))
        for form in _escaped(text) - {raw}:
            self._plain.append(_Pattern(name, "escaped", form))
        if not text.isascii():  # else it is the text, between zeros
            codes = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
            self._plain += [_Pattern(name, each[:6], text.encode(each).translate(None, b"\0")) for each in codes]
        self._hex.append(_Pattern(name, "hex", raw.hex().encode().translate(None, _HEX_NOISE)))
        self._hex.append(_Pattern(name, "hex of utf-16", wide.hex().encode()))
        for form in _quoted(text):
            self._hex.append(_Pattern(name, "percent", form))
        for what, told in (("base64", raw), ("base64 of utf-16", wide)):
            self._base += [_Pattern(name, what, each) for each in _base64(told)]

    def _add_bytes(self, name: str, raw: bytes) -> None:
        told = raw.translate(None, b"\0")
        self._plain += [_Pattern(name, "bytes", told), _Pattern(name, "backwards", told[::-1])]
        self._hex.append(_Pattern(name, "hex", raw.hex().encode()))
        self._base += [_Pattern(name, "base64", each) for each in _base64(raw)]

    def stream(self, data: BinaryIO) -> Iterator[Hit]:
        """Yield what is in a stream, each name and form once; it can be sought in."""
        seen: set[tuple[str, str]] = set()
        for hit in self._stream(data):
            if (hit.secret, hit.form) not in seen:
                seen.add((hit.secret, hit.form))
                yield hit

    def chunk(self, told: bytes) -> Iterator[Hit]:
        """Yield what is in a few bytes."""
        return self._look(told, 0, 0)

    def text(self, told: str) -> list[Hit]:
        """Return what is in a text."""
        return list(dict.fromkeys(self.chunk(told.encode("utf-8", "surrogatepass"))))

    def _stream(self, data: BinaryIO) -> Iterator[Hit]:
        held, at = b"", 0
        begun: set[int] = set()
        frames: set[int] = set()
        open_: list[_Unpacked] = []
        while part := data.read(CHUNK):
            for each in open_:
                yield from self._within(each.feed(part), at, 1)
            held += part
            yield from self._plainly(held, at)
            kept = max(0, len(held) - self._overlap)
            for found in _MAGIC.finditer(held):
                here = found.start()
                if at + here in begun:
                    continue
                start = _data(held, here)
                if start is not None and start > len(held):  # its header goes on in the next part
                    kept = min(kept, here)
                    continue
                begun.add(at + here)
                if start is not None:
                    unpacked = _unpacker(held, here)
                    yield from self._within(unpacked.feed(held[start:]), at + here, 1)
                    open_.append(unpacked)
            frames |= {at + found.start() for found in _ZSTD.finditer(held)}
            open_ = [each for each in open_ if not each.over]
            at += kept
            held = held[kept:]
            begun = {each for each in begun if each >= at}
        known = 0
        for place in sorted(frames):
            if place >= known:  # else it followed another at once
                data.seek(place)
                yield from self._within(_frame(data), place, 1)
                known = data.tell() - _AHEAD

    def _look(self, chunk: bytes, at: int, depth: int) -> Iterator[Hit]:
        """Yield what is in a chunk, and in what is packed in it."""
        yield from self._plainly(chunk, at)
        for found in _MAGIC.finditer(chunk) if depth < DEPTH else ():
            start = _data(chunk, found.start())
            if start is not None:
                unpacked = _unpacker(chunk, found.start())
                yield from self._within(unpacked.feed(chunk[start:]), at + found.start(), depth + 1)

    def _within(self, parts: Iterable[bytes], at: int, depth: int) -> Iterator[Hit]:
        for part in parts:
            for hit in self._look(part, at, depth):
                yield hit._replace(form=f"{hit.form.removesuffix(_PACKED)}{_PACKED}")

    def _plainly(self, chunk: bytes, at: int) -> Iterator[Hit]:
        self.bytes += len(chunk)
        bare = chunk.translate(None, b"\0")
        alphabet = bare.replace(b"%2B", b"+").replace(b"%2F", b"/").translate(_ONE_ALPHABET, b"\r\n \\")
        for shape, patterns in (
            (bare, self._plain),
            (bare.translate(_LOWER, _HEX_NOISE), self._hex),
            (alphabet, self._base),
        ):
            yield from (Hit(each.secret, each.form, at) for each in patterns if each.text in shape)


class _Unpacks(Protocol):
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Unpacked:
    """Unpacks what begins somewhere, as its parts come; it is over where it ends, is damaged, or grows too large."""

    def __init__(self, make: Callable[[], _Unpacks], *, members: bool) -> None:
        """``members``: whether another may follow the first at once, as in gzip."""
        self._make, self._one, self._members = make, make(), members
        self._left, self._tail = UNPACKED_MAX, b""
        self.over = False

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield what the next part unpacks to, each piece with the end of the one before."""
        given = part
        while not self.over:
            try:
                out = self._one.decompress(given, CHUNK)
            except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError):
                self.over = True
                return
            given = getattr(self._one, "unconsumed_tail", b"")
            if out:
                self._left -= len(out)
                self.over = self._left <= 0
                yield self._tail + out
                self._tail = (self._tail + out)[-_TAIL:]
            if getattr(self._one, "eof", False):
                given = getattr(self._one, "unused_data", b"")
                self.over = self.over or not self._members
                self._one = self._make()
                if not given:
                    return
            elif not given and len(out) < CHUNK and getattr(self._one, "needs_input", True):
                return


def _frame(data: BinaryIO) -> Iterator[bytes]:
    """Yield what the Zstandard frames unpack to that begin where ``data`` stands, each piece with the end of the last.

    Its reader keeps back the piece in which it finds that something else follows, so that one comes byte by byte.
    """
    import pyarrow as pa

    start, got, tail = data.tell(), 0, b""
    for step in (CHUNK, 1):
        data.seek(start)
        stream = pa.CompressedInputStream(pa.PythonFile(_Open(data), mode="r"), "zstd")
        skipped, last, whole = 0, bytearray(), False
        try:
            while skipped < got and (out := stream.read(min(CHUNK, got - skipped))):
                skipped += len(out)
            while got < UNPACKED_MAX and (out := stream.read(step)):
                got += len(out)
                last += out
                if len(last) >= CHUNK:
                    yield tail + last
                    tail = bytes(last[-_TAIL:])
                    last.clear()
            whole = True
        except OSError:  # damaged, cut off, or followed by something else
            pass
        yield tail + last
        tail = (tail + last)[-_TAIL:]
        if whole:
            return


class _Open:
    """A file that stays open when its reader is done."""

    closed = False

    def __init__(self, data: BinaryIO) -> None:
        self.read = data.read

    def close(self) -> None:
        """Leave it open."""


def _data(chunk: bytes, start: int) -> int | None:
    """Return where the data begins of what begins at ``start``; ``None`` when nothing is packed there.

    It lies behind the end of ``chunk`` when that ends within a header.
    """
    if chunk[start : start + 4] != _ZIP:
        return start
    head = chunk[start : start + _LOCAL]
    if len(head) < _LOCAL:
        return start + _LOCAL + 1
    if int.from_bytes(head[8:10], "little") != _DEFLATE:
        return None
    return start + _LOCAL + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")


def _unpacker(chunk: bytes, start: int) -> _Unpacked:
    """Return what unpacks that which begins at ``start``."""
    magic = chunk[start : start + 4]
    if magic == _ZIP:
        return _Unpacked(lambda: zlib.decompressobj(wbits=-15), members=False)
    if magic[:3] == b"\x1f\x8b\x08":
        return _Unpacked(lambda: zlib.decompressobj(wbits=31), members=True)
    if magic[:3] == b"BZh":
        return _Unpacked(bz2.BZ2Decompressor, members=True)
    if magic == b"\xfd7zX":
        return _Unpacked(lzma.LZMADecompressor, members=True)
    return _Unpacked(zlib.decompressobj, members=False)


# -- forms -------------------------------------------------------------------------------------------------------------


def _encoded(text: str, encoding: str) -> bytes | None:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


def _escaped(text: str) -> set[bytes]:
    """Return how JSON, XML, HTML and SQL write a text that has signs of theirs in it."""
    import json
    from xml.sax.saxutils import escape, quoteattr

    told = json.dumps(text)[1:-1]
    forms = {told, json.dumps(text, ensure_ascii=False)[1:-1], told.replace("/", "\\/"), text.replace("'", "''")}
    forms |= {escape(text), quoteattr(text)[1:-1], repr(text)[1:-1], text.replace('"', '""')}
    return {each.encode() for each in forms}


def _quoted(text: str) -> set[bytes]:
    """Return percent-encodings in the shape that hex is looked for in, for texts that are partly encoded."""
    from urllib.parse import quote, quote_plus

    forms = {quote(text), quote(text, safe=""), quote_plus(text)}
    return {each.encode().translate(_LOWER, _HEX_NOISE) for each in forms if "%" in each}


def _base64(raw: bytes) -> Iterable[bytes]:
    """Return the letters of Base64 that do not depend on what stands before and behind, for each of three places."""
    for shift in range(3):
        told = base64.b64encode(b"\0" * shift + raw)
        first = (shift * 8 + 5) // 6  # the first letter with bits of nothing else
        last = (shift + len(raw)) * 8 // 6
        yield told[first:last]
