"""What a sign-in gives and how it goes on: access tokens, and refresh tokens that are good once."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Unauthenticated
from sluicegate.base.principal import Peer, Principal
from sluicegate.base.secret import Secret
from sluicegate.crypto import opaque
from sluicegate.crypto.keys import Key, derive
from sluicegate.guard.operation import Standing
from sluicegate.guard.tokens import ACCESS, ENROL, FACTOR, PENDING, Purpose

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.factors import Factors
    from sluicegate.guard.revocation import Revocation
    from sluicegate.guard.rules import Rules
    from sluicegate.guard.tokens import Tokens
    from sluicegate.store.people import Account
    from sluicegate.store.scope import System

PURPOSES: Final[Mapping[Standing, Purpose]] = {
    "signed in": ACCESS, "password": PENDING, "factor": FACTOR, "enrol": ENROL,
}  # fmt: skip
SSO: Final = "sso"
"""How somebody came in whom a provider of single sign-on has shown to be there (``guard/sso.py``)."""


@dataclass(frozen=True)
class Grant:
    """What a sign-in gives."""

    access: Secret
    expires_in: int
    refresh: Secret
    """Empty while a second factor is owed."""
    standing: Standing
    """How far the person has come: what ``access`` is good for."""


class Grants:
    """Gives tokens, and rotates them."""

    def __init__(
        self,
        root: Key,
        settings: Settings,
        system: System,
        audit: Audit,
        tokens: Tokens,
        revocation: Revocation,
        factors: Factors,
        rules: Rules,
        now: Callable[[], float] = clock.system,
    ) -> None:
        """Derive one key per purpose from ``root``."""
        self._settings, self._system, self._audit, self._now = settings, system, audit, now
        self._tokens, self._revocation, self._factors, self._rules = tokens, revocation, factors, rules
        self._refresh = derive(root, "refresh-token")
        self._children = derive(root, "refresh-token-child")

    def owe(self, who: Principal, epoch: int) -> Grant:
        """Return what somebody is given who owes a second factor: a token for showing it, and nothing else."""
        return self._grant(who, Secret(""), epoch, "factor")

    def standing(self, user: Account, tenant: str | None, proved: str) -> Standing:
        """Return how far somebody has come who has proved who they are by ``proved``."""
        if user.must_change and not proved.startswith(SSO):
            return "password"
        if self._rules.fresh(tenant).factor_required and proved in ("password", SSO):
            return "enrol"
        return "signed in"

    def refresh(self, given: Secret, peer: Peer, key: str) -> Grant:
        """Rotate a refresh token; ``key`` must be the one it is bound to.

        One that has been used before ends its whole family, but for the same client's asking twice at once: that is
        given the same tokens again.
        """
        epoch = self._revocation.newest()
        child = self._child(given)
        digest = opaque.digest(self._refresh, given)
        grants, now = self._system.grants(), self._now()
        before = grants.find(digest)
        idle, longest = self._lifetimes(before.tenant if before else None)
        outcome, grant = grants.rotate(
            digest,
            opaque.digest(self._refresh, child),
            key,
            expires=now + idle,
            absolute=now + longest,
            client=peer.client,
            address=peer.address,
        )
        if outcome == "unknown" and (foreign := grants.find(digest)) is not None:
            self._refused("refresh_foreign", foreign.user, foreign.tenant, peer)
        if grant is None or outcome not in ("rotated", "race"):
            if grant is not None:
                self._refused("refresh_reuse", grant.user, grant.tenant, peer)
            raise Unauthenticated("Sign in again.")
        user = self._system.accounts().account(grant.user)
        if user.state != "active" or self.suspended(user.tenant):
            raise Unauthenticated("Sign in again.")
        if user.tenant and not grant.factors.startswith(SSO) and self._rules.policy(user.tenant).sso_required:
            raise Unauthenticated("Sign in again.")
        tenant = grant.tenant
        if user.tenant is None and (self.suspended(tenant) or self.standing(user, tenant, grant.factors) == "enrol"):
            grants.bind(grant.family, None)  # a SuperAdmin stays signed in, and is no longer in there
            tenant = None
        who = Principal(user.id, tenant, user.role, grant=grant.family, key=key)
        self._rules.require("session.refresh", who, peer)
        standing = self.standing(user, tenant, grant.factors)
        if standing == "enrol" and self._factors.of(user.id):
            raise Unauthenticated("Sign in again.")  # there is one now, and this sign-in has not shown it
        return self._grant(who, child, epoch, standing)

    def _refused(self, result: str, user: str, tenant: str | None, peer: Peer) -> None:
        self._audit.event("session.refresh", None, peer, result, {"id": user}, tenant=tenant)

    def sign_out(self, given: Secret, who: Principal) -> None:
        """End the family that somebody came with, whatever they give, and that of a refresh token."""
        grant = self._system.grants().find(opaque.digest(self._refresh, given))
        for family in dict.fromkeys((who.grant, *([grant.family] if grant else []))):
            self._system.grants().kill(family)

    def _lifetimes(self, tenant: str | None) -> tuple[float, float]:
        """Return for how many seconds a sign-in lasts unused, and at the most."""
        holds, mine = self._rules.fresh(tenant), self._settings.tokens
        base = self._rules.bounds.base  # the settings count in seconds
        idle = mine.idle if holds.idle_minutes == base.idle_minutes else holds.idle_minutes * 60
        return idle, mine.refresh if holds.session_minutes == base.session_minutes else holds.session_minutes * 60

    def suspended(self, tenant: str | None) -> bool:
        """Tell whether nobody works in a tenant now."""
        return tenant is not None and self._system.tenants().get(tenant).state != "active"

    def _child(self, parent: Secret) -> Secret:
        """Return the token that follows ``parent``: always the same, and known to nobody without our key."""
        raw = opaque.digest(self._children, parent)[:32]
        return Secret("rt_" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode())

    def begin(
        self,
        who: Principal,
        peer: Peer,
        epoch: int,
        standing: Standing,
        factors: str = "password",
        *,
        fresh: bool = True,
    ) -> Grant:
        """Open a family of refresh tokens for somebody who has come in by ``factors``, and give its first tokens.

        ``fresh``: they have proved just now that it is them. Raises ``Unauthenticated`` when something has ended their
        sign-ins since ``epoch``: a new password, a new role, the end of their tenant.
        """
        token, now = opaque.new_refresh(), self._now()
        idle, longest = self._lifetimes(who.tenant)
        with self._system.transaction():
            if self._system.marks().ended(who.id, who.tenant, epoch):
                raise Unauthenticated("Sign in again.")
            made = self._system.grants().open(
                who.id,
                who.tenant,
                opaque.digest(self._refresh, token),
                who.key,
                expires=now + idle,
                absolute=now + longest,
                client=peer.client,
                address=peer.address,
                factors=factors,
                fresh=fresh,
            )
        return self._grant(replace(who, grant=made.family), token, epoch, standing)

    def _grant(self, who: Principal, refresh: Secret, epoch: int, standing: Standing) -> Grant:
        access, expires = self._tokens.mint(PURPOSES[standing], who, epoch)
        return Grant(access, int(expires - self._now()), refresh, standing)
