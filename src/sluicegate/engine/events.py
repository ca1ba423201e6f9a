"""Wakes those who wait for news of a run. In memory: other nodes' news comes by the next look into the store."""

from __future__ import annotations

import asyncio
import threading

_OTHER_NODES = 1.0


class Events:
    """Waiters by run."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waiting: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._lock = threading.Lock()

    def wake(self, run: str) -> None:
        """There is news of ``run``; called from any thread."""
        with self._lock:
            waiting = list(self._waiting.get(run, ()))
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def wake_all(self) -> None:
        """Have all who wait look whether they still may; called from any thread."""
        with self._lock:
            runs = list(self._waiting)
        for run in runs:
            self.wake(run)

    async def wait(self, run: str, seconds: float) -> None:
        """Return when there is news of ``run``, or after ``seconds``."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.setdefault(run, set()).add(mine)
        try:
            await asyncio.wait_for(mine[1].wait(), min(seconds, _OTHER_NODES))
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiting[run].discard(mine)
                if not self._waiting[run]:
                    del self._waiting[run]
