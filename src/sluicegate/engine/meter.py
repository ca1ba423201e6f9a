"""Counts what moves, for people who watch: rows, bytes, percent, rate, memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

Report = Callable[[str, dict[str, Any]], None]
"""Takes ``(kind, body)``: one event of a run. A ``watermark`` has been kept for good when it returns."""

_EVERY = 0.25


@dataclass
class Count:
    """One step's count."""

    rows: int = 0
    bytes: int = 0
    total_bytes: int | None = None
    rejected: int = 0


class Meter:
    """All counts of one segment; reports them four times a second from a thread of its own."""

    def __init__(self, report: Report) -> None:
        """Report to ``report``."""
        self._report = report
        self._steps: dict[str, Count] = {}
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self.peak = 0
        """Most memory of this process and its children together, in bytes (PSS)."""

    def step(self, name: str) -> Count:
        """Return the count of a step."""
        return self._steps.setdefault(name, Count())

    def __enter__(self) -> Self:
        """Begin to report."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Report once more and stop."""
        self._over.set()
        self._thread.join()
        self._tell()

    def body(self) -> dict[str, Any]:
        """Return the counts as an event body."""
        seconds = max(time.monotonic() - self._began, 1e-6)
        steps = {name: vars(each).copy() for name, each in self._steps.items()}
        known = [each for each in self._steps.values() if each.total_bytes]
        percent = round(100 * sum(min(each.bytes, each.total_bytes or 0) for each in known) / sum(each.total_bytes or 0 for each in known), 1) if known else None  # fmt: skip  # noqa: E501
        rows = max((each.rows for each in self._steps.values()), default=0)
        return {
            "steps": steps,
            "percent": percent,
            "rate": round(rows / seconds),
            "peak": self.peak,
            "seconds": round(seconds, 3),
        }

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            self._tell()

    def _tell(self) -> None:
        self.peak = max(self.peak, memory(os.getpid()))
        self._report("progress", self.body())


def memory(pid: int) -> int:
    """Return the memory of a process and all its descendants, in bytes: PSS, or RSS where PSS may not be read."""
    total = 0
    for one in (pid, *_children(pid)):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration, ValueError):
            try:
                total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:
                continue
    return total


def _children(pid: int) -> list[int]:
    found = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    except OSError:
        return found
    return found


class Counted:
    """A file that counts the bytes read from it."""

    def __init__(self, inner: BinaryIO, count: Count) -> None:
        """Count into ``count``."""
        self._inner = inner
        self._count = count

    def read(self, size: int = -1) -> bytes:
        """Read and count."""
        part = self._inner.read(size)
        self._count.bytes += len(part)
        return part

    def readinto(self, buffer: Any) -> int:
        """Read and count."""
        size: int = self._inner.readinto(buffer)  # type: ignore[attr-defined]
        self._count.bytes += size
        return size

    def readable(self) -> bool:
        """Say yes."""
        return True

    def __getattr__(self, name: str) -> Any:
        """Everything else is the file's own."""
        return getattr(self._inner, name)
