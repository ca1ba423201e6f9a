"""Invitations: somebody is asked to come by a link, chooses a name and a password, and is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Denied, Missing
from sluicegate.base.principal import Principal, Role
from sluicegate.base.secret import Secret
from sluicegate.guard import policy
from sluicegate.guard.mail import mailbox

if TYPE_CHECKING:
    from sluicegate.base.principal import Peer
    from sluicegate.base.settings import Settings
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.grants import Grant
    from sluicegate.guard.links import Links
    from sluicegate.guard.login import Login
    from sluicegate.guard.mail import Mail
    from sluicegate.guard.rules import Rules
    from sluicegate.store.people import User
    from sluicegate.store.scope import Scope, System

_TEXT = """\
{by} invites you to Sluicegate, tenant {tenant}, as {role}.

Open this link to choose your password. It works once, until {until}:

{link}

If you do not know what this is about, do nothing.
"""


class Sent(NamedTuple):
    """What became of a link."""

    user: User
    expires: float
    link: Secret | None
    """The link itself, to be copied, when there is no relay to send it through. Shown this once."""


class Invitations:
    """Asks people to come, and lets them in."""

    def __init__(
        self,
        settings: Settings,
        system: System,
        audit: Audit,
        rules: Rules,
        links: Links,
        mail: Mail,
        login: Login,
    ) -> None:
        """Hold what it takes."""
        self._settings, self._system, self._audit, self._rules = settings, system, audit, rules
        self._links, self._mail, self._login = links, mail, login

    def invite(self, scope: Scope, email: str, name: str, role: Role) -> Sent:
        """Add a user who has yet to come, and send the link. Raises ``Conflict``, ``Denied``, ``Invalid``."""
        if self._mail.on:
            mailbox(email)
        with self._system.transaction():
            return self._send(scope, scope.people().invite(email, name, role))

    def resend(self, scope: Scope, user: str) -> Sent:
        """Send a new link; the one before it is dead. Raises ``Missing``, ``Denied``."""
        with self._system.transaction():
            return self._send(scope, self._invited(scope, user))

    def cancel(self, scope: Scope, user: str) -> None:
        """End an invitation: the link is dead, the user deactivated. Raises ``Missing``, ``Denied``."""
        from sluicegate.store.people import UserState

        with self._system.transaction():
            found = self._invited(scope, user)
            self._system.links().end(found.id, "invitation")
            scope.people().set_state(found.id, UserState.DISABLED)

    def _invited(self, scope: Scope, user: str) -> User:
        found = scope.people().get(user)
        if not policy.may_give(scope.who, found.role):
            raise Denied("Nobody invites to a role above their own.")
        if found.state != "invited":
            raise Conflict("This user has no invitation that waits.", hint="'sluice user list' shows states.")
        return found

    def _send(self, scope: Scope, user: User) -> Sent:
        tenant = self._system.tenants().get(scope.tenant)
        hours = self._rules.fresh(tenant.id).invitation_hours
        token, made = self._links.make("invitation", user, hours * 3600.0)
        link = self._mail.link("invitation", token)
        by = self._system.accounts().get(scope.who.id).email
        text = _TEXT.format(by=by, tenant=tenant.name, role=user.role.value, until=clock.iso(made.expires), link=link)
        sent = self._mail.put("invitation", user, "Sluicegate: Invitation", text, link=made)
        return Sent(user, made.expires, None if sent else Secret(link))

    def accept(self, token: Secret, name: str, chosen: Secret, peer: Peer, key: str) -> Grant:
        """Let somebody in who was invited, and sign them in as ``Login.sign_in`` does. Of many callers one is let in.

        Raises ``Unauthenticated`` for a link that is not good, ``Invalid`` for a password that does not do.
        """
        link = self._links.find("invitation", token, peer)
        user = self._system.accounts().get(link.user)
        tenant = self._system.tenants().get(link.tenant or "")
        if user.state != "invited" or tenant.state != "active":
            self._links.refuse(peer)
        if self._rules.fresh(tenant.id).sso_required:  # the link stays good, should that change
            raise Denied("Your tenant wants single sign-on: sign in by that, and you are in.")
        who = Principal(user.id, user.tenant, user.role, key=key)
        self._rules.require("invitation.accept", who, peer)
        passwords = self._login.passwords
        passwords.check(
            chosen,
            factor=False,
            names=(user.email, name, tenant.name),
            where="password",
            least=self._rules.fresh(tenant.id).password_length,
        )
        hashed = passwords.hash(chosen)
        about = {"id": user.id, "email": user.email}
        with self._system.transaction():
            self._links.take("invitation", token, peer)
            try:
                self._system.accounts().accept(user.id, name, hashed)
            except Missing:
                self._links.refuse(peer)
            self._audit.event("invitation.accept", who, peer, "ok", about)
        return self._login.welcome(user.id, peer, key)
