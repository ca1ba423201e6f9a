"""A new e-mail address: it counts once its owner has opened the link sent there; the old one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.base import clock
from sluicegate.base.errors import Invalid, Throttled, Unavailable
from sluicegate.base.principal import Principal
from sluicegate.guard.limits import Meter
from sluicegate.guard.mail import mailbox

if TYPE_CHECKING:
    from typing import Final

    from sluicegate.base.principal import Peer
    from sluicegate.base.secret import Secret
    from sluicegate.base.settings import Settings
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.links import Links
    from sluicegate.guard.mail import Mail
    from sluicegate.guard.notices import Notices
    from sluicegate.guard.rules import Rules
    from sluicegate.store.scope import System

EACH: Final = "5/hour"
"""Times that one person may ask: each sends a mail to an address of their choice."""

_TEXT = """\
Somebody wants to use this address for their account in Sluicegate: {old}

Open this link to confirm that it is you. It works once, until {until}:

{link}

If you do not know what this is about, do nothing.
"""


class Profile:
    """Changes addresses."""

    def __init__(
        self,
        settings: Settings,
        system: System,
        audit: Audit,
        rules: Rules,
        links: Links,
        mail: Mail,
        notices: Notices,
        now: clock.Clock = clock.system,
    ) -> None:
        """Count from zero."""
        self._settings, self._system, self._audit, self._rules = settings, system, audit, rules
        self._links, self._mail, self._notices = links, mail, notices
        self._tries = Meter(EACH, now)

    def ask_email(self, who: Principal, email: str) -> None:
        """Send a link to a new address. Whether somebody has it already is not told (SEC-A07).

        Raises ``Unavailable`` without a relay, ``Invalid``, ``Throttled``.
        """
        if not self._mail.on:
            raise Unavailable(
                "No mail is set up here, so an address cannot be confirmed.", hint="See docs/howto/people."
            )
        mailbox(email)
        user = self._system.accounts().get(who.id)
        if email.strip().casefold() == user.email:
            raise Invalid("this is your address already", where="email")
        if not self._tries.count(who.id):
            raise Throttled("Too many new addresses.", after=self._tries.wait(who.id))
        with self._system.transaction():
            token, made = self._links.make("email", user, self._settings.links.email * 60.0, email=email)
            link = self._mail.link("email", token)
            text = _TEXT.format(old=user.email, until=clock.iso(made.expires), link=link)
            self._mail.put("email", user, "Sluicegate: Confirm your address", text, to=email, link=made)

    def confirm(self, token: Secret, peer: Peer) -> None:
        """Change an address by the link that was sent there, and tell the old one.

        Raises ``Unauthenticated`` for a link that is not good, also since its owner or their tenant may not work now;
        ``Denied`` from where they may not come, ``Conflict`` when somebody has the address.
        """
        link = self._links.find("email", token, peer)
        user = self._system.accounts().get(link.user)
        shut = user.tenant is not None and self._system.tenants().get(user.tenant).state != "active"
        if user.state != "active" or shut:
            self._links.refuse(peer)
        who = Principal(user.id, user.tenant, user.role)
        self._rules.require("profile.confirm", who, peer)
        with self._system.transaction():
            self._links.take("email", token, peer)
            self._system.accounts().set_email(user.id, link.email)
            self._notices.tell(user, "email_changed", peer, to=user.email, old=user.email)
            about = {"id": user.id, "email": link.email}
            self._audit.event("profile.confirm", who, peer, "ok", about)
