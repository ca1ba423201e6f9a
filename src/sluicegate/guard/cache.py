"""Secrets that were fetched, for a minute at the most, in memory alone; whoever asks at once shares one fetch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import TYPE_CHECKING, Final, NamedTuple

from sluicegate.base.errors import Internal, SluiceError, Unreachable, rebuild

if TYPE_CHECKING:
    from sluicegate.base.secret import Secret

PATIENCE: Final = 30.0
"""Seconds that somebody waits for a fetch which another has begun."""
ENTRIES: Final = 1024
"""Secrets that are held at once; with one more, the oldest is dropped."""


class _Held(NamedTuple):
    value: Secret
    until: float


class Cache:
    """Holds values by key. A failure is never held, and nothing is given out, or kept, past its time."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """Hold each for ``seconds`` from when it was asked for; nothing when that is 0."""
        self._seconds, self._now = seconds, now
        self._held: dict[Hashable, _Held] = {}
        self._flights: dict[Hashable, Future[Secret]] = {}
        self._changed = threading.Condition()
        self._sweeper: threading.Thread | None = None

    def get(self, key: Hashable, fetch: Callable[[], Secret]) -> Secret:
        """Return what is held under ``key``, else what ``fetch`` gives. Raises what it raises."""
        with self._changed:
            held = self._held.get(key)
            if held is not None and self._now() < held.until:
                return held.value
            flight = self._flights.get(key)
            if flight is None:
                mine: Future[Secret] = Future()
                self._flights[key] = mine
        if flight is not None:
            return _follow(flight)
        return self._lead(key, mine, fetch)

    def clear(self) -> None:
        """Drop everything."""
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._held)

    def _lead(self, key: Hashable, flight: Future[Secret], fetch: Callable[[], Secret]) -> Secret:
        began = self._now()
        try:
            value = fetch()
        except BaseException as fault:
            with self._changed:
                del self._flights[key]
            flight.set_exception(_copy(fault))
            raise
        with self._changed:
            del self._flights[key]
            if self._seconds > 0:
                self._hold(key, _Held(value, began + self._seconds))
        flight.set_result(value)
        return value

    def _hold(self, key: Hashable, held: _Held) -> None:
        self._held.pop(key, None)
        while len(self._held) >= ENTRIES:
            del self._held[next(iter(self._held))]
        self._held[key] = held
        if self._sweeper is None:
            self._sweeper = threading.Thread(target=self._sweep, name="secrets-cache", daemon=True)
            self._sweeper.start()

    def _sweep(self) -> None:
        """Drop what is past its time, at that time; end when nothing is held."""
        with self._changed:
            while self._held:
                now = self._now()
                for key in [key for key, each in self._held.items() if each.until <= now]:
                    del self._held[key]
                if self._held:
                    self._changed.wait(max(min(each.until for each in self._held.values()) - now, 0.001))
            self._sweeper = None


def _copy(fault: BaseException) -> SluiceError:
    """Return what others hear of a fault. Whoever asked first puts a name and a place into their own."""
    return rebuild(fault.problem()) if isinstance(fault, SluiceError) else Internal()


def _follow(flight: Future[Secret]) -> Secret:
    try:
        return flight.result(PATIENCE)
    except SluiceError as fault:
        raise _copy(fault) from None
    except Late:
        raise Unreachable("It does not answer in time.", hint="Check the network and firewalls.") from None
