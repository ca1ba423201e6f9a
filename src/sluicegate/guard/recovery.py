"""Who has forgotten their password gets a link, by mail or from an administrator, and chooses a new one.

What a stranger asks is only put aside; who it is, and whether to write to them, is looked at in the background. So
neither an answer nor its time tells who exists (SEC-A07).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Denied, Throttled
from sluicegate.base.networks import site
from sluicegate.base.principal import Peer, Principal
from sluicegate.base.secret import Secret
from sluicegate.guard import policy
from sluicegate.guard.invitations import Sent
from sluicegate.guard.limits import Meter

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.links import Links
    from sluicegate.guard.login import Login
    from sluicegate.guard.mail import Mail
    from sluicegate.guard.notices import Notices
    from sluicegate.guard.rules import Rules
    from sluicegate.store.people import Account, User
    from sluicegate.store.scope import Scope, System

ADDRESS: Final = "20/hour"
"""Times that one address may say it forgot a password; over it, it is told to wait."""
ACCOUNT: Final = "3/hour"
"""Mails to one account, whether it exists or not; over it, the answer stays the same and nothing is sent."""
EVERYBODY: Final = "600/hour"
"""Times in all."""

_TEXT = """\
{why}

Open this link to choose a new password. It works once, until {until}:

{link}

Your second factor stays as it is. If you did not ask for this, do nothing: your password stays, too.
"""


class Recovery:
    """Sends links for a new password, and takes them."""

    def __init__(
        self,
        settings: Settings,
        system: System,
        audit: Audit,
        rules: Rules,
        links: Links,
        mail: Mail,
        login: Login,
        notices: Notices,
        now: clock.Clock = clock.system,
    ) -> None:
        """Count from zero."""
        self._settings, self._system, self._audit, self._rules = settings, system, audit, rules
        self._links, self._mail, self._login, self._notices = links, mail, login, notices
        self._address, self._account = Meter(ADDRESS, now), Meter(ACCOUNT, now)
        self._everybody = Meter(EVERYBODY, now)

    def forgot(self, tenant: str | None, email: str, peer: Peer) -> None:
        """Put aside that somebody forgot their password. Nothing is looked up here. Raises ``Throttled``."""
        for meter, key in ((self._address, site(peer.address)), (self._everybody, "")):
            if not meter.count(key):
                raise Throttled("Too many password resets.", after=meter.wait(key))
        account = _key(tenant or "", email.strip().casefold())
        if self._account.count(account) and self._mail.on:
            self._mail.ask({"tenant": tenant or "", "email": email, "address": peer.address, "request": peer.request})

    def answer(self, body: dict[str, str]) -> None:
        """Write to who forgot their password, if it is somebody who signs in with one; on record either way."""
        peer = Peer(body["address"], request=body["request"])
        user, place, may = self._login.look(body["email"], body["tenant"] or None)
        if user is None or not may or not user.password:
            told = {"email": body["email"][:254]}
            home = user.tenant if user else place
            self._audit.event("password.forgot", None, peer, "unknown", told, tenant=home)
            return
        with self._system.transaction():
            self._send(user, f"Somebody at {peer.address} says that you forgot your password.")
            about = {"id": user.id, "email": user.email}
            self._audit.event("password.forgot", None, peer, "ok", about, tenant=user.tenant)

    def offer(self, scope: Scope, user: str) -> Sent:
        """Send a link on an administrator's word. Nobody chooses another's password (SEC-A17).

        Raises ``Missing``, ``Denied`` for oneself and whoever is above, ``Conflict`` for who has no password.
        """
        found = self._system.accounts().account(scope.people().get(user).id)
        if not policy.may_give(scope.who, found.role):
            raise Denied("Nobody resets a role above their own.")
        if found.id == scope.who.id:
            raise Denied("Nobody resets themselves.", hint="Run: sluice passwd")
        if not self._has_password(found):
            raise Conflict("This user is not active, or signs in without a password.")
        by = self._system.accounts().get(scope.who.id).email
        with self._system.transaction():
            return self._send(found, f"{by} wants you to choose a new password.")

    def reset(self, token: Secret, new: Secret, peer: Peer) -> None:
        """Set a new password by a link, and end all sign-ins. Second factors stay, and are asked for.

        Raises ``Unauthenticated`` for a link that is not good, ``Invalid`` for a password that does not do.
        """
        link = self._links.find("reset", token, peer)
        user = self._system.accounts().account(link.user)
        if not self._has_password(user):
            self._links.refuse(peer)
        who = Principal(user.id, user.tenant, user.role)
        self._rules.require("password.reset", who, peer)
        self._login.judge(user, user.tenant, new, where="password")
        hashed = self._login.passwords.hash(new)
        with self._system.transaction():
            self._links.take("reset", token, peer)
            self._system.accounts().set_password(user.id, hashed)
            self._system.grants().kill_user(user.id)
            self._notices.tell(user, "password_reset", peer)
            self._audit.event("password.reset", who, peer, "ok", {"id": user.id, "email": user.email})

    def _has_password(self, user: Account) -> bool:
        if user.kind != "person" or user.state != "active" or not user.password:
            return False
        if user.tenant is None:
            return True
        shut = self._system.tenants().get(user.tenant).state != "active"
        return not shut and not self._rules.fresh(user.tenant).sso_required

    def _send(self, user: User, why: str) -> Sent:
        token, made = self._links.make("reset", user, self._settings.links.reset * 60.0)
        link = self._mail.link("reset", token)
        text = _TEXT.format(why=why, until=clock.iso(made.expires), link=link)
        sent = self._mail.put("reset", user, "Sluicegate: New password", text, link=made)
        return Sent(user, made.expires, None if sent else Secret(link))


def _key(*parts: str) -> str:
    """Return a short key for texts of strangers."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
