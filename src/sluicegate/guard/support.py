"""Support access: whether a tenant lets a SuperAdmin see what is the tenant's alone, now.

A tenant's Administrator gives it, for a reason and a time. It is looked at with each request, and once more before an
answer is handed out; what the store says is kept in memory until a mark says that it has changed, and for a minute at
the most.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Invalid, Missing
from sluicegate.base.model import new_id
from sluicegate.base.principal import Principal, Role
from sluicegate.guard import policy

if TYPE_CHECKING:
    from sluicegate.base.permission import Permission
    from sluicegate.guard.rules import Rules
    from sluicegate.store.people import User
    from sluicegate.store.scope import Scope, System
    from sluicegate.store.support import Access

KEPT: Final = 60.0
"""Seconds for which what was read is believed when no mark comes."""
KEPT_MAX: Final = 10_000
"""Tenants that are kept."""
USUAL: Final = 4
"""Hours that an access lasts when its giver says nothing."""
_HOUR: Final = 3600.0


class _Held(NamedTuple):
    """The accesses of a tenant, and until when they are believed."""

    accesses: tuple[Access, ...]
    until: float


class Support:
    """Gives support access, and says who has one. Safe to share between threads."""

    def __init__(self, system: System, rules: Rules, now: clock.Clock = clock.system) -> None:
        """Know nothing yet."""
        self._system, self._rules, self._now = system, rules, now
        self._kept: dict[str, _Held] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def forget(self, tenant: str) -> None:
        """Read a tenant's accesses again when they are asked for next."""
        with self._lock:
            self._changes += 1  # who is reading now does not keep what he read
            self._kept.pop(tenant, None)

    def lend(self, who: Principal) -> Principal:
        """Return a SuperAdmin with what the tenant they are in lends them now; everybody else as they are."""
        if who.role is not Role.SUPERADMIN or not who.tenant:
            return who
        now = self._now()
        mine = [each for each in self._of(who.tenant) if each.user in (None, who.id) and each.holds(now)]
        if not mine:
            return replace(who, support="", lent=frozenset())
        lent = policy.LENDABLE.intersection(chain.from_iterable(each.scopes for each in mine))
        return replace(who, support=mine[-1].id, lent=lent)

    def require(self, who: Principal) -> None:
        """Raise ``Denied`` when what was lent to somebody is not lent any more."""
        if who.support and not who.lent <= self.lend(who).lent:
            raise Denied("The support access has ended.", hint="Ask an administrator of the tenant for another.")

    def grant(
        self, scope: Scope, email: str | None, scopes: frozenset[Permission], reason: str, hours: int | None
    ) -> Access:
        """Let a SuperAdmin, or any of them, see what is the tenant's alone; for no longer than its policy says."""
        longest = self._rules.fresh(scope.tenant).support_hours
        if hours is not None and hours > longest:
            raise Invalid(f"a support access lasts {longest} hours at the most here", where="hours")
        if lost := sorted(scopes - policy.LENDABLE):
            raise Denied(f"This cannot be lent: {', '.join(lost)}.", where="scopes")
        user = self._superadmin(email) if email is not None else None
        expires = self._now() + (hours or min(USUAL, longest)) * _HOUR
        named, address = (user.id, user.email) if user else (None, "")
        made = scope.support().grant(new_id(), named, address, scopes, reason, expires=expires)
        self.forget(scope.tenant)
        return made

    def revoke(self, scope: Scope, access: str) -> None:
        """End a support access, with all that is being looked at by it. Raises ``Missing``."""
        scope.support().end(access)
        self.forget(scope.tenant)

    def _superadmin(self, email: str) -> User:
        found = [each for each in self._system.accounts().find(email) if each.tenant is None]
        if not found or found[0].state != "active":
            raise Missing("There is no such SuperAdmin.", where="email")
        return found[0]

    def _of(self, tenant: str) -> tuple[Access, ...]:
        found, now = self._kept.get(tenant), self._now()
        if found is not None and found.until > now:
            return found.accesses
        before = self._changes
        read = self._system.support().holding(tenant)
        with self._lock:
            if before == self._changes:
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[tenant] = _Held(read, now + KEPT)
        return read
