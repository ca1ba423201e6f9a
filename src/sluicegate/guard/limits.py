"""How often one may knock. Counted in memory, per process: the shipped perimeter counts over all nodes."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Invalid, Throttled
from sluicegate.base.networks import site

if TYPE_CHECKING:
    from sluicegate.base.principal import Peer

ASKING_MAX: Final = 2
"""Tests, previews and listings that one tenant may have waiting at once; others have theirs meanwhile."""
SENDING_MAX: Final = 8
"""Downloads and streams of one user that may go on at once."""
KEYS_MAX: Final = 100_000
"""Addresses or accounts that one meter remembers; about 20 MB of them."""

FORGET: Final = 86400.0
"""Seconds after its last failure at which a key's failures are forgotten."""

_RATE = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True, slots=True)
class Rates:
    """How many, and in how long: ``60/minute``."""

    address: str = "5000/second"
    """All requests of one address; of IPv6, here and below, of one network of 64 bits."""
    public: str = "60/minute"
    """Requests of one address that need no token: sign-in and its like."""
    failures: str = "300/minute"
    """Failed proofs of one address."""
    account: str = "10/minute"
    """Failed passwords of somebody who has signed in, and tries of the first start's code."""
    guesses: str = "30/minute"
    """Failed passwords of one address, whatever the account, from devices not seen before."""
    tenant: str = "120/minute"
    """Failed passwords in one tenant, from devices and addresses not seen before."""
    everybody: str = "300/minute"
    """Failed passwords in all, from devices and addresses not seen before."""


def read_rate(rate: str) -> tuple[int, float]:
    """Return how many, and in how many seconds. Raises ``Invalid`` when it is no rate."""
    found = _RATE.fullmatch(rate)
    if found is None:
        raise Invalid(f"{rate[:64]!r} is not a rate", hint="Such as 60/minute; second, minute, hour or day.")
    return int(found[1]), _PERIODS[found[2]]


