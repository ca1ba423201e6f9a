"""Second factors and recovery codes: what sign-in needs of them. Seeds are sealed, codes are kept as digests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from sluicegate.base.errors import Missing
from sluicegate.base.model import new_id
from sluicegate.store.tables import factors as f
from sluicegate.store.tables import recovery_codes as r

if TYPE_CHECKING:
    from sluicegate.store.scope import System


class Factor(NamedTuple):
    """One second factor. It counts once it is ``active``: when a first code has shown that its seed arrived."""

    id: str
    user: str
    kind: str
    name: str
    sealed: bytes
    active: bool
    last_step: int
    created: float
    used: float | None


_FACTOR = (f.c.id, f.c.user_id, f.c.kind, f.c.name, f.c.sealed, f.c.active, f.c.last_step, f.c.created, f.c.used)


class Factors:
    """All second factors and recovery codes."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add(self, user: str, tenant: str | None, name: str, sealed: bytes, *, id_: str | None = None) -> Factor:
        """Add a TOTP seed that does not count yet; one that was begun before and never confirmed is gone."""
        now = self._system.database.clock()
        made = Factor(id_ or new_id(), user, "totp", name, sealed, active=False, last_step=0, created=now, used=None)
        row = dict(zip((column.name for column in _FACTOR), made, strict=True))
        with self._system.writing() as connection:
            connection.execute(delete(f).where(f.c.user_id == user, f.c.active.is_(False)))
            connection.execute(insert(f), {**row, "tenant_id": tenant})
        return made

    def of(self, user: str) -> tuple[Factor, ...]:
        """Return the factors of a user, the oldest first, those that do not count yet included."""
        with self._system.reading() as connection:
            rows = connection.execute(select(*_FACTOR).where(f.c.user_id == user).order_by(f.c.id)).all()
        return tuple(Factor(*row) for row in rows)

    def owners(self, users: Iterable[str]) -> frozenset[str]:
        """Return which of these users have a factor that counts."""
        asked = select(f.c.user_id).where(f.c.user_id.in_(list(users)), f.c.active.is_(True))
        with self._system.reading() as connection:
            return frozenset(connection.scalars(asked))

    def use(self, factor: str, step: int, *, activate: bool = False) -> bool:
        """Use up a step and all before it; of many callers with one code exactly one gets ``True`` (SEC-A09)."""
        values = {"last_step": step, "used": self._system.database.clock(), **({"active": True} if activate else {})}
        mine = update(f).where(f.c.id == factor, f.c.last_step < step)
        with self._system.writing() as connection:
            return connection.execute(mine.values(**values)).rowcount == 1

    def remove(self, user: str, factor: str) -> None:
        """Take a factor of this user away; with the last one go the recovery codes. Raises ``Missing``."""
        with self._system.writing() as connection:
            if not connection.execute(delete(f).where(f.c.id == factor, f.c.user_id == user)).rowcount:
                raise Missing("There is no such factor.")
            if not connection.scalar(select(func.count()).where(f.c.user_id == user, f.c.active.is_(True))):
                connection.execute(delete(r).where(r.c.user_id == user))

    def clear(self, user: str) -> None:
        """Take all factors and codes of a user away."""
        with self._system.writing() as connection:
            connection.execute(delete(f).where(f.c.user_id == user))
            connection.execute(delete(r).where(r.c.user_id == user))

    def put_codes(self, user: str, tenant: str | None, digests: Iterable[bytes]) -> None:
        """Replace the recovery codes of a user."""
        rows = [{"digest": each, "user_id": user, "tenant_id": tenant, "used": None} for each in digests]
        with self._system.writing() as connection:
            connection.execute(delete(r).where(r.c.user_id == user))
            connection.execute(insert(r), rows)

    def use_code(self, user: str, digest: bytes) -> bool:
        """Use up a recovery code; of many callers exactly one gets ``True`` (SEC-A10)."""
        mine = update(r).where(r.c.digest == digest, r.c.user_id == user, r.c.used.is_(None))
        with self._system.writing() as connection:
            return connection.execute(mine.values(used=self._system.database.clock())).rowcount == 1

    def codes_left(self, user: str) -> int:
        """Return how many recovery codes a user has left."""
        with self._system.reading() as connection:
            return connection.scalar(select(func.count()).where(r.c.user_id == user, r.c.used.is_(None))) or 0
