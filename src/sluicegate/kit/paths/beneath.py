"""Opening beneath a directory handle, through no link.

Linux's ``openat2`` with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS (openat2(2)) does the walk; where it is missing,
each component is opened with ``O_NOFOLLOW`` from its parent's handle.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sluicegate.base.errors import Denied, Failed, Invalid, MissingFile, NoSpace, SluiceError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a fifo must not block the open


_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08  # linux/openat2.h


def _openat2(top: int, path: str, flags: int, resolve: int = _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH) -> int:
    """Open ``path`` beneath ``top`` in one system call; ``OSError`` ENOSYS where there is none."""
    import ctypes

    if os.uname().machine not in ("x86_64", "aarch64"):
        raise OSError(errno.ENOSYS, "openat2")
    how = (ctypes.c_uint64 * 3)(flags, 0, resolve)
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


def walk(top: int, parts: tuple[str, ...], flags: int, *, make: bool = False) -> int:
    """Open ``parts`` one by one, each from its parent's handle. With ``make``, missing folders are made (0700)."""
    here = os.dup(top)
    try:
        for position, part in enumerate(parts, 1):
            wanted = flags if position == len(parts) else FOLDER
            try:
                beneath = _step(here, part, wanted)
            except FileNotFoundError:
                if not make:
                    raise
                with suppress(FileExistsError):  # made by another at the same moment: just as good
                    os.mkdir(part, 0o700, dir_fd=here)
                sync(here)
                beneath = _step(here, part, wanted)
            os.close(here)
            here = beneath
    except BaseException:
        os.close(here)
        raise
    return here


def open_beneath(top: int, parts: tuple[str, ...], flags: int) -> int:
    """Open ``parts`` beneath the directory handle ``top`` (itself when there are none). Raises ``OSError``."""
    if not parts:
        return os.open(".", flags, dir_fd=top)
    try:
        return _openat2(top, "/".join(parts), flags)
    except OSError as fault:
        # EPERM: seccomp filters older than the call say so. ENOTDIR: the walk tells a link from a file. The walk is as
        # strict, so trying it opens nothing more.
        if fault.errno not in (errno.ENOSYS, errno.EPERM, errno.ENOTDIR):
            raise
    return walk(top, parts, flags)


def open_linked(top: int, parts: tuple[str, ...]) -> int:
    """Open a file beneath ``top`` for reading, through links that lead beneath ``top`` too. Raises ``OSError``.

    Only ``openat2`` can do that; where it is missing nothing is opened.
    """
    return _openat2(top, "/".join(parts), READ & ~os.O_NOFOLLOW, _NO_MAGICLINKS | _BENEATH)


def sync(folder: int) -> None:
    """Write a folder's entries to disk, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as fault:
        if fault.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems keep no folders to sync
            raise


def _error(fault: OSError, path: str) -> SluiceError:
    match fault.errno:
        case errno.ENOENT:
            return MissingFile(f"There is no file {path!r}.", where=path, hint="Check the name and its case.")
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
def told(path: str) -> Iterator[None]:
    """Turn an ``OSError`` into the error that a person reads; ``path`` is how it was named."""
    try:
        yield
    except OSError as fault:
        raise _error(fault, path) from fault
