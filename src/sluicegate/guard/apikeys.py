"""API keys: made for somebody, exchanged for a short-lived token, ended. A key opens nothing but the exchange."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NoReturn

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.networks import Networks, networks
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Peer, Principal, Role, Via
from sluicegate.crypto import apikey, opaque
from sluicegate.crypto.keys import Key, derive
from sluicegate.guard import policy
from sluicegate.guard.tokens import ACCESS

if TYPE_CHECKING:
    from sluicegate.base.secret import Secret
    from sluicegate.base.settings import Settings
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.limits import Limits
    from sluicegate.guard.notices import Notices
    from sluicegate.guard.revocation import Revocation
    from sluicegate.guard.rules import Rules
    from sluicegate.guard.tokens import Tokens
    from sluicegate.store.apikeys import ApiKey, Found
    from sluicegate.store.people import User
    from sluicegate.store.scope import Scope, System

FAMILY: Final = "key:"
"""Begins the ``sid`` of a token that a key was exchanged for; the key's id follows."""
KNOWN_MAX: Final = 10_000
"""Keys whose scopes are kept in memory."""
EXCHANGE: Final = "session.key"
_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Pass:
    """What a key is exchanged for."""

    access: Secret
    expires_in: int
    bound: bool
    """Whether the token is bound to the client's key (DPoP)."""
    scopes: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class _Known:
    """What a token of a key does not carry. Nothing of it ever changes; that a key has ended is told by a mark."""

    scopes: frozenset[Permission]
    networks: Networks
    expires: float


_TENANTS_OWN: Final = frozenset({Permission.DATA_READ, Permission.DEFINITION_WRITE, Permission.RUN_CONTROL})
"""What no key has that a SuperAdmin made: together, it would be a way to the tenant's rows."""


