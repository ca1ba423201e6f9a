"""Files beneath one folder of an SFTP server, under the names and rules of ``kit.paths``.

SFTP version 3 has no handle of a folder and no way to refuse links, so each part of a path is looked at (``lstat``)
before it is used. Who can change the folder on the server at that very moment can still swap a link in: the server's
own ``chroot`` is the wall, this is the rail.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from sluicegate.base.errors import Cancelled, Denied, Failed, Invalid, NoSpace
from sluicegate.kit.connection import Entry
from sluicegate.kit.net.ssh import told
from sluicegate.kit.paths import check, check_file, is_companion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.kit.context import Context

_CHUNK: Final = 32 * 1024
"""Bytes of one request; what every server takes."""
_WINDOW: Final = 2 << 20
"""Bytes asked for, or sent, before an answer is waited for."""
_MOST: Final = 1_000_000
"""Entries of one listing."""
_FULL = ["no space left", "quota", "disk full"]


class Folder:
    """One folder; ``Denied`` for what leads out, ``Failed`` for what is missing."""

    def __init__(self, client: Any, root: str, place: str, ctx: Context) -> None:
        """``root``: its name on the server; looked for when it is used."""
        self._client, self._root, self._place, self._ctx = client, root.rstrip("/") or "/", place, ctx

    def count(self) -> int:
        """Return how many files and folders lie directly in it."""
        return len(self._content((), ""))

    def entries(self, under: str = "") -> Iterator[Entry]:
        """Yield all files and folders beneath ``under``, each folder before its content, sorted by the parts of names.

        Links, devices, drafts, journals and names that ``check`` refuses are left out: they could not be opened either.
        """
        parts = check(under) if under else ()
        self._walk(parts, under)
        waiting, seen = self._content(parts, under)[::-1], 0
        while waiting:
            entry = waiting.pop()
            seen += 1
            if seen > _MOST:
                raise Failed(f"The folder holds more than {_MOST} entries.", where=self._place)
            yield entry
            if entry.type == "folder":
                with suppress(Failed):  # removed meanwhile
                    waiting.extend(self._content(tuple(entry.name.split("/")), entry.name)[::-1])

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading."""
        parts = check_file(path)
        self._walk(parts[:-1], path)
        with self.telling(path):
            _refuse_odd(self._client.lstat(self._at(parts)), path)
            file = self._client.open(self._at(parts), "rb")
            about = file.stat()
        _refuse_odd(about, path)
        return cast("BinaryIO", io.BufferedReader(_Reading(file, about.st_size or 0, self, path), 1 << 18))

    def size(self, path: str) -> int:
        """Return the size of a regular file in bytes."""
        parts = check(path)
        self._walk(parts[:-1], path)
        with self.telling(path):
            about = self._client.lstat(self._at(parts))
        _refuse_odd(about, path)
        return int(about.st_size or 0)

    def create(self, path: str) -> _Draft:
        """Begin a file, making its parent folders (0700). An existing one is replaced when the draft is committed."""
        parts = check_file(path)
        self._walk(parts[:-1], path, make=True)
        with self.telling(path):
            with suppress(FileNotFoundError):
                _refuse_odd(self._client.lstat(self._at(parts)), path)
            draft = self._at((*parts[:-1], f".sluice-{os.urandom(16).hex()}.tmp"))
            return _Draft(self, self._client, draft, self._at(parts), path)

    def _at(self, parts: tuple[str, ...]) -> str:
        return "/".join((self._root.rstrip("/"), *parts)) if parts else self._root

    def _walk(self, parts: tuple[str, ...], path: str, *, make: bool = False) -> None:
        """See that each folder on the way is one, and no link."""
        for place in range(1, len(parts) + 1):
            here = self._at(parts[:place])
            with self.telling(path):
                try:
                    about = self._client.lstat(here)
                except FileNotFoundError:
                    if not make:
                        raise
                    with suppress(OSError):  # another run may have made it just now: the next line tells
                        self._client.mkdir(here, 0o700)
                    about = self._client.lstat(here)
            if stat.S_ISLNK(about.st_mode or 0):
                raise Denied(f"{path!r} leads through a link.", where=path, hint="Name the file itself.")
            if not stat.S_ISDIR(about.st_mode or 0):
                raise Failed(f"There is no {path!r}.", where=path)

    def _content(self, parts: tuple[str, ...], shown: str) -> list[Entry]:
        found = []
        with self.telling(shown or self._root):
            for about in self._client.listdir_iter(self._at(parts)):
                if self._ctx.cancelled():
                    raise Cancelled("The run was cancelled; nothing of it has landed.")
                name, mode = about.filename, about.st_mode or 0
                if "/" in name or not (stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and not is_companion(name))):
                    continue
                whole = "/".join((*parts, name))
                with suppress(Denied, Invalid):
                    check(whole)
                    is_dir = stat.S_ISDIR(mode)
                    size = None if is_dir else about.st_size
                    found.append(Entry(whole, "folder" if is_dir else "file", size, modified=about.st_mtime))
                if len(found) > _MOST:
                    raise Failed(f"The folder holds more than {_MOST} entries.", where=self._place)
        return sorted(found, key=lambda entry: entry.name)

    @contextmanager
    def telling(self, path: str) -> Iterator[None]:
        """Turn what the server says of a file into an error that names it; the server's own words are not repeated."""
        with told(self._place):
            try:
                yield
            except FileNotFoundError as fault:
                raise Failed(f"There is no {path!r}.", where=self._place) from fault
            except TimeoutError:
                raise
            except OSError as fault:
                if fault.errno == errno.EACCES:
                    raise Failed(f"The server does not allow this with {path!r}.", where=self._place) from fault
                if fault.errno is not None:
                    raise
                if any(word in str(fault).lower() for word in _FULL):
                    raise NoSpace(f"The server has no room for {path!r}.", where=self._place) from fault
                raise Failed(
                    f"The server fails with {path!r}.", where=self._place, hint="Its log says more."
                ) from fault


