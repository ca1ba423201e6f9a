"""Files beneath one directory."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

from sluicegate.base.errors import Denied, Failed, Invalid
from sluicegate.kit.paths.beneath import FOLDER, LOOK, READ, open_beneath, open_linked, sync, told, walk
from sluicegate.kit.paths.draft import NAME, Draft, lock
from sluicegate.kit.paths.names import check, check_file, is_companion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Entry(NamedTuple):
    """One file or folder. ``name`` is relative to the root; ``modified`` in seconds since 1970."""

    name: str
    is_dir: bool
    bytes: int
    modified: float
    inode: int = 0
    """Tells a file from another that has taken its name."""


class Root:
    """Files beneath one directory, which may itself be reached through links. Every path is checked by ``check``.

    ``Denied``: the path leads out, through a link or to something that is not a regular file. A file with a second hard
    link is not read either: the other name may lie outside (SEC-F06). ``Failed`` names a missing file.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        """Hold ``folder``; ``create`` makes it (0700) and its parents. ``Failed`` when there is none."""
        shown = str(folder)
        with told(shown):
            if create:
                folder.mkdir(0o700, parents=True, exist_ok=True)
            self._real = os.path.realpath(folder)
            self._fd = self._hold(shown)

    def _hold(self, shown: str) -> int:
        try:
            return os.open(self._real, FOLDER)
        except (FileNotFoundError, NotADirectoryError) as fault:
            raise Failed(f"There is no folder {shown!r}.", where=shown) from fault

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading."""
        return self._open(check_file(path), path)

    def open_mounted(self, path: str) -> BinaryIO:
        """Open a regular file of a folder that the operator has mounted, in which links lead about (Kubernetes).

        None leads out, and the file belongs to this process or root, and nobody else can write to it: else ``Denied``.
        """
        with told(path):
            fd = open_linked(self._fd, check_file(path))
        try:
            about = os.fstat(fd)
            _refuse_odd(about, path)
            if about.st_uid not in (0, os.geteuid()) or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise Denied(f"Others can write to {path!r}.", where=path, hint="Let nobody but its owner do that.")
            return os.fdopen(fd, "rb")
        except BaseException:
            os.close(fd)
            raise

    def companion(self, path: str, suffix: str) -> BinaryIO | None:
        """Open what SQLite keeps beside the database ``path``, to look at it; ``None`` when there is none."""
        check_file(path)
        beside = path + suffix
        try:
            return self._open(check(beside), beside)
        except Failed as fault:
            if isinstance(fault.__cause__, FileNotFoundError):
                return None
            raise

    def _open(self, parts: tuple[str, ...], path: str) -> BinaryIO:
        with told(path):
            fd = open_beneath(self._fd, parts, READ)
        try:
            _refuse_odd(os.fstat(fd), path)
            return os.fdopen(fd, "rb")
        except BaseException:
            os.close(fd)
            raise

    def create(self, path: str) -> Draft:
        """Begin a file, making its parent folders (0700). An existing file is replaced when the draft is committed."""
        parts = check_file(path)
        with told(path):
            folder = walk(self._fd, parts[:-1], FOLDER, make=True)
            try:
                with suppress(FileNotFoundError):
                    _refuse_odd(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False), path, links=True)
                return Draft(folder, parts[-1], path)
            except BaseException:
                os.close(folder)
                raise

    def make(self, path: str) -> bool:
        """Make an empty file (0600) for a driver that opens files itself; False when there is one already."""
        parts = check_file(path)
        with told(path):
            folder = open_beneath(self._fd, parts[:-1], FOLDER)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(parts[-1], flags, 0o600, dir_fd=folder))
            except FileExistsError:
                return False
            finally:
                os.close(folder)
        return True

    def entries(self, under: str = "") -> Iterator[Entry]:
        """Yield all files and folders beneath ``under``, each folder before its content, sorted by the parts of names.

        Links, devices, drafts, journals and names that ``check`` refuses are left out: they could not be opened either.
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
        with told(shown):
            folder = open_beneath(self._fd, parts, FOLDER)
            try:
                for name in sorted(os.listdir(folder)):  # noqa: PTH208 - a handle
                    with suppress(Denied, Invalid, FileNotFoundError):
                        here = (*parts, name)
                        check("/".join(here))
                        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
                        if stat.S_ISDIR(about.st_mode) or (stat.S_ISREG(about.st_mode) and not is_companion(name)):
                            found.append((_entry("/".join(here), about), here))
            finally:
                os.close(folder)
        return found

    def stat(self, path: str) -> Entry:
        """Return what is known of a regular file or folder."""
        return _entry(path, self._about(check(path), path))

    def _about(self, parts: tuple[str, ...], path: str) -> os.stat_result:
        with told(path):
            fd = open_beneath(self._fd, parts, LOOK)
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
        with told(path):
            folder = open_beneath(self._fd, parts[:-1], FOLDER)
            try:
                if stat.S_ISDIR(about.st_mode):
                    os.rmdir(parts[-1], dir_fd=folder)
                else:
                    os.unlink(parts[-1], dir_fd=folder)
                sync(folder)
            finally:
                os.close(folder)

    def resolve(self, path: str) -> Path:
        """Return a real path for a driver that opens files itself; the file may be missing, its folder may not.

        Weaker than ``open``: it was checked to lie beneath the root, without links, when this returned; nothing holds
        it there until the driver opens it. Only for folders that nobody else can write to.
        """
        from pathlib import Path

        parts = check_file(path)
        real = os.path.join(self._real, *parts)  # noqa: PTH118 - a text path is wanted below
        try:
            about = self._about(parts, path)
            if not stat.S_ISDIR(about.st_mode):
                _refuse_odd(about, path)
        except Failed as fault:
            if not isinstance(fault.__cause__, FileNotFoundError):
                raise
        with told(path):
            held = open_beneath(self._fd, parts[:-1], FOLDER)
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
        with told(name):
            root._fd = walk(self._fd, parts, FOLDER, make=True) if create else open_beneath(self._fd, parts, FOLDER)
        return root

    def sweep(self) -> int:
        """Remove drafts whose writer is gone (their lock is free); return how many."""
        swept = 0
        for parts in [(), *(tuple(entry.name.split("/")) for entry in self.entries() if entry.is_dir)]:
            with told("/".join(parts)):
                folder = open_beneath(self._fd, parts, FOLDER)
                try:
                    names = os.listdir(folder)  # noqa: PTH208 - a handle
                    swept += sum(_sweep(folder, name) for name in names if NAME.fullmatch(name))
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
    return Entry(name, is_dir, 0 if is_dir else about.st_size, about.st_mtime, about.st_ino)


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
        fd = os.open(name, READ, dir_fd=folder)
        try:
            if lock(fd) is True:
                os.unlink(name, dir_fd=folder)
                return 1
        finally:
            os.close(fd)
    return 0