class ApiKeys:
    """Makes keys, exchanges them, and says what the tokens of a key may do."""

    def __init__(
        self,
        root: Key,
        settings: Settings,
        system: System,
        audit: Audit,
        limits: Limits,
        tokens: Tokens,
        revocation: Revocation,
        rules: Rules,
        notices: Notices,
        now: clock.Clock = clock.system,
    ) -> None:
        """Derive the key under which digests are kept from ``root``."""
        self._digests = derive(root, "api-key")
        self._settings, self._system, self._audit, self._limits = settings.keys, system, audit, limits
        self._tokens, self._revocation, self._rules, self._now = tokens, revocation, rules, now
        self._notices = notices
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    # -- making --------------------------------------------------------------------------------------------------------

    def create(
        self,
        scope: Scope,
        owner: User,
        name: str,
        scopes: frozenset[Permission],
        days: int | None,
        addresses: tuple[str, ...],
    ) -> tuple[Secret, ApiKey]:
        """Make a key for ``owner``, with no more than its maker and its owner both have. It is shown this once."""
        who = scope.who
        if who.via is Via.KEY:
            raise Denied("A key makes no keys.", hint="Sign in as a person.")
        if not policy.may_give(who, owner.role):
            raise Denied("Nobody makes a key for a role above their own.", where="user")
        own = replace(who, support="", lent=frozenset())  # what is lent for a while makes nothing that lasts
        have = {each for each in policy.GRANTS[owner.role] if policy.allowed(own, each)}
        if who.role is Role.SUPERADMIN:
            have -= _TENANTS_OWN
        if lost := sorted(scopes - have):
            raise Denied(f"A key has no more than its owner and its maker: {', '.join(lost)} is more.", where="scopes")
        longest = self._rules.fresh(scope.tenant).key_days
        if days is not None and days > longest:
            raise Invalid(f"a key lives for {longest} days at the most here", where="days")
        alive = [each for each in scope.api_keys().list(owner.id) if self.state(each) == "active"]
        if len(alive) >= self._settings.each:
            raise Conflict(f"There are {len(alive)} keys of this user already.", hint="Revoke those out of use.")
        id_ = new_id()
        made = apikey.new_key(id_)
        expires = self._now() + (days or min(longest, self._settings.days)) * _DAY
        digest = opaque.digest(self._digests, made)
        return made, scope.api_keys().create(
            id_, owner.id, name, digest, scopes=scopes, addresses=addresses, expires=expires
        )

    def state(self, key: ApiKey) -> str:
        """Return what became of a key: active, expired, unused, or why it was ended."""
        if key.ended is not None:
            return key.ended_why
        now = self._now()
        if key.expires <= now:
            return "expired"
        return "unused" if key.seen <= self._idle(now) else "active"

    def _idle(self, now: float) -> float:
        return now - self._settings.unused * _DAY

    # -- exchanging ----------------------------------------------------------------------------------------------------

    def exchange(self, given: Secret, client: str | None, peer: Peer, proof: str) -> Pass:
        """Return a token for a key; ``client`` is the id that must be the key's, ``proof`` the client's own key.

        Whatever is wrong, one answer, and one kind of work before it (``Unauthenticated``). Only who shows a key that
        is good in all else is told that a proof is missing.
        """
        epoch = self._revocation.newest()
        found = self._system.api_keys().find(opaque.digest(self._digests, given))
        why = self._wrong(found, client, peer)
        if found is None or why:
            self._refuse(given, found, why, peer)
        key = found.key
        who = self._principal(found, proof)
        if not proof and self._rules.policy(key.tenant).key_proof:
            self._audit.event(EXCHANGE, who, peer, "denied", {"id": key.id, "why": "no proof"})
            raise Unauthenticated("This key needs a DPoP proof (RFC 9449).", hint="See docs/howto/api-keys.md.")
        if not self._system.api_keys().use(key.id, peer.address):
            self._refuse(given, found, "ended", peer)
        self._audit.event(EXCHANGE, who, peer, "ok", {"id": key.id, "name": key.name})
        access, expires = self._tokens.mint(ACCESS, who, epoch)
        return Pass(access, int(expires - self._now()), bool(proof), who.scopes or frozenset())

    def _wrong(self, found: Found | None, client: str | None, peer: Peer) -> str:
        if found is None:
            return "unknown"
        key = found.key
        if client is not None and client != key.id:
            return "client"
        state = self.state(key)
        if state == "unused" and key.ended is None:
            self._unused()
        if state != "active":
            return state
        if not found.active:
            return "owner"
        who = self._principal(found, "")
        refused = self._rules.refused_by(who, peer.address, networks(key.addresses))
        return f"address ({refused})" if refused else ""

    def _refuse(self, given: Secret, found: Found | None, why: str, peer: Peer) -> NoReturn:
        self._limits.failed(peer)
        about = {"id": found.key.id if found else apikey.id_of(given.reveal()), "why": why}
        told = {name: each for name, each in about.items() if each}
        self._audit.event(EXCHANGE, None, peer, "denied", told, tenant=found.key.tenant if found else None)
        raise Unauthenticated("The key is not valid here.")

    @staticmethod
    def _principal(found: Found, proof: str) -> Principal:
        key = found.key
        scopes = key.scopes & policy.GRANTS[found.role]
        return Principal(key.user, key.tenant, found.role, Via.KEY, scopes, grant=FAMILY + key.id, key=proof)

    # -- what a token of a key may do ----------------------------------------------------------------------------------

    def narrow(self, who: Principal) -> Principal:
        """Return the principal of a key's token, with the key's scopes. ``Unauthenticated`` when the key is over."""
        known = self._look(who.grant)
        return replace(who, via=Via.KEY, scopes=known.scopes)

    def networks(self, who: Principal | None) -> Networks:
        """Return from where the key that somebody came with may be used; empty for everywhere, and for people."""
        return self._look(who.grant).networks if who is not None and who.via is Via.KEY else ()

    def _look(self, grant: str) -> _Known:
        id_ = grant.removeprefix(FAMILY)
        known = self._known.get(id_)
        if known is None:
            try:
                key = self._system.api_keys().get(id_)
            except Missing:
                raise Unauthenticated from None
            if key.ended is not None:
                raise Unauthenticated
            known = _Known(key.scopes, networks(key.addresses), key.expires)
            with self._lock:
                self._known[id_] = known
                if len(self._known) > KNOWN_MAX:
                    self._known.popitem(last=False)
        if known.expires <= self._now():
            raise Unauthenticated
        return known

    # -- ending --------------------------------------------------------------------------------------------------------

    def leaked(self, given: Secret, peer: Peer) -> None:
        """End a key that somebody found where it should not be. Whether it was one is not told."""
        found = self._system.api_keys().find(opaque.digest(self._digests, given))
        if found is None:
            self._limits.failed(peer)
        elif self._system.api_keys().end(found.key.id, "leaked"):
            about = {"id": found.key.id, "name": found.key.name, "user": found.key.user}
            self._audit.event("key.leaked", None, peer, "ok", about, tenant=found.key.tenant)
            self._tell(found.key, "key_leaked", peer)

    def sweep(self) -> None:
        """End the keys that nobody has used for long, each on record."""
        self._unused()

    def _unused(self) -> None:
        for each in self._system.api_keys().end_unused(self._idle(self._now())):
            who = Principal("system", each.tenant, Role.API_USER, Via.SYSTEM)
            about = {"id": each.id, "name": each.name, "user": each.user}
            self._audit.event("key.unused", who, None, "ok", about)
            self._tell(each, "key_unused")

    def _tell(self, key: ApiKey, kind: str, peer: Peer | None = None) -> None:
        """Tell whose key it is, and who made it: a service user reads no notices."""
        for user in dict.fromkeys((key.user, key.created_by)):
            self._notices.tell_of(user, kind, peer, key=key.name)
