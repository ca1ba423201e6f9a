"""A file that can be shut: what is written after that is dropped, so that an abandoned encoder can be closed."""

from __future__ import annotations

import io
from typing import Any


class Tap(io.RawIOBase):
    """Passes bytes on until it is shut; then they are dropped."""

    def __init__(self, below: Any) -> None:
        """Lead into ``below``."""
        super().__init__()
        self._below = below
        self._open = True
        self._written = 0

    def writable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the bytes passed so far: formats with a footer ask."""
        return self._written

    def write(self, data: Any) -> int:
        """Pass ``data`` on, all of it."""
        size = memoryview(data).nbytes
        if self._open:
            self._below.write(data)
        self._written += size
        return size

    def shut(self) -> None:
        """Drop what comes from now on."""
        self._open = False
