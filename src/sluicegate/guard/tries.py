"""Guessing passwords is slowed by account, address, tenant and in all, and no stranger locks anybody out (SEC-A06).

A try is counted as a failure before the password is looked at, and taken back when it was right: many at once gain
nothing. Who signs in from a device that has done so before has a lane of their own, which others' failures do not
touch; so has each address. What nobody has seen before shares what the account, the tenant and all of us have.
Whether an account exists changes nothing here.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Throttled
from sluicegate.base.networks import site
from sluicegate.guard.limits import Backoff, Meter, Rates

if TYPE_CHECKING:
    from collections.abc import Sequence

NEAR: Final = 5
"""Failures of one address (or known device) at one account before waiting begins."""
FAR: Final = 20
"""Failures of all strangers together at one account before waiting begins."""


@dataclass(frozen=True, slots=True)
class Known:
    """What of a try has been seen before at this account."""

    device: bool = False
    """The client's key has signed in before."""
    address: bool = False
    """Somebody has signed in from this address before."""


class Try:
    """One try, counted as a failure until it is taken back."""

    def __init__(self, near: tuple[Backoff, str], shared: Sequence[tuple[Backoff | Meter, str]]) -> None:
        self._near, self._shared = near, shared

    def worked(self) -> None:
        """Take it back: the password was right."""
        lane, key = self._near
        lane.clear(key)
        for each, shared in self._shared:
            each.give_back(shared)


class Tries:
    """Counts tries to sign in. In memory, per process, and bounded like every meter."""

    def __init__(self, rates: Rates, now: clock.Clock = clock.system) -> None:
        """Count from zero."""
        self._near, self._far = Backoff(NEAR, now=now), Backoff(FAR, now=now)
        self._address, self._tenant = Meter(rates.guesses, now), Meter(rates.tenant, now)
        self._everybody = Meter(rates.everybody, now)
        self._lock = threading.Lock()

    def begin(self, account: str, tenant: str, address: str, device: str, known: Known) -> Try:
        """Count one try. Raises ``Throttled`` with the seconds to wait, and counts nothing then."""
        account, address = account.strip().casefold(), site(address)
        near = (self._near, _key(account, "device", device) if known.device else _key(account, "address", address))
        shared: list[tuple[Backoff | Meter, str]] = []
        if not known.device:
            shared.append((self._address, _key(address)))
            if not known.address:
                shared += [(self._far, _key(account)), (self._tenant, _key(tenant)), (self._everybody, "")]
        with self._lock:
            wait = max(each.wait(key) for each, key in (near, *shared))
            if wait > 0:
                raise Throttled("Too many tries to sign in.", after=wait)
            for each, key in (near, *shared):
                each.count(key)
        return Try(near, shared)


def _key(*parts: str) -> str:
    """Return a short key for texts of any length: they come from strangers."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
