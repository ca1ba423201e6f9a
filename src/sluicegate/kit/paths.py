"""The only way to files: everything opens beneath a directory handle, through no link, whatever the name says.

Linux's ``openat2`` with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS (openat2(2)) does the walk; where it is missing,
each component is opened with ``O_NOFOLLOW`` from its parent's handle. Names are checked before either sees them.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import stat
import unicodedata
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self, cast

from sluicegate.base.errors import Denied, Failed, Invalid, NoSpace, SluiceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PART_BYTES: Final = 255
PATH_BYTES: Final = 4096

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a fifo must not block the open
_DRAFT = re.compile(r"\.sluice-[0-9a-f]{32}\.tmp")
_ENCODED = re.compile(r"%(?:2e|2f|5c|25|00)", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"]
    + [f"{port}{number}" for port in ("COM", "LPT") for number in range(10)]
)


class Entry(NamedTuple):
    """One file or folder. ``name`` is relative to the root; ``modified`` in seconds since 1970."""

    name: str
    is_dir: bool
    bytes: int
    modified: float


def check(path: str) -> tuple[str, ...]:
    """Return the parts of a relative path. Raises ``Denied`` (leads out) or ``Invalid`` (not a usable name)."""
    where = ascii(path)[1:121]
    if not path or len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES:
        raise Invalid(f"A path is 1 to {PATH_BYTES} bytes long.", where="path")
    if path.startswith("/") or _DRIVE.match(path):
        raise Denied("The path is absolute.", where=where, hint="Write it relative to the connection's root.")
    if "\0" in path:
        raise Denied("The path holds a NUL.", where=where)
    if "\\" in path:
        raise Denied("The path holds a backslash.", where=where, hint="Separate folders with /.")
    parts = tuple(path.split("/"))
    for part in parts:
        _check_part(part, where)
    return parts


def _check_part(part: str, where: str) -> None:
    shown = unicodedata.normalize("NFKC", part)
    if part in (".", ".."):
        raise Denied(f"The path holds the part {part!r}.", where=where, hint="Name the folder itself.")
    if _ENCODED.search(shown):
        raise Denied("The path holds a percent-encoded dot, slash, percent sign or NUL.", where=where)
    if any(shown.count(sign) > part.count(sign) for sign in ("/", "\\", "..")) or shown in (".", ".."):
        raise Denied("The path holds a letter that some systems read as a dot or slash.", where=where)
    if not part:
        raise Invalid("The path holds an empty part.", where=where, hint="Write a single / between names.")
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _BIDI for sign in part):
        raise Invalid("The path holds a control character or one that is not Unicode.", where=where)
    if len(part.encode()) > PART_BYTES:
        raise Invalid(f"A name in the path is longer than {PART_BYTES} bytes.", where=where)
    if shown.endswith((".", " ")):
        raise Invalid("A name in the path ends with a dot or space.", where=where)
    if shown.split(".", 1)[0].rstrip(" ").upper() in _DEVICES:
        raise Invalid("A name in the path is a device on Windows.", where=where, hint="Choose another name.")
    if part.startswith(".sluice-"):
        raise Denied("Names that start with .sluice- are reserved.", where=where)


def _openat2(top: int, path: str, flags: int) -> int:
    """Open ``path`` beneath ``top`` in one system call; ``OSError`` ENOSYS where there is none."""
    import ctypes

    if os.uname().machine not in ("x86_64", "aarch64"):
        raise OSError(errno.ENOSYS, "openat2")
    how = (ctypes.c_uint64 * 3)(flags, 0, 0x02 | 0x04 | 0x08)  # NO_MAGICLINKS, NO_SYMLINKS, BENEATH (linux/openat2.h)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    name, size = ctypes.c_char_p(os.fsencode(path)), ctypes.c_size_t(24)
    for _ in range(16):  # EAGAIN: something beneath was being renamed (openat2(2))
        fd = int(libc.syscall(ctypes.c_long(437), ctypes.c_int(top), name, ctypes.byref(how), size))
        if fd >= 0:
            return fd
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def _step(folder: int, part: str, flags: int) -> int:
    """Open one name in ``folder``; a link is ELOOP even where the kernel would say ENOTDIR."""
    try:
        return os.open(part, flags | os.O_NOFOLLOW, dir_fd=folder)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise


def _walk(top: int, parts: tuple[str, ...], flags: int, *, make: bool = False) -> int:
    """Open ``parts`` one by one, each from its parent's handle. With ``make``, missing folders are made (0700)."""
    here = os.dup(top)
    try:
        for position, part in enumerate(parts, 1):
            wanted = flags if position == len(parts) else _FOLDER
            try:
                beneath = _step(here, part, wanted)
            except FileNotFoundError:
                if not make:
                    raise
                with suppress(FileExistsError):  # made by another at the same moment: just as good
                    os.mkdir(part, 0o700, dir_fd=here)
                _sync(here)
                beneath = _step(here, part, wanted)
            os.close(here)
            here = beneath
    except BaseException:
        os.close(here)
        raise
    return here


