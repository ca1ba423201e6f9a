"""How much one may ask who is known: by key, user, kind of work and tenant, weighed by what it costs.

The narrowest is counted first, so that what one key or user is refused is not taken from the others of the tenant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Via
from sluicegate.guard.limits import Meter

if TYPE_CHECKING:
    from sluicegate.base.principal import Principal
    from sluicegate.guard.operation import Operation

COSTS: Final = {"read": 1, "change": 2, "ask": 10}
"""What one call of each kind weighs: plain reads, changes, and what a task process is asked."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How much, and in how long."""

    tenant: str = "8000/second"
    """All of one tenant."""
    user: str = "4000/second"
    """One user."""
    key: str = "2000/second"
    """One API key."""
    changes: str = "1000/second"
    """Changes of one user."""
    asks: str = "6000/minute"
    """Tests, listings and previews of one user."""


class Quotas:
    """Counts in memory, per process, as ``Limits`` does."""

    def __init__(self, shares: Shares, now: clock.Clock = clock.system) -> None:
        """Count from zero. Raises ``Invalid`` for a rate that is none."""
        self._tenant, self._user, self._key = Meter(shares.tenant, now), Meter(shares.user, now), Meter(shares.key, now)
        self._kinds = {"change": Meter(shares.changes, now), "ask": Meter(shares.asks, now)}

    def admit(self, who: Principal, operation: Operation) -> None:
        """Count one call. Raises ``Throttled``, which says when there is room again."""
        kind = "ask" if operation.asks else "change" if operation.changes else "read"
        cost = COSTS[kind]
        meters = [(self._user, who.id), (self._tenant, who.tenant or "")]
        if kind in self._kinds:
            meters.insert(0, (self._kinds[kind], who.id))
        if who.via is Via.KEY:
            meters.insert(0, (self._key, who.grant))
        for meter, subject in meters:
            if not meter.count(subject, cost):
                raise Throttled(after=max(1, math.ceil(meter.wait(subject, cost))))
