"""One-time tickets, by their digest: any node takes one, and of many takers exactly one gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import Double, bindparam, delete, func, insert, select, update

from sluicegate.base.errors import Throttled
from sluicegate.store.tables import tickets as t

if TYPE_CHECKING:
    from sluicegate.store.scope import System

KEPT: Final = 600.0
"""Seconds that a ticket is remembered after it ended, so that one who uses it again is known as such."""
WAITING_MAX: Final = 50
"""Tickets of one user that wait to be used."""


class Ticket(NamedTuple):
    """A ticket as it is kept."""

    user: str
    tenant: str | None
    sealed: bytes
    expires: float


_TICKET = (t.c.user_id, t.c.tenant_id, t.c.sealed, t.c.expires)
_NOW = bindparam("now", type_=Double)
_TAKE = (
    update(t)
    .where(t.c.digest == bindparam("ticket"), t.c.used.is_(None), t.c.expires > _NOW)
    .values(used=_NOW)
    .returning(*_TICKET)
)
_USED = select(*_TICKET).where(t.c.digest == bindparam("ticket"), t.c.used.is_not(None))
_WAITING = (
    select(func.count()).select_from(t).where(t.c.user_id == bindparam("user"), t.c.used.is_(None), t.c.expires > _NOW)
)


class Tickets:
    """All tickets."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add(self, digest: bytes, user: str, tenant: str | None, sealed: bytes, expires: float) -> None:
        """Keep a ticket until it is taken or ends. Raises ``Throttled`` when too many of the user's wait."""
        now = self._system.database.clock()
        row = {
            "digest": digest,
            "user_id": user,
            "tenant_id": tenant,
            "sealed": sealed,
            "expires": expires,
            "used": None,
        }
        with self._system.writing() as connection:
            if (connection.scalar(_WAITING, {"user": user, "now": now}) or 0) >= WAITING_MAX:
                raise Throttled("Too many of your tickets wait to be used.", after=max(1.0, expires - now))
            connection.execute(insert(t), row)

    def take(self, digest: bytes) -> Ticket | None:
        """Use a ticket up; ``None`` when there is none, it has ended or has been used."""
        with self._system.writing() as connection:
            row = connection.execute(_TAKE, {"ticket": digest, "now": self._system.database.clock()}).first()
        return Ticket(row.user_id, row.tenant_id, bytes(row.sealed), row.expires) if row else None

    def used(self, digest: bytes) -> Ticket | None:
        """Return a ticket that has been used up already, if this is one."""
        with self._system.reading() as connection:
            row = connection.execute(_USED, {"ticket": digest}).first()
        return Ticket(row.user_id, row.tenant_id, bytes(row.sealed), row.expires) if row else None

    def purge(self) -> int:
        """Forget those that ended long ago; return how many."""
        with self._system.writing() as connection:
            return connection.execute(delete(t).where(t.c.expires < self._system.database.clock() - KEPT)).rowcount
