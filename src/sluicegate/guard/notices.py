"""What people are told when something happens to their account: one table, shown on their profile and sent by mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Missing, Throttled

if TYPE_CHECKING:
    from sluicegate.base.principal import Peer
    from sluicegate.guard.mail import Mail
    from sluicegate.store.people import User
    from sluicegate.store.scope import System


class Notice(NamedTuple):
    """How one kind of notice is worded."""

    subject: str
    text: str
    advice: str


_YOURS: Final = (
    "If this was not you: choose a new password, end your other sign-ins, and tell an administrator of your tenant."
)
_KEY: Final = "Make a new key where the old one was in use, and ask how it came to that."

NOTICES: Final[Mapping[str, Notice]] = {
    "device": Notice("New sign-in", "Somebody signed in to your account from a device not seen before.", _YOURS),
    "factor_added": Notice("Second factor added", "A second factor was added to your account.", _YOURS),
    "factor_removed": Notice("Second factor removed", "A second factor was removed from your account.", _YOURS),
    "factor_reset": Notice(
        "Second factors reset", "An administrator took all second factors of your account away.", _YOURS
    ),
    "codes_replaced": Notice("Recovery codes replaced", "The recovery codes of your account were replaced.", _YOURS),
    "code_used": Notice("Recovery code used", "Somebody signed in to your account with a recovery code.", _YOURS),
    "password_changed": Notice("Password changed", "The password of your account was changed.", _YOURS),
    "password_reset": Notice(
        "Password reset", "The password of your account was set anew through a one-time link.", _YOURS
    ),
    "email_changed": Notice("E-mail address changed", "The e-mail address of your account was changed.", _YOURS),
    "key_leaked": Notice(
        "API key leaked", "Somebody found one of your API keys where it should not be. It has ended.", _KEY
    ),
    "key_unused": Notice("API key ended", "One of your API keys was not used for long. It has ended.", _KEY),
}


class Notices:
    """Tells people, in the transaction of what happened: one that does not happen is not told."""

    def __init__(self, system: System, mail: Mail) -> None:
        """Write notices to the store, and hand them to ``mail``."""
        self._system, self._mail = system, mail

    def tell(self, user: User, kind: str, peer: Peer | None = None, *, to: str = "", **about: str) -> None:
        """Tell a user what happened to their account: on their profile and, from an active person's, by mail.

        ``to``: another address than the one of the account. ``about`` is shown on the profile alone.
        """
        said = NOTICES[kind]
        shown = {**({"address": peer.address, "client": peer.client[:200]} if peer else {}), **about}
        made = self._system.notices().add(user.id, user.tenant, kind, shown)
        if user.kind != "person" or user.state != "active":
            return
        came = f"From: {peer.address}\n" if peer else ""
        text = f"{said.text}\n\nAccount: {user.email}\nWhen: {clock.iso(made.at)}\n{came}\n{said.advice}\n"
        try:
            self._mail.put(f"notice.{kind}", user, f"Sluicegate: {said.subject}", text, to=to)
        except Throttled:
            return  # the outbox is full: it stands on the profile

    def tell_of(self, user: str, kind: str, peer: Peer | None = None, **about: str) -> None:
        """Tell the user with this id; nobody when there is none any more."""
        try:
            found = self._system.accounts().get(user)
        except Missing:
            return
        self.tell(found, kind, peer, **about)
