"""Single sign-on: one mechanism, whatever the provider speaks.

Who comes back from a provider is one of our people when the provider's own id for them (issuer and subject) is known
here. Seen for the first time, they are known by an address that the provider has verified and may speak for, or are
made anew, in this tenant alone. What they may do is computed from their groups at each sign-in. Whoever is refused is
told nothing but that; why stands in the audit trail.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import TypeAdapter, ValidationError

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Failed, Invalid, Missing, SluiceError, Throttled, Unauthenticated
from sluicegate.base.model import DisplayName, Email
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope, opaque
from sluicegate.crypto.keys import Key, derive
from sluicegate.crypto.oidc import Unfit, new_text
from sluicegate.guard.oidc import Back, Finding, Journey
from sluicegate.guard.provider import KEPT_AS, Identity, Provider, read
from sluicegate.store.people import UserState

if TYPE_CHECKING:
    from sluicegate.base.principal import Peer
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.factors import Factors
    from sluicegate.guard.grants import Grant
    from sluicegate.guard.limits import Limits
    from sluicegate.guard.login import Login
    from sluicegate.guard.vault import Vault
    from sluicegate.store.people import Account
    from sluicegate.store.scope import Scope, System
    from sluicegate.store.sso import Provider as Stored
    from sluicegate.store.sso import Request

AT_ONCE: Final = 6
"""Questions to the provider of one tenant that may be under way at once: a slow one holds up nobody else's."""
PATH: Final = "/sso/callback/"
"""Where a browser comes back to; the tenant's id follows, so that no provider's answer passes for another's."""
_EMAIL, _NAME = TypeAdapter(Email), TypeAdapter(DisplayName)
_NONE = "Single sign-on is not set up for this tenant, or its provider does not answer."
_FAILED = "Single sign-on did not let you in."
_HINT = "Begin again, or ask an administrator of your tenant: the audit trail says why."


