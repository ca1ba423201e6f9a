"""One-time tickets: what stands in a URL where no header can be sent, for downloads and event streams (SEC-T19).

A ticket is good once, for half a minute, for one operation and its exact question. It carries what the access token
said that it was asked for with, so that whatever voids that token voids the ticket.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Unauthenticated
from sluicegate.crypto import envelope, opaque
from sluicegate.crypto.keys import Key, derive
from sluicegate.crypto.token import Claims
from sluicegate.guard.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.base.principal import Peer, Principal
    from sluicegate.base.secret import Secret
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.revocation import Revocation
    from sluicegate.store.scope import System

LIFE: Final = 30
"""Seconds in which a ticket is to be used."""
AUDIENCE: Final = "sluicegate-ticket"
ACTION: Final = "ticket.use"


class Bound(NamedTuple):
    """What a ticket was good for: who asked for it, and the question."""

    claims: Claims
    ask: Mapping[str, Any]


class Tickets:
    """Gives tickets out and takes them, each once, on whatever node."""

    def __init__(
        self, root: Key, system: System, audit: Audit, revocation: Revocation, now: clock.Clock = clock.system
    ) -> None:
        """Derive a key for their digests and one for what they carry from ``root``."""
        self._system, self._audit, self._revocation, self._now = system, audit, revocation, now
        self._digests, self._kek = derive(root, "ticket"), derive(root, "ticket-content")

    def issue(self, who: Principal, operation: str, ask: Mapping[str, Any]) -> tuple[Secret, int]:
        """Return a ticket for this question of ``who``, and the seconds it is good for. Raises ``Throttled``."""
        given = opaque.new_ticket()
        now = int(self._now())
        life = min(LIFE, who.until - now)
        if life < 1:
            raise Unauthenticated
        claims = Claims(
            iss=ISSUER, aud=AUDIENCE, sub=who.id, tid=who.tenant, role=who.role.value, jti=who.token, iat=now, nbf=now,
            exp=who.until, sid=who.grant, epo=who.epoch, cnf={"jkt": who.key} if who.key else None,
        )  # fmt: skip
        said = {"operation": operation, "ask": dict(ask), "claims": claims.model_dump(exclude_none=True)}
        digest = opaque.digest(self._digests, given)
        sealed = envelope.encrypt(self._kek, json.dumps(said).encode(), ("ticket", digest))
        self._system.tickets().add(digest, who.id, who.tenant, sealed, self._system.database.clock() + life)
        return given, life

    def take(self, given: Secret | None, operation: str, peer: Peer) -> Bound:
        """Use a ticket up. Raises ``Unauthenticated``, the same for every cause; misuse is put on record."""
        if given is None:
            raise Unauthenticated
        digest = opaque.digest(self._digests, given)
        found = self._system.tickets().take(digest)
        if found is None:
            if (again := self._system.tickets().used(digest)) is not None:
                self._misused("reused", operation, again.user, again.tenant, peer)
            raise Unauthenticated
        try:
            said = json.loads(envelope.decrypt(self._kek, found.sealed, ("ticket", digest)))
        except Corrupt:
            self._misused("tampered", operation, found.user, found.tenant, peer)
            raise Unauthenticated from None
        if said["operation"] != operation:
            self._misused("misused", operation, found.user, found.tenant, peer)
            raise Unauthenticated
        bound = Bound(Claims.model_validate(said["claims"]), said["ask"])
        self.require(bound.claims)
        if bound.claims.exp <= self._now():
            raise Unauthenticated
        return bound

    def require(self, claims: Claims) -> None:
        """Raise ``Unauthenticated`` when something has made void what a ticket was asked for with."""
        if not self._revocation.holds(claims):
            raise Unauthenticated

    def misplaced(self, bound: Bound, operation: str, peer: Peer) -> None:
        """Put on record that a ticket came with another question than its own."""
        self._misused("misused", operation, bound.claims.sub, bound.claims.tid, peer)

    def sweep(self) -> None:
        """Forget those that ended long ago."""
        self._system.tickets().purge()

    def _misused(self, result: str, operation: str, user: str, tenant: str | None, peer: Peer) -> None:
        self._audit.event(ACTION, None, peer, result, {"id": user, "operation": operation}, tenant=tenant)
