"""One process serves a home that holds its own store: two would each carry out the same runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluicegate.base.errors import Conflict

FILE = "lock"


@contextmanager
def claim(home: Path) -> Iterator[None]:
    """Hold ``home`` for this process; ``Conflict`` names the one that holds it already.

    The kernel lets go when the process ends, however it ends; the file stays.
    """
    handle = os.open(home / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            raise Conflict(
                f"another sluice serve uses this home (pid {holder if holder.isdecimal() else 'unknown'})",
                where=str(home),
                hint="Stop it first, or give this one a home of its own: SLUICE_HOME.",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