class Refused(Exception):
    """Somebody is not let in. The message says why, for the audit trail; it never leaves this file."""

    def __init__(self, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.message = message


class Stranger(Refused):
    """Nothing is on its way that this could be the answer to."""


_REASONS = (Refused, Unfit, Unauthenticated, Failed, Conflict)
"""Why somebody is not let in: for the trail, and not for them."""


class Adapter(Protocol):
    """What a kind of provider must be able to do."""

    def begin(self, provider: Provider, journey: Journey) -> str:
        """Return where to send the browser."""

    def finish(self, provider: Provider, secret: Secret | None, journey: Journey, back: Back, since: float) -> Identity:
        """Return whom the provider has shown to be there. Raises ``Unfit`` or ``Failed`` with the reason."""

    def test(self, provider: Provider, secret: Secret | None, redirect: str) -> tuple[Finding, ...]:
        """Say in plain words what is wrong."""

    def forget(self, provider: Provider) -> None:
        """Ask a provider anew when it is needed next."""


class Sso:
    """Brings people in whom a provider has shown to be there."""

    def __init__(
        self,
        root: Key,
        system: System,
        audit: Audit,
        limits: Limits,
        login: Login,
        factors: Factors,
        vault: Vault,
        adapter: Adapter,
        now: clock.Clock = clock.system,
    ) -> None:
        """Derive the keys from ``root``."""
        self._states, self._seals = derive(root, "sso-state"), derive(root, "sso-request")
        self._system, self._audit, self._limits, self._login = system, audit, limits, login
        self._factors, self._vault, self._adapter, self._now = factors, vault, adapter, now
        self._under_way: dict[str, int] = {}
        self._lock = threading.Lock()

    # -- set up --------------------------------------------------------------------------------------------------------

    def provider(self, tenant: str) -> Provider:
        """Return the provider of a tenant. Raises ``Missing``."""
        stored = self._system.sso().provider(tenant)
        if stored is None:
            raise Missing("No single sign-on is set up here.")
        return read(stored)

    def has_secret(self, scope: Scope) -> bool:
        """Tell whether the vault holds a client secret."""
        return any(each.name == KEPT_AS for each in scope.secrets().list())

    def set_up(self, scope: Scope, provider: Provider, secret: Secret | None) -> bool:
        """Set a tenant's provider, and its client secret when one is given; tell whether a secret was cleared.

        With another issuer, or another CA to know it by, the secret of before is gone and who came by it is signed
        out: neither was meant for that one.
        """
        sso = self._system.sso()
        with scope.transaction():
            stored = sso.provider(scope.tenant)
            before = read(stored) if stored else None
            moved = before is None or (before.issuer, before.client_id, before.ca) != (
                provider.issuer,
                provider.client_id,
                provider.ca,
            )
            if moved:
                self._sign_out(scope.tenant)  # marks first, the trail last: as everywhere
            cleared = bool(moved and self._vault.clear(scope, frozenset({KEPT_AS})))
            sso.set_provider(scope.tenant, "oidc", provider.model_dump(mode="json"), scope.author)
            if secret is not None:
                self._vault.put(scope, KEPT_AS, secret)
        self._adapter.forget(provider)
        return cleared and secret is None

    def remove(self, scope: Scope) -> None:
        """Remove a tenant's provider and its secret; who came by it is signed out. Raises ``Missing``."""
        with scope.transaction():
            self._system.sso().remove_provider(scope.tenant)
            self._sign_out(scope.tenant)
            self._vault.clear(scope, frozenset({KEPT_AS}))

    def test(self, scope: Scope, origin: str) -> tuple[Finding, ...]:
        """Say in plain words what is wrong with a tenant's provider. Raises ``Missing``, ``Throttled``."""
        provider = self.provider(scope.tenant)
        with self._turn(scope.tenant):
            found = self._adapter.test(provider, self._secret(scope, "test"), origin + PATH + scope.tenant)
        self._adapter.forget(provider)
        if provider.default_role is None and not provider.roles:
            found += (
                Finding("roles", ok=False, told="No group gives a role, and there is no default: nobody is let in."),
            )
        return found

    def _sign_out(self, tenant: str) -> None:
        for family in self._system.sso().families(tenant):
            self._system.grants().kill(family)

    # -- there ---------------------------------------------------------------------------------------------------------

    def begin(self, name: str, key: str, peer: Peer, origin: str) -> str:
        """Return where to send the browser of somebody who holds ``key`` and says that they belong to tenant ``name``.

        A tenant that does not exist and one without a provider are not told apart. Raises ``Missing``, ``Throttled``.
        """
        stored = self._system.sso().provider_named(name)
        if stored is None:
            raise Missing(_NONE)
        return self._set_off(stored, key, peer, origin, "sso.begin")

    def begin_again(self, who: Principal, code: Secret | None, peer: Peer, origin: str) -> str:
        """Return where to send the browser of somebody who must prove once more that it is them (step-up).

        Raises ``Missing``, ``Invalid`` for who is not known by the provider and for a missing or wrong code.
        """
        stored = self._system.sso().provider(who.tenant or "")
        if stored is None or who.tenant is None:
            raise Missing(_NONE)
        provider = read(stored)
        if not self._system.sso().has_identity(who.tenant, who.id, provider.issuer):
            raise Invalid("the provider does not know you", hint="Prove it by your password.")
        owes = bool(self._factors.of(who.id))
        if owes and code is None and not provider.factors:
            raise Invalid("is required: you have a second factor", where="code")
        if owes and code is not None:
            self._factors.check(who.id, who.tenant, code)
        return self._set_off(
            stored, who.key, peer, origin, "sso.prove", family=who.grant, factor=owes and code is not None
        )

    def _set_off(
        self, stored: Stored, key: str, peer: Peer, origin: str, action: str, *, family: str = "", factor: bool = False
    ) -> str:
        provider = read(stored)
        journey = Journey(
            new_text(), new_text().reveal(), new_text(), origin + PATH + stored.tenant, fresh=bool(family)
        )
        with self._turn(stored.tenant):
            try:
                url = self._adapter.begin(provider, journey)
            except (Unfit, Failed) as fault:
                self._audit.event(action, None, peer, "failed", {"reason": fault.message}, tenant=stored.tenant)
                raise Missing(_NONE) from None
        digest = opaque.digest(self._states, journey.state)
        kept = {
            "nonce": journey.nonce, "verifier": journey.verifier.reveal(), "redirect": journey.redirect,
            "issuer": provider.issuer, "client": provider.client_id, "factor": factor,
        }  # fmt: skip
        sealed = envelope.encrypt(self._seals, json.dumps(kept).encode(), (digest, stored.tenant))
        self._system.sso().begin(digest, stored.tenant, key, peer.address, family, sealed)
        return url

    # -- and back ------------------------------------------------------------------------------------------------------

    def finish(self, state: Secret, back: Back, at: str, key: str, peer: Peer) -> Grant:
        """Let somebody in who has come back. Raises ``Unauthenticated``, the same for every cause, or ``Throttled``."""
        tenant = None
        try:
            with self._turn(at):
                request = self._take(state, key)
                tenant = request.tenant
                provider, found, _ = self._identify(request, state, back, at)
            self._require_same(tenant, provider)
            user = self._know(tenant, provider, found, peer)
            return self._login.admit(user, peer, key, factor=found.factor, fresh=found.fresh)
        except _REASONS as fault:
            self._refuse("sso.finish", None, peer, tenant, fault)
            raise Unauthenticated(_FAILED, hint=_HINT) from None

    def confirm(self, who: Principal, state: Secret, back: Back, at: str, peer: Peer) -> None:
        """Take what somebody who is signed in has brought back as a fresh proof. Raises ``Invalid``, ``Throttled``."""
        try:
            with self._turn(at):
                request = self._take(state, who.key, who.grant)
                provider, found, factor = self._identify(request, state, back, at)
            if self._system.sso().user_of(request.tenant, provider.issuer, found.subject) != who.id:
                raise Refused("the provider has shown somebody else to be there")
            if not found.fresh:
                raise Refused("the provider did not ask anew")
            shown = found.factor or factor
            if self._factors.of(who.id) and not shown:
                raise Refused("no second factor was shown")
        except _REASONS as fault:
            if not isinstance(fault, Stranger):  # that this was asked and refused is on record; there is no more to say
                self._refuse("sso.answer", who, peer, who.tenant, fault)
            raise Invalid("Single sign-on did not show that it is you.", hint=_HINT) from None
        self._login.proved(who, factor=shown)

    def _require_same(self, tenant: str, provider: Provider) -> None:
        """Refuse what a provider has said that is the tenant's no more: it may have been replaced meanwhile."""
        stored = self._system.sso().provider(tenant)
        if stored is None or read(stored) != provider:
            raise Refused("the provider was changed meanwhile")

    def _refuse(
        self, action: str, who: Principal | None, peer: Peer, tenant: str | None, fault: Refused | Unfit | SluiceError
    ) -> None:
        self._limits.failed(peer)
        self._audit.event(action, who, peer, "denied", {"reason": fault.message}, tenant=tenant)

    def _take(self, state: Secret, key: str, family: str = "") -> Request:
        found = self._system.sso().take(opaque.digest(self._states, state), key, family)
        if found is None:
            raise Stranger("no such sign-in is on its way from this client")
        return found

    def _identify(self, request: Request, state: Secret, back: Back, at: str) -> tuple[Provider, Identity, bool]:
        if request.tenant != at:
            raise Refused("the answer came back to where another tenant's do")
        digest = opaque.digest(self._states, state)
        kept = json.loads(envelope.decrypt(self._seals, request.sealed, (digest, request.tenant)))
        stored = self._system.sso().provider(request.tenant)
        provider = read(stored) if stored else None
        if provider is None or (provider.issuer, provider.client_id) != (kept["issuer"], kept["client"]):
            raise Refused("the provider was changed meanwhile")
        scope = self._scope(request.tenant)
        journey = Journey(state, kept["nonce"], Secret(kept["verifier"]), kept["redirect"], fresh=bool(request.family))
        secret = self._secret(scope, "sign-in")
        return provider, self._adapter.finish(provider, secret, journey, back, request.created), kept["factor"]

    def _secret(self, scope: Scope, purpose: str) -> Secret | None:
        return self._vault.use(scope, KEPT_AS, purpose=f"sso {purpose}") if self.has_secret(scope) else None

    def _scope(self, tenant: str) -> Scope:
        from sluicegate.store.scope import Scope

        return Scope(self._system.database, tenant, Principal("system", tenant, Role.API_USER, Via.SYSTEM))

    @contextmanager
    def _turn(self, tenant: str) -> Iterator[None]:
        """Count a question that is under way. Raises ``Throttled`` when that is too much, and does not wait."""
        with self._lock:
            if self._under_way.get(tenant, 0) >= AT_ONCE:
                raise Throttled("Too many sign-ins of this tenant are under way at once.", after=1)
            self._under_way[tenant] = self._under_way.get(tenant, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[tenant] -= 1
                if not self._under_way[tenant]:
                    del self._under_way[tenant]

    # -- who is who ----------------------------------------------------------------------------------------------------

    def _know(self, tenant: str, provider: Provider, found: Identity, peer: Peer) -> Account:
        """Return the user whom the provider has shown, with the role that their groups give now."""
        role = provider.role_of(found.groups)
        if role is None:
            raise Refused("none of their groups gives a role, and there is no default")
        if provider.domains and not provider.speaks_for(found.email):
            raise Refused("their address is of none of the mail domains that are allowed")
        sso, accounts = self._system.sso(), self._system.accounts()
        known = sso.user_of(tenant, found.issuer, found.subject) or self._meet(tenant, provider, found, role, peer)
        user = accounts.account(known)
        if user.tenant != tenant or user.kind != "person" or user.state != "active":
            raise Refused("they are deactivated here")
        if user.role != role:
            about = {"id": user.id, "role": role.value}
            self._audit.event("sso.role", None, peer, "ok", about, tenant=tenant)
            accounts.set_role(user.id, role)
        return user

    def _meet(self, tenant: str, provider: Provider, found: Identity, role: Role, peer: Peer) -> str:
        """Return the id of the user whom the provider shows for the first time, linked from now on."""
        if shut := self._login.keeps_out(tenant, peer):
            raise Refused(shut)  # before anything is made of it
        if not found.verified:
            raise Refused("the provider does not say that it has verified their address")
        email, name = _spelled(found)
        sso, accounts = self._system.sso(), self._system.accounts()
        with self._system.transaction():
            here = accounts.find(email, tenant)
            if here:
                user = here[0]
                if not provider.speaks_for(email):
                    raise Refused("somebody here has their address, and the provider may not speak for its mail domain")
                if user.kind != "person" or user.state == "disabled":
                    raise Refused("whoever has their address here is deactivated")
                if sso.has_identity(tenant, user.id, found.issuer):
                    raise Refused("the provider has shown another person with their address before")
                if user.state != "active":  # invited: this is their coming
                    accounts.set_state(user.id, UserState.ACTIVE)
                self._audit.event("sso.link", None, peer, "ok", {"id": user.id, "email": email}, tenant=tenant)
                id_ = user.id
            elif provider.create:
                id_ = accounts.create_in(tenant, email, name, role, "").id
                about = {"id": id_, "email": email, "role": role.value}
                self._audit.event("sso.create", None, peer, "ok", about, tenant=tenant)
            else:
                raise Refused("they have no user here, and none is made")
            sso.link(tenant, found.issuer, found.subject, id_)
        return id_


def _spelled(found: Identity) -> tuple[str, str]:
    """Return address and name in the spelling that is kept. Raises ``Refused`` for an address that is none."""
    try:
        email = _EMAIL.validate_python(found.email)
    except ValidationError:
        raise Refused("the provider gives no mail address") from None
    try:
        return email, _NAME.validate_python(found.name)
    except ValidationError:
        return email, email.partition("@")[0]
