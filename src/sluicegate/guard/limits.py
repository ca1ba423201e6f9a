"""How often one may knock. Counted in memory, per process: the shipped perimeter counts over all nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.base.errors import Throttled

if TYPE_CHECKING:
    from limits.strategies import MovingWindowRateLimiter

    from sluicegate.base.principal import Peer


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates in the notation of the ``limits`` library."""

    address: str = "5000/second"
    """All requests of one address."""
    public: str = "60/minute"
    """Requests of one address that need no token: sign-in and its like."""
    failures: str = "300/minute"
    """Failed proofs of one address."""
    account: str = "10/minute"
    """Failed passwords for one account."""


class Limits:
    """Admits or refuses before any other work is done."""

    def __init__(self, rates: Rates) -> None:
        """Count from zero."""
        from limits import parse
        from limits.storage import MemoryStorage
        from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

        self._window: MovingWindowRateLimiter = MovingWindowRateLimiter(MemoryStorage())
        self._fixed = FixedWindowRateLimiter(MemoryStorage())
        self._address, self._public = parse(rates.address), parse(rates.public)
        self._failures, self._account = parse(rates.failures), parse(rates.account)

    def admit(self, peer: Peer, *, knocks: bool) -> None:
        """Count one request; ``knocks``: it tries a proof without a token. ``Throttled`` when there are too many."""
        if not self._fixed.hit(self._address, "address", peer.address):
            raise Throttled(after=1)
        if not self._window.test(self._failures, "failures", peer.address):
            raise Throttled(after=60)
        if knocks and not self._window.hit(self._public, "public", peer.address):
            raise Throttled(after=60)

    def failed(self, peer: Peer) -> None:
        """Count one failed proof."""
        self._window.hit(self._failures, "failures", peer.address)

    def account_admit(self, account: str) -> None:
        """Refuse when the account has seen too many wrong passwords lately."""
        if not self._window.test(self._account, "account", account):
            raise Throttled(after=60)

    def account_failed(self, account: str) -> None:
        """Count one wrong password."""
        self._window.hit(self._account, "account", account)
