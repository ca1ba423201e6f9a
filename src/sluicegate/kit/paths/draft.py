"""A file in the making: nothing appears under its name before it is whole."""

from __future__ import annotations

import fcntl
import io
import os
import re
from contextlib import suppress
from typing import BinaryIO, Final, Self, cast

from sluicegate.base.errors import Failed, SluiceError
from sluicegate.kit.paths.beneath import sync, told

NAME: Final = re.compile(r"\.sluice-[0-9a-f]{32}\.tmp")
"""What a draft is called on disk."""


class _Raw(io.FileIO):
    """A file whose failing writes are told as ``NoSpace`` and the like, whoever writes (Arrow, zip, csv)."""

    shown = ""

    def write(self, data: object, /) -> int:
        with told(self.shown):
            return super().write(data)  # type: ignore[arg-type]  # whatever bytes-like value the buffer hands down


class Draft:
    """A file in the making: nothing appears under its name before ``commit``. Left by an exception, it is aborted.

    While it lives its temporary file is locked (flock), so that ``Root.sweep`` leaves it alone.
    """

    out: BinaryIO
    """Where to write; buffered, seekable, not readable."""

    def __init__(self, folder: int, name: str, path: str) -> None:
        """Make the temporary file in ``folder``, which is owned from here on. Raises ``OSError``."""
        self._folder, self._name, self._path, self._open = folder, name, path, True
        while True:
            self._draft = f".sluice-{os.urandom(16).hex()}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._draft, flags, 0o600, dir_fd=folder)
            if lock(fd) is not False and os.fstat(fd).st_nlink:  # else a sweep took it between open and lock
                break
            os.close(fd)
        raw = _Raw(fd, "wb")
        raw.shown = path
        self.out = cast("BinaryIO", io.BufferedWriter(raw, 1 << 20))
        self._file = os.dup(fd)  # a writer (Arrow) may close ``out`` before the commit

    def commit(self) -> None:
        """Write to disk, then publish under the final name by an atomic rename. Raises ``NoSpace`` or ``Failed``."""
        if not self._open:
            raise Failed("The file is already finished.", where=self._path)
        try:
            with told(self._path):
                self.out.close()
                os.fsync(self._file)
                os.rename(self._draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                sync(self._folder)
        except BaseException:
            self.abort()
            raise
        self._finish()

    def abort(self) -> None:
        """Remove what was written; nothing to do once finished."""
        if not self._open:
            return
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._draft, dir_fd=self._folder)
            with suppress(OSError, SluiceError):  # the disk may be full: what is buffered is not wanted any more
                self.out.close()
        finally:
            self._finish()

    def _finish(self) -> None:
        self._open = False
        os.close(self._file)
        os.close(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def lock(fd: int) -> bool | None:
    """Return True when locked, False when another holds the lock, None where the file system has no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