class Meter:
    """Counts by key with the generic cell rate algorithm (ITU-T I.371): one number a key, no thread, no window.

    ``count`` at once, then one each ``period / count`` seconds.
    """

    def __init__(self, rate: str, now: clock.Clock = clock.system) -> None:
        """Read ``rate``. Raises ``Invalid`` when it is not one."""
        count, self.period = read_rate(rate)
        self._step = self.period / count
        self._now = now
        self._full: dict[str, float] = {}  # when what was counted will all be forgotten again, by key
        self._lock = threading.Lock()

    def count(self, key: str, cost: int = 1) -> bool:
        """Count one, or what it weighs; ``False``, and nothing is counted, when there have been too many."""
        now = self._now()
        with self._lock:
            full = max(self._full.get(key, now), now) + self._step * cost
            if full - now > self.period + 1e-6:
                return False
            if key not in self._full and len(self._full) >= KEYS_MAX:
                self._forget(now)
            self._full[key] = full
            return True

    def room(self, key: str) -> bool:
        """Tell whether one more would be counted."""
        now = self._now()
        return max(self._full.get(key, now), now) + self._step - now <= self.period + 1e-6

    def wait(self, key: str, cost: int = 1) -> float:
        """Return the seconds until ``cost`` more would be counted; 0 when they would be now."""
        now = self._now()
        left = max(self._full.get(key, now), now) + self._step * cost - now - self.period
        return left if left > 1e-6 else 0.0  # noqa: PLR2004 - as in ``count``

    def give_back(self, key: str) -> None:
        """Take one that was counted back."""
        with self._lock:
            if key in self._full:
                self._full[key] -= self._step

    def _forget(self, now: float) -> None:
        """Make room: drop what is over, and when all are in use the half that is over first."""
        kept = {key: full for key, full in self._full.items() if full > now}
        if len(kept) >= KEYS_MAX:
            kept = dict(sorted(kept.items(), key=lambda each: each[1])[KEYS_MAX // 2 :])
        self._full = kept


class Backoff:
    """Makes each failure after the first few cost twice the wait of the one before, by key.

    A wait has an end (``longest``), so nobody is locked out for good; a day without a failure forgets them all.
    """

    def __init__(self, free: int, longest: float = 900.0, now: clock.Clock = clock.system) -> None:
        """Let ``free`` failures pass without a wait."""
        self._free, self._longest, self._now = free, longest, now
        self._seen: dict[str, tuple[int, float, float]] = {}  # failures, next try from, last failure at
        self._lock = threading.Lock()

    def wait(self, key: str) -> float:
        """Return the seconds until another try is taken; 0 when it is now."""
        _, until, at = self._seen.get(key, (0, 0.0, 0.0))
        now = self._now()
        return max(0.0, until - now) if now - at < FORGET else 0.0

    def count(self, key: str) -> None:
        """Count one failure."""
        now = self._now()
        with self._lock:
            failures, _, at = self._seen.get(key, (0, 0.0, 0.0))
            failures = failures + 1 if now - at < FORGET else 1
            if key not in self._seen and len(self._seen) >= KEYS_MAX:
                self._forget(now)
            self._seen[key] = failures, now + self._delay(failures), now

    def give_back(self, key: str) -> None:
        """Take one failure back: it was none."""
        now = self._now()
        with self._lock:
            failures, _, at = self._seen.get(key, (0, 0.0, 0.0))
            if failures > 1:
                self._seen[key] = failures - 1, now, at
            else:
                self._seen.pop(key, None)

    def clear(self, key: str) -> None:
        """Forget all failures of a key."""
        with self._lock:
            self._seen.pop(key, None)

    def _delay(self, failures: int) -> float:
        over = failures - self._free
        return 0.0 if over < 0 else min(self._longest, 2.0 ** min(over, 32))

    def _forget(self, now: float) -> None:
        """Make room: drop what is forgotten anyway, and when all are in use the half with the fewest failures."""
        kept = {key: each for key, each in self._seen.items() if now - each[2] < FORGET}
        if len(kept) >= KEYS_MAX:
            kept = dict(sorted(kept.items(), key=lambda each: each[1])[KEYS_MAX // 2 :])
        self._seen = kept


class Limits:
    """Admits or refuses before any other work is done."""

    def __init__(self, rates: Rates, now: clock.Clock = clock.system) -> None:
        """Count from zero. Raises ``Invalid`` for a rate that is none."""
        self.rates = rates
        self._address, self._public = Meter(rates.address, now), Meter(rates.public, now)
        self._failures, self._account = Meter(rates.failures, now), Meter(rates.account, now)
        self._asking: dict[str, int] = {}
        self._sending: dict[str, int] = {}
        self._lock = threading.Lock()

    def admit(self, peer: Peer, *, knocks: bool) -> None:
        """Count one request; ``knocks``: it tries a proof without a token. ``Throttled`` when there are too many."""
        place = site(peer.address)
        if not self._address.count(place):
            raise Throttled(after=self._address.wait(place))
        if not self._failures.room(place):
            raise Throttled(after=self._failures.wait(place))
        if knocks and not self._public.count(place):
            raise Throttled(after=self._public.wait(place))

    @contextmanager
    def asking(self, tenant: str) -> Iterator[None]:
        """Count what a tenant has waiting. Raises ``Throttled`` when that is too much, and does not wait."""
        with self._few(
            self._asking, tenant, ASKING_MAX, "Your tenant has as many tests and previews at once as it may."
        ):
            yield

    @contextmanager
    def sending(self, user: str) -> Iterator[None]:
        """Count the downloads and streams of a user. Raises ``Throttled`` when that is too much."""
        with self._few(self._sending, user, SENDING_MAX, "You have as many downloads and streams at once as you may."):
            yield

    @contextmanager
    def _few(self, there: dict[str, int], key: str, most: int, why: str) -> Iterator[None]:
        with self._lock:
            if there.get(key, 0) >= most:
                raise Throttled(why, after=2)
            there[key] = there.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                there[key] -= 1
                if not there[key]:
                    del there[key]

    def failed(self, peer: Peer) -> None:
        """Count one failed proof."""
        self._failures.count(site(peer.address))

    @contextmanager
    def trying(self, account: str) -> Iterator[None]:
        """Count one try before what is given is looked at: many at once gain nothing. Take it back when it was right.

        It was right when nothing is raised. Raises ``Throttled`` when the account has seen too many wrong ones lately.
        """
        if not self._account.count(account):
            raise Throttled(after=self._account.wait(account))
        yield
        self._account.give_back(account)
