"""Which tenant a SuperAdmin works in: the one that their token is bound to, and none that a request names.

The binding is kept with the sign-in, so a refresh keeps it; it is dropped when the tenant is suspended. All that the
sign-in was given for the place before, in whatever tab, is void at once on every node.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Unauthenticated
from sluicegate.base.principal import Peer, Principal, Role
from sluicegate.crypto.token import LEEWAY
from sluicegate.guard.tokens import ACCESS

if TYPE_CHECKING:
    from sluicegate.base.secret import Secret
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.revocation import Revocation
    from sluicegate.guard.rules import Rules
    from sluicegate.guard.tokens import Tokens
    from sluicegate.store.scope import System

SWITCH = "session.switch"


class Switch:
    """Binds a SuperAdmin's tokens to a tenant, on record there and with the installation."""

    def __init__(
        self,
        system: System,
        audit: Audit,
        tokens: Tokens,
        revocation: Revocation,
        rules: Rules,
        now: clock.Clock = clock.system,
    ) -> None:
        """Wire."""
        self._system, self._audit, self._tokens, self._revocation = system, audit, tokens, revocation
        self._rules, self._now = rules, now

    def to(self, who: Principal, tenant: str | None, peer: Peer) -> tuple[Secret, int]:
        """Return an access token for ``tenant`` (a name), or for none, and the seconds it is good for.

        Raises ``Missing`` for an unknown tenant, ``Denied`` for a suspended one, for whom is no SuperAdmin, and for who
        came without the second factor that the tenant asks for; ``Unauthenticated`` when something ends it meanwhile.
        """
        if who.role is not Role.SUPERADMIN:
            raise Denied("Only a SuperAdmin works in more than one tenant.")
        epoch = self._revocation.newest()
        place = self._system.tenants().named(tenant) if tenant is not None else None
        if place is not None and place.state != "active":
            raise suspended()
        if place is not None and self._rules.fresh(place.id).factor_required and not self._has_factor(who):
            raise Denied(
                "This tenant asks for a second factor, and you signed in without one.",
                hint="Set one up (sluice factor begin), or sign in again with yours.",
            )
        there = replace(who, tenant=place.id if place else None, support="", lent=frozenset())
        marks = self._system.marks()
        with self._system.transaction():
            self._system.grants().bind(who.grant, there.tenant)
            if marks.ended(who.id, there.tenant, epoch):  # from here on nobody else marks anything: ours is the next
                raise Unauthenticated("Sign in again.")
            epoch = marks.switch(who.grant, self._now() + self._tokens.ttl + LEEWAY)
            self.record(SWITCH, there, peer, left=who.tenant)
        access, expires = self._tokens.mint(ACCESS, replace(there, token=""), epoch)
        return access, int(expires - self._now())

    def _has_factor(self, who: Principal) -> bool:
        grants = self._system.grants().of(who.id)
        return any(each.family == who.grant and "factor" in each.factors.split() for each in grants)

    def record(self, action: str, who: Principal, peer: Peer, left: str | None = None) -> None:
        """Write down that a SuperAdmin came into a tenant, or left one: with the installation, and in the tenants."""
        email = self._system.accounts().get(who.id).email
        if left and left != who.tenant:
            self._audit.event(action, replace(who, tenant=left), peer, "left", {"email": email})
        if who.tenant:
            self._audit.event(action, who, peer, "ok", {"email": email})
        about = {"email": email}
        if who.tenant:
            about["tenant"] = self._system.tenants().get(who.tenant).name
        self._audit.event(action, replace(who, tenant=None), peer, "ok", about)


def suspended() -> Denied:
    """Return what somebody is told who wants to work in a suspended tenant."""
    return Denied("The tenant is suspended: nobody works in it.", hint="Run: sluice tenant resume ID")
