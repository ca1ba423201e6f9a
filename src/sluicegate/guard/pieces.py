"""What is sent in pieces: a file to keep, or a stream of events to follow. Nothing of it is held as a whole."""

from __future__ import annotations

import re
from collections.abc import Generator
from threading import Lock

from pydantic import PrivateAttr

from sluicegate.base.model import Model

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DOTS = re.compile(r"^[.-]+|\.(?=\.)")


class Pieces(Model):
    """A file or stream. It is sent as it is made."""

    name: str
    """Name of the file: letters, digits, ``-``, ``_`` and single dots, whatever it was made from."""
    media: str
    topic: str = ""
    """What those who wait for more are woken by: the id of a run."""
    _made: Generator[bytes] = PrivateAttr()
    _lock: Lock = PrivateAttr(default_factory=Lock)

    @classmethod
    def of(cls, name: str, media: str, made: Generator[bytes], topic: str = "") -> Pieces:
        """Return what is sent piece by piece from ``made``; an empty piece says that there is nothing new now."""
        return cls(name=safe(name), media=media, topic=topic).through(made)

    def through(self, made: Generator[bytes]) -> Pieces:
        """Send the pieces of ``made`` from now on."""
        self._made = made
        return self

    @property
    def made(self) -> Generator[bytes]:
        """The pieces."""
        return self._made

    def next(self) -> bytes | None:
        """Return the next piece, ``None`` after the last. Raises what making it raises."""
        with self._lock:
            return next(self._made, None)

    def close(self) -> None:
        """Make no more; a piece that is being made is waited for."""
        with self._lock:
            self._made.close()


def safe(name: str) -> str:
    """Return a file name that means the same to every system and in a header."""
    return _DOTS.sub("", _UNSAFE.sub("-", name))[:120] or "download"


def packed(lines: Generator[bytes], size: int = 64 * 1024) -> Generator[bytes]:
    """Yield ``lines`` joined to pieces of about ``size`` bytes."""
    kept: list[bytes] = []
    length = 0
    for line in lines:
        kept.append(line)
        length += len(line)
        if length >= size:
            yield b"".join(kept)
            kept, length = [], 0
    if kept:
        yield b"".join(kept)