def _open(top: int, parts: tuple[str, ...], flags: int) -> int:
    if not parts:
        return os.open(".", flags, dir_fd=top)
    try:
        return _openat2(top, "/".join(parts), flags)
    except OSError as fault:
        # EPERM: seccomp filters older than the call say so. ENOTDIR: the walk tells a link from a file. The walk is as
        # strict, so trying it opens nothing more.
        if fault.errno not in (errno.ENOSYS, errno.EPERM, errno.ENOTDIR):
            raise
    return _walk(top, parts, flags)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as fault:
        if fault.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems keep no folders to sync
            raise


def _error(fault: OSError, path: str) -> SluiceError:
    match fault.errno:
        case errno.ENOENT:
            return Failed(f"There is no file {path!r}.", where=path, hint="Check the name and its case.")
        case errno.ELOOP | errno.EXDEV:
            return Denied(f"{path!r} leads through a link.", where=path, hint="Name the file itself.")
        case errno.ENXIO | errno.ENODEV:
            return Denied(f"{path!r} is not a regular file.", where=path)
        case errno.ENOSPC | errno.EDQUOT:
            return NoSpace("The disk or quota is full.", where=path, hint="Make room and run again.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Failed(f"This process may not use {path!r}.", where=path, hint="Check the owner and mode.")
        case errno.ENAMETOOLONG:
            return Invalid("The path is too long for this file system.", where=path)
        case errno.ENOTDIR:
            return Failed(f"A part of {path!r} is a file, not a folder.", where=path)
        case _:
            return Failed(f"{path!r} cannot be used: {fault.strerror}.", where=path)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise _error(fault, path) from fault


class _Raw(io.FileIO):
    """A file whose failing writes are told as ``NoSpace`` and the like, whoever writes (Arrow, zip, csv)."""

    shown = ""

    def write(self, data: object, /) -> int:
        with _told(self.shown):
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
            if _lock(fd) is not False and os.fstat(fd).st_nlink:  # else a sweep took it between open and lock
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
            with _told(self._path):
                self.out.close()
                os.fsync(self._file)
                os.rename(self._draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                _sync(self._folder)
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


def _lock(fd: int) -> bool | None:
    """Return True when locked, False when another holds the lock, None where the file system has no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


class Root:
    """Files beneath one directory, which may itself be reached through links. Every path is checked by ``check``.

    ``Denied``: the path leads out, through a link or to something that is not a regular file. A file with a second hard
    link is not read either: the other name may lie outside (SEC-F06). ``Failed`` names a missing file.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        """Hold ``folder``; ``create`` makes it (0700) and its parents. ``Failed`` when there is none."""
        shown = str(folder)
        with _told(shown):
            if create:
                folder.mkdir(0o700, parents=True, exist_ok=True)
            self._real = os.path.realpath(folder)
            self._fd = self._hold(shown)

    def _hold(self, shown: str) -> int:
        try:
            return os.open(self._real, _FOLDER)
        except (FileNotFoundError, NotADirectoryError) as fault:
            raise Failed(f"There is no folder {shown!r}.", where=shown) from fault

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading."""
        parts = check(path)
        with _told(path):
            fd = _open(self._fd, parts, _READ)
        try:
            _refuse_odd(os.fstat(fd), path)
            return os.fdopen(fd, "rb")
        except BaseException:
            os.close(fd)
            raise

    def create(self, path: str) -> Draft:
        """Begin a file, making its parent folders (0700). An existing file is replaced when the draft is committed."""
        parts = check(path)
        with _told(path):
            folder = _walk(self._fd, parts[:-1], _FOLDER, make=True)
            try:
                with suppress(FileNotFoundError):
                    _refuse_odd(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False), path, links=True)
                return Draft(folder, parts[-1], path)
            except BaseException:
                os.close(folder)
                raise

    def entries(self, under: str = "") -> Iterator[Entry]:
        """Yield all files and folders beneath ``under``, each folder before its content, sorted by the parts of names.

        Links, devices, drafts and names that ``check`` refuses are left out: they could not be opened either.
        """
        waiting = self._content(check(under) if under else (), under)[::-1]
        while waiting:
            entry, parts = waiting.pop()
            yield entry
            if entry.is_dir:
                with suppress(Failed):  # removed meanwhile
                    waiting.extend(self._content(parts, entry.name)[::-1])

    def _content(self, parts: tuple[str, ...], shown: str) -> list[tuple[Entry, tuple[str, ...]]]:
        found = []
        with _told(shown):
            folder = _open(self._fd, parts, _FOLDER)
            try:
                for name in sorted(os.listdir(folder)):  # noqa: PTH208 - a handle
                    with suppress(Denied, Invalid, FileNotFoundError):
                        here = (*parts, name)
                        check("/".join(here))
                        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
                        if stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode):
                            found.append((_entry("/".join(here), about), here))
            finally:
                os.close(folder)
        return found

    def stat(self, path: str) -> Entry:
        """Return what is known of a regular file or folder."""
        return _entry(path, self._about(check(path), path))

    def _about(self, parts: tuple[str, ...], path: str) -> os.stat_result:
        with _told(path):
            fd = _open(self._fd, parts, _LOOK)
            try:
                about = os.fstat(fd)
            finally:
                os.close(fd)
        if not stat.S_ISDIR(about.st_mode):
            _refuse_odd(about, path, links=True)
        return about

    def exists(self, path: str) -> bool:
        """Tell whether there is a regular file or folder. A path that leads out is ``Denied``, not absent."""
        try:
            self.stat(path)
        except Failed as fault:
            if isinstance(fault.__cause__, FileNotFoundError | NotADirectoryError):
                return False
            raise
        return True

    def delete(self, path: str) -> None:
        """Remove a regular file or an empty folder."""
        parts = check(path)
        about = self._about(parts, path)
        with _told(path):
            folder = _open(self._fd, parts[:-1], _FOLDER)
            try:
                if stat.S_ISDIR(about.st_mode):
                    os.rmdir(parts[-1], dir_fd=folder)
                else:
                    os.unlink(parts[-1], dir_fd=folder)
                _sync(folder)
            finally:
                os.close(folder)

    def resolve(self, path: str) -> Path:
        """Return a real path for a driver that opens files itself; the file may be missing, its folder may not.

        Weaker than ``open``: it was checked to lie beneath the root, without links, when this returned; nothing holds
        it there until the driver opens it. Only for folders that nobody else can write to.
        """
        from pathlib import Path

        parts = check(path)
        real = os.path.join(self._real, *parts)  # noqa: PTH118 - a text path is wanted below
        try:
            about = self._about(parts, path)
            if not stat.S_ISDIR(about.st_mode):
                _refuse_odd(about, path)
        except Failed as fault:
            if not isinstance(fault.__cause__, FileNotFoundError):
                raise
        with _told(path):
            held = _open(self._fd, parts[:-1], _FOLDER)
            try:
                if not os.path.samestat(os.fstat(held), os.stat(os.path.dirname(real))):  # noqa: PTH116, PTH120 - the same
                    raise Denied(f"{path!r} is not where it was.", where=path)
            finally:
                os.close(held)
        return Path(real)

    def sub(self, name: str, create: bool = False) -> Root:
        """Return the root of a folder beneath this one; ``create`` makes it (0700). The caller closes both."""
        parts = check(name)
        root = object.__new__(Root)
        root._real = os.path.join(self._real, *parts)  # noqa: PTH118 - a text path is kept
        with _told(name):
            root._fd = _walk(self._fd, parts, _FOLDER, make=True) if create else _open(self._fd, parts, _FOLDER)
        return root

    def sweep(self) -> int:
        """Remove drafts whose writer is gone (their lock is free); return how many."""
        swept = 0
        for parts in [(), *(tuple(entry.name.split("/")) for entry in self.entries() if entry.is_dir)]:
            with _told("/".join(parts)):
                folder = _open(self._fd, parts, _FOLDER)
                try:
                    names = os.listdir(folder)  # noqa: PTH208 - a handle
                    swept += sum(_sweep(folder, name) for name in names if _DRAFT.fullmatch(name))
                finally:
                    os.close(folder)
        return swept

    def close(self) -> None:
        """Let go of the directory."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _entry(name: str, about: os.stat_result) -> Entry:
    is_dir = stat.S_ISDIR(about.st_mode)
    return Entry(name, is_dir, 0 if is_dir else about.st_size, about.st_mtime)


def _refuse_odd(about: os.stat_result, path: str, *, links: bool = False) -> None:
    if stat.S_ISLNK(about.st_mode):
        raise Denied(f"{path!r} leads through a link.", where=path, hint="Name the file itself.")
    if stat.S_ISDIR(about.st_mode):
        raise Failed(f"{path!r} is a folder.", where=path, hint="Name a file in it.")
    if not stat.S_ISREG(about.st_mode):
        raise Denied(f"{path!r} is not a regular file.", where=path)
    if about.st_nlink > 1 and not links:
        raise Denied(
            f"{path!r} has a second name (hard link), which may lie outside.", where=path, hint="Copy the file."
        )


def _sweep(folder: int, name: str) -> int:
    with suppress(FileNotFoundError):
        fd = os.open(name, _READ, dir_fd=folder)
        try:
            if _lock(fd) is True:
                os.unlink(name, dir_fd=folder)
                return 1
        finally:
            os.close(fd)
    return 0
