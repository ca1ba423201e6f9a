"""Who is there: first administrator, password, second factor, access token."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, StepUp, Unauthenticated
from sluicegate.base.principal import Credentials, Peer, Principal, Role, Via
from sluicegate.base.secret import Secret
from sluicegate.crypto import opaque
from sluicegate.crypto.dpop import ProofCheck
from sluicegate.crypto.keys import Key, derive
from sluicegate.guard.apikeys import FAMILY
from sluicegate.guard.grants import PURPOSES, SSO, Grant, Grants
from sluicegate.guard.operation import Standing
from sluicegate.guard.passwords import Passwords
from sluicegate.guard.switch import suspended
from sluicegate.guard.tenancy import policy_of
from sluicegate.guard.tries import Known, Tries

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings
    from sluicegate.crypto.token import Claims
    from sluicegate.guard.apikeys import ApiKeys
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.factors import Factors
    from sluicegate.guard.limits import Limits
    from sluicegate.guard.notices import Notices
    from sluicegate.guard.revocation import Revocation
    from sluicegate.guard.rules import Rules
    from sluicegate.guard.support import Support
    from sluicegate.guard.switch import Switch
    from sluicegate.guard.tokens import Tokens
    from sluicegate.store.people import Account
    from sluicegate.store.scope import System, Tenant, Tenants

BOOTSTRAP = "bootstrap"
_STANDINGS = tuple(PURPOSES)
FRESH: Final = 300.0
"""Seconds for which a proof of who somebody is counts for what is dangerous (SEC-A12)."""
_BOTH = "password factor"
_NO_NAME: Final = "-"  # no tenant can be called so
_WRONG = "Wrong tenant, email or password."


class Login:
    """Turns proofs into principals and tokens."""

    def __init__(
        self,
        root: Key,
        settings: Settings,
        system: System,
        audit: Audit,
        limits: Limits,
        tokens: Tokens,
        revocation: Revocation,
        factors: Factors,
        keys: ApiKeys,
        rules: Rules,
        support: Support,
        switch: Switch,
        notices: Notices,
        now: Callable[[], float] = clock.system,
    ) -> None:
        """Derive one key per purpose from ``root``."""
        self._system, self._audit, self._limits, self._now = system, audit, limits, now
        self._settings, self._tokens, self._revocation, self._factors = settings, tokens, revocation, factors
        self._keys, self._rules, self._support, self._switch, self._notices = keys, rules, support, switch, notices
        self.passwords, self._tries = Passwords(root, settings), Tries(limits.rates, now)
        self.grants = Grants(root, settings, system, audit, tokens, revocation, factors, rules, now)
        self._any_user = False
        self._codes = derive(root, "bootstrap-code")
        self._proofs = ProofCheck(now)

    def authenticate(
        self, credentials: Credentials, tokens: frozenset[Standing] = frozenset({"signed in"}), *, again: bool = False
    ) -> Principal:
        """Return who holds the access token and the key it is bound to. ``Unauthenticated`` does not say why not.

        ``tokens``: how far they must have come in signing in. ``again``: the proof of this very request has been taken
        already, so only the token is looked at.
        """
        if credentials.token is None:
            raise Unauthenticated
        claims = self._claims(credentials.token.reveal(), tokens)
        key = (claims.cnf or {}).get("jkt", "")
        if key and not again and self.prove(credentials) != key:
            raise Unauthenticated
        return self.principal(claims)

    def principal(self, claims: Claims) -> Principal:
        """Return whom the claims of a token or ticket that holds stand for."""
        key = (claims.cnf or {}).get("jkt", "")
        who = Principal(
            claims.sub, claims.tid or None, Role(claims.role), Via.PASSWORD, None, claims.jti, claims.sid, key,
            epoch=claims.epo, until=claims.exp,
        )  # fmt: skip
        return self._keys.narrow(who) if claims.sid.startswith(FAMILY) else self._support.lend(who)

    def _claims(self, text: str, tokens: frozenset[Standing]) -> Claims:
        for standing in _STANDINGS:
            if standing in tokens:
                try:
                    return self._tokens.verify(PURPOSES[standing], text)
                except Unauthenticated:
                    continue
        raise Unauthenticated

    def prove(self, credentials: Credentials) -> str:
        """Return the thumbprint of the client's key that a request proves to hold. Raises ``Unauthenticated``."""
        if credentials.proof is None:
            raise Unauthenticated
        token = credentials.token.reveal() if credentials.token else None
        return self._proofs.verify(credentials.proof, credentials.method, credentials.url, token)

    # -- the first administrator ---------------------------------------------------------------------------------------

    def bootstrap_code(self) -> Secret | None:
        """Return a fresh one-time code when there is no user at all, else ``None``. A code before it is dead."""
        if not self.bootstrapping:
            return None
        code = opaque.new_bootstrap_code()
        self._system.blobs().put(BOOTSTRAP, opaque.digest(self._codes, code))
        return code

    @property
    def bootstrapping(self) -> bool:
        """Whether there is no user at all yet."""
        if not self._any_user:
            self._any_user = bool(self._system.accounts().list())
        return not self._any_user

    def bootstrap(self, code: Secret, email: str, name: str, chosen: Secret, peer: Peer, key: str) -> Grant:
        """Make the first SuperAdmin. The code works once and only while there is no user."""
        least = self._rules.bounds.base.password_length
        self.passwords.check(chosen, factor=False, names=(email, name), where="password", least=least)
        with self._limits.trying(BOOTSTRAP):
            if not self.bootstrapping or self._system.blobs().take(BOOTSTRAP, opaque.digest(self._codes, code)) is None:
                self._audit.event("session.bootstrap", None, peer, "denied", {})
                raise Unauthenticated("The code is wrong or has been used.")
        epoch = self._revocation.newest()
        id_ = self._system.accounts().create(email, name, Role.SUPERADMIN, self.passwords.hash(chosen)).id
        self._audit.event("session.bootstrap", None, peer, "ok", {"id": id_, "email": email})
        return self.grants.begin(Principal(id_, None, Role.SUPERADMIN, key=key), peer, epoch, "signed in")

    # -- password ------------------------------------------------------------------------------------------------------

    def sign_in(self, tenant: str | None, email: str, given: Secret, peer: Peer, key: str) -> Grant:
        """Check a password. Unknown people cost the same time and give the same answer as wrong passwords.

        ``key`` is the thumbprint of the client's key: all that is given out is bound to it.
        """
        epoch = self._revocation.newest()
        user, place, may = self.look(email, tenant)
        device, address = self._system.grants().known(user.id if user else "", key, peer.address)
        attempt = self._tries.begin(email, tenant or "", peer.address, key, Known(device, address))
        fits = False
        if user is not None and may:
            fits = self.passwords.verify(user.password, given)
        else:
            self.passwords.burn(given)
        if user is None or not fits:
            self._limits.failed(peer)
            told = {"email": email[:254]}
            self._audit.event("session.login", None, peer, "denied", told, tenant=user.tenant if user else place)
            raise Unauthenticated(_WRONG)
        attempt.worked()
        tenant_id = user.tenant
        if user.tenant is None and tenant:
            tenant_id = self._system.tenants().named(tenant).id
            if self.grants.suspended(tenant_id):
                raise suspended()
        who = Principal(user.id, tenant_id, Role(user.role), key=key)
        self._rules.require("session.login", who, peer)
        if self.passwords.is_stale(user.password):
            with suppress(Missing):  # a new password was chosen meanwhile: that one stays
                self._system.accounts().rehash(user.id, self.passwords.hash(given), user.password)
        if self._factors.of(user.id):
            self._audit.event("session.login", who, peer, "factor", {"email": email}, tenant=tenant_id)
            return self.grants.owe(who, epoch)
        self._arrive(user, peer, key)
        if user.tenant is None and tenant_id:
            self._switch.record("session.login", who, peer)
        else:
            about = {"email": email, **({"tenant": tenant} if tenant else {})}
            self._audit.event("session.login", who, peer, "ok", about)
        return self.grants.begin(who, peer, epoch, self.grants.standing(user, tenant_id, "password"))

    def give_factor(self, who: Principal, code: Secret, peer: Peer) -> Grant:
        """Finish a sign-in with the second factor. Raises ``Invalid`` for a wrong code, ``Throttled``."""
        epoch = self._revocation.newest()
        user = self._system.accounts().account(who.id)
        if who.grant == SSO and not self._shown_here(who):
            raise Unauthenticated("Begin again: your tenant's provider has changed.")
        try:
            self._take_factor(who, user, code, peer)
        except Invalid:
            self._limits.failed(peer)
            raise
        self._arrive(user, peer, who.key)
        if who.token:  # what was given for the password is good for one sign-in
            self._system.marks().revoke(who.token, self._now() + self._settings.tokens.access + 1)
        if user.tenant is None and who.tenant:
            self._switch.record("session.login", who, peer)
        proved = f"{SSO} factor" if who.grant == SSO else _BOTH
        standing = self.grants.standing(user, who.tenant, proved)
        return self.grants.begin(replace(who, token=""), peer, epoch, standing, factors=proved)

    def _shown_here(self, who: Principal) -> bool:
        """Tell whether the provider that has shown somebody to be there is still the tenant's."""
        stored = self._system.sso().provider(who.tenant or "")
        issuer = str(stored.body.get("issuer")) if stored is not None else ""
        return self._system.sso().has_identity(who.tenant or "", who.id, issuer)

    def keeps_out(self, tenant: str, peer: Peer) -> str:
        """Return why nobody can come into a tenant from there now; empty when they can."""
        if self.grants.suspended(tenant):
            return "the tenant is suspended"
        refused = self._rules.refused_by(Principal("", tenant, Role.API_USER), peer.address)
        return f"they come from an address that is not on the list of the {refused}" if refused else ""

    def admit(self, user: Account, peer: Peer, key: str, *, factor: bool, fresh: bool) -> Grant:
        """Let in somebody whom a provider of single sign-on has shown to be there; ``factor``: by a second one, too.

        ``fresh``: it has asked them just now. Else this is no proof that it is them who sits there (step-up).
        """
        epoch = self._revocation.newest()
        user = self._system.accounts().account(user.id)
        if user.tenant is None or user.state != "active" or self.grants.suspended(user.tenant):
            raise Unauthenticated
        who = Principal(user.id, user.tenant, Role(user.role), key=key)
        self._rules.require("sso.finish", who, peer)
        if self._factors.of(user.id) and not factor:
            self._audit.event("sso.finish", who, peer, "factor", {"email": user.email})
            return self.grants.owe(replace(who, grant=SSO), epoch)
        self._arrive(user, peer, key)
        self._audit.event("sso.finish", who, peer, "ok", {"email": user.email})
        proved = f"{SSO} factor" if factor else SSO
        standing = self.grants.standing(user, user.tenant, proved)
        return self.grants.begin(who, peer, epoch, standing, factors=proved, fresh=fresh)

    def welcome(self, user: str, peer: Peer, key: str) -> Grant:
        """Sign somebody in who has just chosen a password by a link that only they have."""
        epoch = self._revocation.newest()
        found = self._system.accounts().account(user)
        shut = self.grants.suspended(found.tenant)
        if found.state != "active" or shut or (found.tenant and self._rules.fresh(found.tenant).sso_required):
            raise Unauthenticated("Sign in.")
        if self._factors.of(found.id):
            return self.grants.owe(Principal(found.id, found.tenant, found.role, key=key), epoch)
        self._arrive(found, peer, key)
        who = Principal(found.id, found.tenant, found.role, key=key)
        return self.grants.begin(who, peer, epoch, self.grants.standing(found, found.tenant, "password"))

    def _arrive(self, user: Account, peer: Peer, key: str) -> None:
        """Write down that somebody is here; a device that is new is told to them (SEC-A18)."""
        with self._system.transaction():
            if self._system.signins().is_new(user.id, key, peer.address):
                self._notices.tell(user, "device", peer)
            self._system.accounts().touch_sign_in(user.id)

    def proved(self, who: Principal, *, factor: bool) -> None:
        """Write down that somebody has proved who they are now. What they came in by stays what it was."""
        grants = self._system.grants()
        by = grants.factors(who.grant)
        if factor:
            by = f"{by.partition(' ')[0] or 'password'} factor"
        grants.prove(who.grant, by if by.startswith(SSO) or factor else "password")

    def require_fresh(self, who: Principal) -> None:
        """Raise ``StepUp`` when a person has not proved who they are for a while.

        Raises ``Unauthenticated`` when the sign-in has ended since the request came in.
        """
        if who.via is not Via.PASSWORD:
            return
        proved = self._system.grants().proved(who.grant)
        if proved is None:
            raise Unauthenticated
        if self._now() - proved > FRESH:
            raise StepUp(
                "Prove once more that it is you: this needs a sign-in of the last 5 minutes.",
                hint="Run: sluice prove",
            )

    def prove_again(self, who: Principal, given: Secret, code: Secret | None, peer: Peer) -> None:
        """Take password and, from who has one, a second factor once more (step-up)."""
        user = self._person(who)
        with self._limits.trying(f"prove/{who.id}"):
            if not self.passwords.verify(user.password, given):
                self._limits.failed(peer)
                raise Denied("The password is wrong.")
        owes = bool(self._factors.of(who.id))
        if owes:
            if code is None:
                raise Invalid("is required: you have a second factor", where="code")
            self._take_factor(who, user, code, peer)
        self.proved(who, factor=owes)

    def _take_factor(self, who: Principal, user: Account, code: Secret, peer: Peer) -> None:
        if self._factors.check(who.id, who.tenant, code):
            self._notices.tell(user, "code_used", peer)

    def _person(self, who: Principal) -> Account:
        user = self._system.accounts().account(who.id)
        if not user.password:  # a service user, or somebody who has come by single sign-on alone
            raise Denied("You have no password here.")
        if user.tenant is not None and self._rules.policy(user.tenant).sso_required:
            raise Denied("Your tenant wants single sign-on, and takes no password.")
        return user

    def look(self, email: str, tenant: str | None) -> tuple[Account | None, str | None, bool]:
        """Return whose address this is, the id of the tenant named, and whether that person may come in at all.

        It is somebody's in that tenant, or a SuperAdmin's; without a tenant, the only one's. The store is asked the
        same questions whatever there is to find: that there were fewer could be heard (SEC-A07, ``make timing``).
        """
        found = self._system.accounts().find(email)
        place = self._tenant(lambda tenants: tenants.named(tenant or _NO_NAME))
        if tenant is None:
            user = found[0] if len(found) == 1 or (found and found[0].tenant is None) else None
        else:
            here = [each for each in found if place is not None and each.tenant == place.id]
            above = [each for each in found if place is not None and each.tenant is None]
            user = next(iter(here + above), None)
        home = self._tenant(lambda tenants: tenants.get(user.tenant or "" if user is not None else ""))
        shut = user is not None and user.tenant is not None and (home is None or _bars_passwords(home))
        may = user is not None and user.password != "" and user.state == "active" and not shut
        return user, place.id if place is not None else None, may

    def _tenant(self, ask: Callable[[Tenants], Tenant]) -> Tenant | None:
        try:
            return ask(self._system.tenants())
        except Missing:
            return None

    def change_password(self, who: Principal, old: Secret, new: Secret, peer: Peer) -> None:
        """Replace one's own password and end all other sign-ins."""
        user = self._person(who)
        with self._limits.trying(f"change/{who.id}"):
            if not self.passwords.verify(user.password, old):
                self._limits.failed(peer)
                raise Denied("The old password is wrong.")
        self.judge(user, who.tenant, new, old=old, where="new")
        hashed = self.passwords.hash(new)
        with self._system.transaction():
            try:
                self._system.accounts().set_password(who.id, hashed, must_change=False, was=user.password)
            except Missing:
                raise Conflict("The password was changed by somebody else meanwhile.", hint="Sign in again.") from None
            self._system.grants().kill_user(who.id)
            self._notices.tell(user, "password_changed", peer)

    def judge(self, user: Account, tenant: str | None, new: Secret, *, old: Secret | None = None, where: str) -> None:
        """Refuse a new password of somebody that does not do. Raises ``Invalid``."""
        names = [user.email, user.name]
        if tenant:
            names.append(self._system.tenants().get(tenant).name)
        factor, least = bool(self._factors.of(user.id)), self._rules.fresh(tenant).password_length
        self.passwords.check(new, factor=factor, names=names, old=old, where=where, least=least)

    def new_password(self) -> tuple[Secret, str]:
        """Return a one-time password and its hash."""
        return self.passwords.make()


def _bars_passwords(tenant: Tenant) -> bool:
    return tenant.state != "active" or bool(policy_of(tenant).sso_required)
