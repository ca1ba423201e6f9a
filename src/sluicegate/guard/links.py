"""One-time links: 256 random bits that the server knows by their digest only, each good for one thing, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn

from sluicegate.base import clock
from sluicegate.base.errors import Unauthenticated
from sluicegate.crypto import opaque
from sluicegate.crypto.keys import Key, derive

if TYPE_CHECKING:
    from sluicegate.base.principal import Peer
    from sluicegate.base.secret import Secret
    from sluicegate.guard.limits import Limits
    from sluicegate.store.links import Link
    from sluicegate.store.people import User
    from sluicegate.store.scope import System

For = Literal["invitation", "reset", "email"]


class Links:
    """Makes links and takes them. Each purpose has a key of its own: no link is good for another (SEC-T17)."""

    def __init__(self, root: Key, system: System, limits: Limits, now: clock.Clock = clock.system) -> None:
        """Derive the keys from ``root``."""
        self._keys: dict[For, Key] = {
            "invitation": derive(root, "link-invitation"),
            "reset": derive(root, "link-reset"),
            "email": derive(root, "link-email"),
        }
        self._system, self._limits, self._now = system, limits, now

    def make(self, purpose: For, user: User, seconds: float, *, email: str = "") -> tuple[Secret, Link]:
        """Return what a link carries; the user's links of this purpose before it are over."""
        token = opaque.new_link()
        digest = opaque.digest(self._keys[purpose], token)
        made = self._system.links().add(user, purpose, digest, email or user.email, self._now() + seconds)
        return token, made

    def find(self, purpose: For, token: Secret, peer: Peer) -> Link:
        """Return a link that is good. ``Unauthenticated`` is the same for one that is wrong, used, ended or over."""
        found = self._system.links().find(purpose, opaque.digest(self._keys[purpose], token))
        if found is None:
            self.refuse(peer)
        return found

    def take(self, purpose: For, token: Secret, peer: Peer) -> None:
        """Use a link up, once; ``Unauthenticated`` for all but the first."""
        if not self._system.links().take(purpose, opaque.digest(self._keys[purpose], token)):
            self.refuse(peer)

    def refuse(self, peer: Peer) -> NoReturn:
        """Raise the one answer for a link that is not good, and count it."""
        self._limits.failed(peer)
        raise Unauthenticated("The link is wrong, has been used, or is over.", hint="Ask for a new one.")
