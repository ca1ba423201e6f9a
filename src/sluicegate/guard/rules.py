"""From where one may come: lists of the installation, the tenant, the user and the key; and the tenant's other rules.

All lists that are not empty must hold the address. What the store says is kept in memory until a mark says that it
has changed, and for a minute at the most.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Invalid, Missing
from sluicegate.base.networks import Networks, networks, within
from sluicegate.base.principal import Principal, Role
from sluicegate.guard.tenancy import Bounds, Effective, policy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.base.principal import Peer
    from sluicegate.guard.audit import Audit
    from sluicegate.store.scope import System

KEPT: Final = 60.0
"""Seconds for which what was read is believed when no mark comes."""
KEPT_MAX: Final = 10_000
"""Tenants and users that are kept."""


class Rule(NamedTuple):
    """What a tenant's or a user's list says, and until when it is believed."""

    policy: Effective
    """What holds in a tenant."""
    networks: Networks
    until: float


class Rules:
    """The lists, as this node knows them. Safe to share between threads."""

    def __init__(
        self,
        system: System,
        audit: Audit,
        bounds: Bounds,
        everywhere: tuple[str, ...] = (),
        now: clock.Clock = clock.system,
    ) -> None:
        """``everywhere``: the installation's own list."""
        self._system, self._audit, self._now = system, audit, now
        self.bounds = bounds
        self._everywhere = networks(everywhere)
        self._kept: dict[str, Rule] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def forget(self, subject: str) -> None:
        """Read the rules of a tenant or user again when they are asked for next."""
        with self._lock:
            self._changes += 1  # who is reading now does not keep what he read
            self._kept.pop(subject, None)

    def policy(self, tenant: str) -> Effective:
        """Return what holds in a tenant, as this node knows it."""
        return self._rule(tenant, self._read_tenant).policy

    def fresh(self, tenant: str | None) -> Effective:
        """Return what holds in a tenant, or for those in none, as the store has it now."""
        if tenant is None:
            return self.bounds.base
        return self.bounds.effective(policy_of(self._system.tenants().get(tenant)))

    def refused_by(self, who: Principal | None, address: str, key: Networks = ()) -> str:
        """Return which list keeps somebody at ``address`` out: system, tenant, user or key; empty when none does.

        A SuperAdmin is held by the installation's list alone: somebody must be able to mend a tenant's.
        """
        if self._everywhere and not within(address, self._everywhere):
            return "system"
        if who is None or who.role is Role.SUPERADMIN:
            return ""
        if who.tenant and _outside(address, self._rule(who.tenant, self._read_tenant).networks):
            return "tenant"
        if _outside(address, self._rule(who.id, self._read_user).networks):
            return "user"
        return "key" if _outside(address, key) else ""

    def require(self, action: str, who: Principal | None, peer: Peer, key: Networks = ()) -> None:
        """Raise ``Denied``, on record, when a list keeps this caller out."""
        refused = self.refused_by(who, peer.address, key)
        if refused:
            self._audit.event(action, who, peer, "denied", {"list": refused})
            raise Denied(
                "This is not allowed from your address.",
                hint="Come from a network on the list, or ask an administrator of your tenant.",
            )

    def keep_in(self, who: Principal, peer: Peer, listed: tuple[str, ...]) -> None:
        """Raise ``Invalid`` when a new list would lock out the one who sets it."""
        if who.role is not Role.SUPERADMIN and _outside(peer.address, networks(listed)):
            raise Invalid(
                f"the list would lock you out: your address {peer.address} is not in it",
                where="addresses",
                hint="Add it, or a network that holds it.",
            )

    def _rule(self, subject: str, read: Callable[[str], tuple[Effective, tuple[str, ...]]]) -> Rule:
        found, now = self._kept.get(subject), self._now()
        if found is not None and found.until > now:
            return found
        before = self._changes
        policy, listed = read(subject)
        made = Rule(policy, networks(listed), now + KEPT)
        with self._lock:
            if before == self._changes:
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[subject] = made
        return made

    def _read_tenant(self, tenant: str) -> tuple[Effective, tuple[str, ...]]:
        found = self.fresh(tenant)
        return found, found.addresses

    def _read_user(self, user: str) -> tuple[Effective, tuple[str, ...]]:
        try:
            return self.bounds.base, self._system.accounts().get(user).addresses
        except Missing:
            return self.bounds.base, ()


def _outside(address: str, listed: Networks) -> bool:
    return bool(listed) and not within(address, listed)
