"""How much one may ask who is known: by key, user, kind of work and tenant, weighed by what it costs.

The narrowest is counted first, so that what one key or user is refused is not taken from the others of the tenant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Role, Via
from sluicegate.guard.limits import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.base.principal import Principal
    from sluicegate.guard.operation import Operation

COSTS: Final = {"read": 1, "change": 2, "ask": 10}
"""What one call of each kind weighs: plain reads, changes, and what a task process is asked."""

SHARES_MAX: Final = 1000
"""Shares of their own that tenants may have between them; more begin to count anew."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How much, and in how long."""

    tenant: str = "8000/second"
    """All of one tenant."""
    user: str = "4000/second"
    """One user."""
    key: str = "2000/second"
    """One API key."""
    route: str = "2000/second"
    """One operation, asked by one user."""
    changes: str = "1000/second"
    """Changes of one user."""
    asks: str = "6000/minute"
    """Tests, listings and previews of one user."""


class Quotas:
    """Counts in memory, per process, as ``Limits`` does."""

    def __init__(
        self, shares: Shares, now: clock.Clock = clock.system, own: Callable[[str], str] | None = None
    ) -> None:
        """Count from zero; ``own`` gives each tenant's share. Raises ``Invalid`` for a rate that is none."""
        self._user, self._key, self._route = Meter(shares.user, now), Meter(shares.key, now), Meter(shares.route, now)
        self._share, self._own, self._now = shares.tenant, own, now
        self._tenants = {shares.tenant: Meter(shares.tenant, now)}
        self._kinds = {"change": Meter(shares.changes, now), "ask": Meter(shares.asks, now)}

    def admit(self, who: Principal, operation: Operation) -> None:
        """Count one call. Raises ``Throttled``, which says when there is room again."""
        kind = "ask" if operation.asks else "change" if operation.changes else "read"
        cost = COSTS[kind]
        meters = [
            (self._route, f"{who.id} {operation.name}"),
            (self._user, who.id),
            (self._meter(who), who.tenant or ""),
        ]
        if kind in self._kinds:
            meters.insert(0, (self._kinds[kind], who.id))
        if who.via is Via.KEY:
            meters.insert(0, (self._key, who.grant))
        for meter, subject in meters:
            if not meter.count(subject, cost):
                raise Throttled(after=max(1, math.ceil(meter.wait(subject, cost))))

    def _meter(self, who: Principal) -> Meter:
        """Return what counts a tenant: one meter for all tenants that have the same share.

        Not even a policy that cannot be read keeps a SuperAdmin out, who is to mend it.
        """
        own = self._own is not None and who.tenant and who.role is not Role.SUPERADMIN
        share = self._own(who.tenant) if own else self._share  # type: ignore[misc, arg-type]  # as ``own`` says
        found = self._tenants.get(share)
        if found is None:
            if len(self._tenants) >= SHARES_MAX:
                self._tenants = {self._share: self._tenants[self._share]}
            found = self._tenants.setdefault(share, Meter(share, self._now))
        return found
