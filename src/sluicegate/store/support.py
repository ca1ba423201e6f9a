"""Support access: for how long a tenant lets a SuperAdmin see what is the tenant's alone. What ended stays listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from sluicegate.base.errors import Missing
from sluicegate.base.permission import Permission
from sluicegate.store.database import pack, unpack
from sluicegate.store.marks import announce_rules
from sluicegate.store.tables import support as s

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Row

    from sluicegate.store.scope import Scope, System


@dataclass(frozen=True, slots=True)
class Access:
    """One support access."""

    id: str
    tenant: str
    user: str | None
    """The SuperAdmin it is for; any of them when ``None``."""
    email: str
    """Their address when it was given; empty for any."""
    scopes: frozenset[Permission]
    """What they may in the tenant, beside what their role may."""
    reason: str
    created: float
    created_by: str
    expires: float
    ended: float | None = None
    ended_by: str = ""

    def holds(self, now: float) -> bool:
        """Tell whether it holds now."""
        return self.ended is None and now < self.expires


_ACCESS = (
    s.c.id, s.c.tenant_id, s.c.user_id, s.c.email, s.c.scopes, s.c.reason, s.c.created, s.c.created_by, s.c.expires,
    s.c.ended, s.c.ended_by,
)  # fmt: skip


class Support:
    """The support accesses of one tenant. One of another tenant is missing, whatever is asked (SEC-Z03)."""

    def __init__(self, reach: Scope) -> None:
        self._reach = reach

    def grant(
        self, id_: str, user: str | None, email: str, scopes: frozenset[Permission], reason: str, *, expires: float
    ) -> Access:
        """Add one; every node hears of it. Raises ``Conflict`` when there is no such user, or the id is taken."""
        now = self._reach.database.clock()
        made = Access(id_, self._reach.tenant, user, email, scopes, reason, now, self._reach.author, expires)
        row = {
            "id": made.id, "tenant_id": made.tenant, "user_id": user, "email": email, "scopes": pack(sorted(scopes)),
            "reason": reason, "created": now, "created_by": made.created_by, "expires": expires, "ended_by": "",
        }  # fmt: skip
        with self._reach.writing() as connection:
            announce_rules(self._reach.database, self._reach.tenant)
            connection.execute(insert(s), row)
        return made

    def list(self) -> list[Access]:
        """Return all, the newest first."""
        with self._reach.reading() as connection:
            rows = connection.execute(select(*_ACCESS).where(self._mine()).order_by(s.c.id.desc()))
            return [_access(row) for row in rows]

    def end(self, access: str) -> bool:
        """End one; every node hears of it. Tell whether it held until now. Raises ``Missing``."""
        now = self._reach.database.clock()
        ended = update(s).where(s.c.id == access, self._mine(), s.c.ended.is_(None), s.c.expires > now)
        with self._reach.writing() as connection:
            announce_rules(self._reach.database, self._reach.tenant)
            if connection.execute(ended.values(ended=now, ended_by=self._reach.author)).rowcount:
                return True
            found = connection.execute(select(s.c.id).where(s.c.id == access, self._mine())).first()
        if found is None:
            raise Missing("There is no such support access.")
        return False

    def _mine(self) -> ColumnElement[bool]:
        return s.c.tenant_id == self._reach.tenant


class AllSupport:
    """The support accesses of all tenants: what tells whether a SuperAdmin has one."""

    def __init__(self, system: System) -> None:
        self._system = system

    def holding(self, tenant: str) -> tuple[Access, ...]:
        """Return those that hold in a tenant now."""
        now = self._system.database.clock()
        asked = select(*_ACCESS).where(s.c.tenant_id == tenant, s.c.ended.is_(None), s.c.expires > now)
        with self._system.reading() as connection:
            return tuple(_access(row) for row in connection.execute(asked.order_by(s.c.id)))


def _access(row: Row[*tuple[Any, ...]]) -> Access:
    scopes = frozenset(Permission(each) for each in unpack(row.scopes))
    return Access(
        row.id, row.tenant_id, row.user_id, row.email, scopes, row.reason, row.created, row.created_by, row.expires,
        row.ended, row.ended_by,
    )  # fmt: skip
