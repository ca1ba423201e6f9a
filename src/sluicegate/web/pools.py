"""The threads behind the gate: few, by what they may be held up by, so that nothing waits for another kind."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sluicegate.base.errors import Throttled
from sluicegate.guard.operation import Operation

_T = TypeVar("_T")
_NICE = 5
"""Hashing gets a third of others' share when there is not enough for all. No less: sign-ins go on beside busy runs."""


class Pool:
    """A few threads behind the gate, and a queue before them that is not endless."""

    def __init__(self, name: str, threads: int, waiting: int, nice: int = 0) -> None:
        """Take at most ``waiting`` calls at once, those at work included; ``nice``: how far its threads stand back."""
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix=f"gate-{name}", initializer=_stand_back, initargs=(nice,)
        )
        self._count, self._waiting = threads, waiting
        self._there = 0
        self._usual = 0.0  # seconds that one call takes, of late

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what ``work`` does in a thread. Raises ``Throttled`` when too many are there; for one event loop."""
        if self._there >= self._waiting:
            raise Throttled("Too many requests at once.", after=self._there * self._usual / self._count)
        self._there += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._timed, work)
        finally:
            self._there -= 1

    def _timed(self, work: Callable[[], _T]) -> _T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._usual += (time.perf_counter() - began - self._usual) / 16


def _stand_back(nice: int) -> None:
    """Have this thread, not the process, give way to others when the processors are busy (``setpriority(2)``)."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + nice)


class Pools:
    """Threads by what they may be held up by: none waits for another kind.

    Few for quick reads, since Python runs one at a time; few for what hashes a password, since each takes a hash's
    memory (SEC-A02), and who waits for these is told to come back rather than kept; some for what asks a task; some
    for what asks another system; few in which it is seen who knocks; some for the rest. Hashing takes whole processors
    for a while, so it stands back: others go on while two hundred sign in (``benchmarks/logins.py``).
    """

    def __init__(self, threads: int) -> None:
        """``threads``: for what changes something."""
        self._reads = Pool("read", 2, 1024)
        self._hashes = Pool("hash", 2, 32, _NICE)
        self._doors = Pool("door", 2, 1024)
        self._asks = Pool("ask", 8, 16)
        self._abroad = Pool("abroad", 16, 256)
        self._rest = Pool("work", threads, 256)

    def door(self, operation: Operation) -> Pool:
        """Return the threads in which it is seen who asks: quick, so it waits for no password's hash."""
        return self._doors if operation.hashes or operation.abroad else self.of(operation)

    def of(self, operation: Operation) -> Pool:
        """Return the threads an operation runs in."""
        if operation.hashes:
            return self._hashes
        if operation.asks:
            return self._asks
        if operation.abroad:
            return self._abroad
        if operation.http.method == "GET" and not operation.audited:
            return self._reads
        return self._rest
