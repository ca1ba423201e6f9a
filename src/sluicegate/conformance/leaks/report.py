"""Where was looked, and what was found there: files, answers, and what the kernel tells of processes."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from sluicegate.conformance.leaks.search import Hit, Searcher

NONE: frozenset[str] = frozenset()


class Report:
    """What a search has come to so far."""

    def __init__(self, searcher: Searcher) -> None:
        """Nothing has been looked at yet."""
        self._searcher = searcher
        self.counts = {"files": 0, "answers": 0, "processes": 0, "environments": 0, "environments_refused": 0}
        self.hits: list[dict[str, Any]] = []
        """Name of the secret, form and place of each; never what was found."""
        self.unread: list[str] = []
        """What is there and could not be looked at."""
        self._processes: set[int] = set()
        self._environments: set[int] = set()
        self._refused: set[int] = set()
        self._seen: set[tuple[int, bytes]] = set()

    @property
    def ok(self) -> bool:
        """Whether nothing was found, and nothing was left out."""
        return not self.hits and not self.unread

    def body(self) -> dict[str, Any]:
        """Return all of it."""
        told = {**self.counts, "bytes": self._searcher.bytes, "patterns": self._searcher.patterns}
        return {"ok": self.ok, "searched": told, "hits": self.hits, "unread": self.unread}

    def folder(self, folder: Path, apart: Mapping[Path, Collection[str]], since: float = 0.0) -> None:
        """Look at all files beneath ``folder`` that were written since then.

        ``apart`` names what may lie in a file, or in all files beneath a folder.
        """
        for file in files(folder, since):
            allowed = [names for place, names in apart.items() if file == place or place in file.parents]
            self.file(file, frozenset().union(*allowed))

    def file(self, file: Path, but: Collection[str] = NONE) -> None:
        """Look at one file, but for the names in ``but``. One that has gone meanwhile was none."""
        try:
            number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(number, "rb") as data:
                self._take(self._searcher.stream(data), str(file), but)
        except FileNotFoundError:
            return
        except OSError as fault:
            self.unread.append(f"{file}: {fault.strerror}")
            return
        self.counts["files"] += 1

    def answer(self, place: str, told: str, but: Collection[str] = NONE) -> None:
        """Look at what somebody was told."""
        self._take(iter(self._searcher.text(told)), place, but)
        self.counts["answers"] += 1

    def processes(self, variables: Collection[str] = NONE) -> None:
        """Look at the arguments of every process, and at the environments that the kernel lets us read.

        ``variables``: names of what is given by a variable, so that environments may hold it.

        It lets nobody but root read those of processes that are not dumpable, such as the tasks of runs (prctl(2),
        PR_SET_DUMPABLE): they are counted apart, for nobody has searched them.
        """
        for pid in (int(each.name) for each in Path("/proc").glob("[0-9]*")):
            for what, read in (("cmdline", self._processes), ("environ", self._environments)):
                try:
                    told = Path("/proc", str(pid), what).read_bytes()
                except PermissionError:
                    self._refused.add(pid)
                    continue
                except OSError:  # it has ended
                    continue
                read.add(pid)
                if (pid, told) not in self._seen:
                    self._seen.add((pid, told))
                    self._take(
                        self._searcher.chunk(told), f"process {pid}, {what}", variables if what == "environ" else NONE
                    )
        self.counts["processes"] = len(self._processes)
        self.counts["environments"] = len(self._environments)
        self.counts["environments_refused"] = len(self._refused - self._environments)

    def _take(self, hits: Iterator[Hit], place: str, but: Collection[str]) -> None:
        for hit in hits:
            told = {"secret": hit.secret, "form": hit.form, "place": place}
            if hit.secret not in but and told not in self.hits:
                self.hits.append(told)


def files(folder: Path, since: float = 0.0) -> Iterator[Path]:
    """Yield the regular files beneath a folder that were written since then; links and devices are left out."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(place, name)
            try:
                about = file.lstat()
            except OSError:
                continue
            if stat.S_ISREG(about.st_mode) and about.st_mtime >= since:
                yield file