def _refuse_odd(about: Any, path: str) -> None:
    mode = about.st_mode or 0
    if stat.S_ISLNK(mode):
        raise Denied(f"{path!r} leads through a link.", where=path, hint="Name the file itself.")
    if stat.S_ISDIR(mode):
        raise Failed(f"{path!r} is a folder.", where=path, hint="Name a file in it.")
    if not stat.S_ISREG(mode):
        raise Denied(f"{path!r} is not a regular file.", where=path)


class _Reading(io.RawIOBase):
    """A remote file, asked for in windows that grow while it is read in order."""

    def __init__(self, file: Any, size: int, folder: Folder, path: str) -> None:
        super().__init__()
        self._file, self._size, self._folder, self._path = file, size, folder, path
        self._place, self._held, self._window = 0, b"", _CHUNK

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0, /) -> int:
        place = offset + (0, self._place, self._size)[whence]
        if place < 0:
            raise ValueError("before the beginning")
        if place != self._place:
            self._place, self._held, self._window = place, b"", _CHUNK
        return place

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        if not self._held and self._place < self._size:
            self._held = self._fetch()
        taken = min(len(view), len(self._held))
        view[:taken], self._held = self._held[:taken], self._held[taken:]
        self._place += taken
        return taken

    def _fetch(self) -> bytes:
        end = min(self._size, self._place + self._window)
        self._window = min(self._window * 4, _WINDOW)
        places = range(self._place, end, _CHUNK)
        with self._folder.telling(self._path):
            # asked beforehand: paramiko waits for ever for what lies behind the end
            whole = (self._file.stat().st_size or 0) >= end
            chunks = [(place, min(_CHUNK, end - place)) for place in places]
            found = b"".join(self._file.readv(chunks)) if whole else b""
        if len(found) != end - self._place:
            raise Failed(f"{self._path!r} became shorter while it was read.", where=self._path)
        return found

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError, EOFError):
                self._file.close()
        super().close()


class _Draft:
    """A remote file in the making, under a name of its own until it is whole."""

    def __init__(self, folder: Folder, client: Any, draft: str, final: str, path: str) -> None:
        self._folder, self._client, self._draft, self._final, self._path = folder, client, draft, final, path
        self._file = client.open(draft, "wxb")
        self._open, self._writing = True, _Writing(self._file, folder, path)
        self.out = cast("BinaryIO", io.BufferedWriter(self._writing, _WINDOW))

    def commit(self) -> None:
        """See that all has arrived, then rename in one step."""
        if not self._open:
            raise Failed("The file is already finished.", where=self._path)
        try:
            self.out.flush()
            with self._folder.telling(self._path):
                self._file.close()
                if self._client.lstat(self._draft).st_size != self._writing.count:
                    raise Failed("The server holds fewer bytes than were sent.", where=self._path)
                self._rename()
        except BaseException:
            self.abort()
            raise
        self._open = False

    def _rename(self) -> None:
        try:
            self._client.posix_rename(self._draft, self._final)
        except OSError as fault:
            if fault.errno is not None:
                raise
            self._client.rename(self._draft, self._final)  # refused by the protocol when the name is taken

    def abort(self) -> None:
        """Remove it; nothing to do once committed."""
        if self._open:
            self._open, self._writing.muted = False, True
            with suppress(OSError, EOFError, Failed), self._folder.telling(self._path):
                self._file.close()
                self._client.remove(self._draft)


class _Writing(io.RawIOBase):
    """Sends in windows; the last request of each waits until the server has confirmed all of them."""

    def __init__(self, file: Any, folder: Folder, path: str) -> None:
        super().__init__()
        self._file, self._folder, self._path, self.count = file, folder, path, 0
        self.muted = False
        """Whether what a buffer still holds goes nowhere: it was aborted."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")[:_WINDOW]
        if self.muted:
            return len(view)
        cut = max(len(view) - _CHUNK, 0)
        with self._folder.telling(self._path):
            self._file.set_pipelined(True)
            if cut:
                self._file.write(bytes(view[:cut]))
            self._file.set_pipelined(False)
            if len(view):
                self._file.write(bytes(view[cut:]))
        self.count += len(view)
        return len(view)
