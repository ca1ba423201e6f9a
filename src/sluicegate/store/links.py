"""One-time links: invitation, password reset, a new e-mail address. Only digests of what they carry are kept."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, Update, delete, func, insert, or_, select, update

from sluicegate.base.model import new_id
from sluicegate.store.tables import links as n
from sluicegate.store.tables import users

if TYPE_CHECKING:
    from sluicegate.store.people import User
    from sluicegate.store.scope import System

KEPT = 30 * 86400.0
"""Seconds for which a link that is over is remembered."""


class Purpose(StrEnum):
    """What a link is good for."""

    INVITATION = "invitation"
    RESET = "reset"
    EMAIL = "email"


class Link(NamedTuple):
    """One link."""

    id: str
    user: str
    tenant: str | None
    purpose: Purpose
    email: str
    """Where it was sent, or would have been."""
    created: float
    expires: float


_LINK = (n.c.id, n.c.user_id, n.c.tenant_id, n.c.purpose, n.c.email, n.c.created, n.c.expires)


class Links:
    """All one-time links."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add(self, user: User, purpose: str, digest: bytes, email: str, expires: float) -> Link:
        """Add a link; those of this user and purpose before it are over."""
        now = self._system.database.clock()
        made = Link(new_id(), user.id, user.tenant, Purpose(purpose), email, now, expires)
        row = {"user_id": user.id, "tenant_id": user.tenant, **made._asdict()}
        with self._system.writing() as connection:
            connection.execute(self._over(n.c.user_id == user.id, n.c.purpose == purpose))
            known = {name: value for name, value in row.items() if name in n.c}
            connection.execute(insert(n), {**known, "digest": digest, "epoch": user.epoch, "ended": None})
        return made

    def find(self, purpose: str, digest: bytes) -> Link | None:
        """Return the link with this digest while it is good."""
        with self._system.reading() as connection:
            row = connection.execute(select(*_LINK).where(*self._good(purpose, digest))).first()
        return None if row is None else Link(*row[:3], Purpose(row.purpose), *row[4:])

    def take(self, purpose: str, digest: bytes) -> bool:
        """Use a link up; of many callers exactly one gets ``True``."""
        with self._system.writing() as connection:
            return connection.execute(self._over(*self._good(purpose, digest))).rowcount == 1

    def end(self, user: str, purpose: str) -> int:
        """End the links of a user; return how many were good."""
        with self._system.writing() as connection:
            return connection.execute(self._over(n.c.user_id == user, n.c.purpose == purpose)).rowcount

    def holds(self, link: str) -> bool:
        """Tell whether the link with this id is good."""
        with self._system.reading() as connection:
            return connection.execute(select(n.c.id).where(n.c.id == link, *self._alive())).first() is not None

    def waiting(self, users_: Iterable[str], purpose: str) -> dict[str, float]:
        """Return until when each of these users has a link that is good."""
        asked = select(n.c.user_id, func.max(n.c.expires)).where(
            n.c.user_id.in_(list(users_)), n.c.purpose == purpose, n.c.ended.is_(None)
        )
        with self._system.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(asked.group_by(n.c.user_id))}

    def purge(self) -> int:
        """Delete what has been over for long; return how many."""
        before = self._system.database.clock() - KEPT
        with self._system.writing() as connection:
            return connection.execute(delete(n).where(or_(n.c.expires <= before, n.c.ended <= before))).rowcount

    def _good(self, purpose: str, digest: bytes) -> tuple[ColumnElement[bool], ...]:
        return (n.c.digest == digest, n.c.purpose == purpose, *self._alive())

    def _alive(self) -> tuple[ColumnElement[bool], ...]:
        """Say which links are good. A change of the user that makes tokens void ends links, too, but no invitation."""
        same = select(users.c.id).where(users.c.id == n.c.user_id, users.c.epoch == n.c.epoch).exists()
        return (
            n.c.ended.is_(None),
            n.c.expires > self._system.database.clock(),
            or_(n.c.purpose == Purpose.INVITATION, same),
        )

    def _over(self, *which: ColumnElement[bool]) -> Update:
        return update(n).where(n.c.ended.is_(None), *which).values(ended=self._system.database.clock())
