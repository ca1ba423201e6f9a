"""Refresh tokens. Only their digests are kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Double, bindparam, delete, func, insert, or_, select, update

from sluicegate.base.errors import Missing
from sluicegate.base.model import new_id
from sluicegate.store.marks import mark_family
from sluicegate.store.tables import grants as g

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

    from sluicegate.store.scope import System

LEEWAY = 10.0
"""Seconds in which the same client may present a parent again and receive the same child (``security.md`` §3.1)."""

REMEMBERED = 90 * 86400.0
"""Seconds for which a device that has signed in is known again."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One refresh token. ``absolute`` is when its whole family ends, ``expires`` when it does if it is not used."""

    id: str
    family: str
    parent: str | None
    user: str
    tenant: str | None
    thumbprint: str
    issued: float
    expires: float
    absolute: float
    consumed_at: float | None
    client: str
    address: str
    proved: float
    """When the person last proved who they are …"""
    factors: str
    """… and by what: ``password``, ``password factor``, ``sso``, ``sso factor``."""


class Outcome(StrEnum):
    """What became of a refresh."""

    ROTATED = "rotated"
    """The child has been added; the parent is used up."""
    RACE = "race"
    """The same client asked twice within the leeway: here is the child of the first time. Nothing changed."""
    REUSED = "reused"
    """Somebody used a parent again: the whole family is dead. Raise an alert."""
    UNKNOWN = "unknown"
    """No such token, expired, dead, or bound to another key. Nothing changed."""


class Rotation(NamedTuple):
    """The outcome, and the grant it is about: the child (rotated, race), the parent (reused) or none (unknown)."""

    outcome: Outcome
    grant: Grant | None


_GRANT = (
    g.c.id, g.c.family, g.c.parent, g.c.user_id, g.c.tenant_id, g.c.thumbprint, g.c.issued, g.c.expires, g.c.absolute,
    g.c.consumed_at, g.c.client, g.c.address, g.c.proved, g.c.factors,
)  # fmt: skip
_NOW = bindparam("now", type_=Double)
_ALIVE = (g.c.killed_at.is_(None), g.c.expires > _NOW, g.c.absolute > _NOW)
_CONSUME = (
    update(g)
    .where(g.c.digest == bindparam("token"), g.c.thumbprint == bindparam("key"), g.c.consumed_at.is_(None), *_ALIVE)
    .values(consumed_at=_NOW)
    .returning(*_GRANT)
)
_FIND = select(*_GRANT, g.c.killed_at).where(g.c.digest == bindparam("token"))
_KNOWN = select(g.c.thumbprint, g.c.address).where(
    g.c.user_id == bindparam("user"),
    or_(g.c.thumbprint == bindparam("key"), g.c.address == bindparam("from_")),
    g.c.issued > bindparam("since", type_=Double),
)
_CHILD = select(*_GRANT, g.c.killed_at).where(g.c.parent == bindparam("parent_id"))


class Grants:
    """All refresh tokens."""

    def __init__(self, system: System) -> None:
        self._system = system

    def open(
        self,
        user: str,
        tenant: str | None,
        digest: bytes,
        thumbprint: str,
        *,
        expires: float,
        absolute: float,
        client: str = "",
        address: str = "",
        factors: str = "password",
        fresh: bool = True,
    ) -> Grant:
        """Add the first token of a new family, whose id is the ``sid`` of its access tokens; ``fresh``: just proved."""
        now = self._system.database.clock()
        made = Grant(new_id(), new_id(), None, user, tenant, thumbprint, now, min(expires, absolute), absolute, None,
                     client, address, now if fresh else 0.0, factors)  # fmt: skip
        with self._system.writing() as connection:
            _add(connection, made, digest)
        return made

    def rotate(
        self,
        digest: bytes,
        child: bytes,
        thumbprint: str,
        *,
        expires: float,
        absolute: float = float("inf"),
        client: str = "",
        address: str = "",
        leeway: float = LEEWAY,
    ) -> Rotation:
        """Use up the token ``digest`` and add the token ``child`` in its place; of many callers exactly one does.

        The loser of a race is handed the first child's grant, not its token: derive the child token from the parent, so
        that both can be given the same. The child ends at ``expires`` or with its family, whichever is first, and the
        family at ``absolute`` if that is before its end.
        """
        now = self._system.database.clock()
        with self._system.writing() as connection:
            parent = connection.execute(_CONSUME, {"token": digest, "key": thumbprint, "now": now}).first()
            if parent is None:
                return self._second(connection, digest, thumbprint, now, leeway)
            absolute = min(parent.absolute, absolute)
            made = Grant(new_id(), parent.family, parent.id, parent.user_id, parent.tenant_id, thumbprint, now,
                         min(expires, absolute), absolute, None, client, address, parent.proved,
                         parent.factors)  # fmt: skip
            _add(connection, made, child)
            return Rotation(Outcome.ROTATED, made)

    def _second(self, connection: Connection, digest: bytes, thumbprint: str, now: float, leeway: float) -> Rotation:
        row = connection.execute(_FIND, {"token": digest}).first()
        if row is None or row.killed_at is not None or row.consumed_at is None or row.absolute <= now:
            return Rotation(Outcome.UNKNOWN, None)
        child = connection.execute(_CHILD, {"parent_id": row.id}).first()
        prompt = row.thumbprint == thumbprint and now - row.consumed_at <= leeway
        if prompt and child is not None and child.consumed_at is None and child.expires > now:
            return Rotation(Outcome.RACE, _grant(child))
        self.kill(row.family)
        return Rotation(Outcome.REUSED, _grant(row))

    def find(self, digest: bytes) -> Grant | None:
        """Return the live token with this digest, used up or not; ``None`` when there is none."""
        with self._system.reading() as connection:
            row = connection.execute(_FIND, {"token": digest}).first()
        if row is None or row.killed_at is not None or row.absolute <= self._system.database.clock():
            return None
        return _grant(row)

    def prove(self, family: str, factors: str) -> None:
        """Write down that the person of this family has proved who they are now. Raises ``Missing`` when it is over."""
        now = self._system.database.clock()
        mine = update(g).where(g.c.family == family, g.c.killed_at.is_(None), g.c.consumed_at.is_(None))
        with self._system.writing() as connection:
            if not connection.execute(mine.values(proved=now, factors=factors)).rowcount:
                raise Missing("This sign-in is over.")

    def bind(self, family: str, tenant: str | None) -> None:
        """Have the tokens to come of a family work in ``tenant``, or in none. Raises ``Missing`` when it is over."""
        mine = update(g).where(g.c.family == family, g.c.killed_at.is_(None), g.c.consumed_at.is_(None))
        with self._system.writing() as connection:
            for _ in range(2):  # a refresh may have been quicker: then there is a child, which is seen the second time
                if connection.execute(mine.values(tenant_id=tenant)).rowcount:
                    return
            raise Missing("This sign-in is over.")

    def proved(self, family: str) -> float | None:
        """Return when the person of this family last proved who they are; None when it is over."""
        asked = select(func.max(g.c.proved)).where(g.c.family == family, g.c.killed_at.is_(None))
        with self._system.reading() as connection:
            return connection.scalar(asked)  # type: ignore[no-any-return]

    def factors(self, family: str) -> str:
        """Return by what the person of this family has proved who they are; empty when it is over."""
        asked = select(g.c.factors).where(g.c.family == family, g.c.killed_at.is_(None)).order_by(g.c.id.desc())
        with self._system.reading() as connection:
            return connection.scalar(asked.limit(1)) or ""

    def of(self, user: str) -> list[Grant]:
        """Return the tokens a user can still use, newest first: one per family, that is per client."""
        asked = select(*_GRANT).where(g.c.user_id == user, g.c.consumed_at.is_(None), *_ALIVE)
        with self._system.reading() as connection:
            rows = connection.execute(asked.order_by(g.c.id.desc()), {"now": self._system.database.clock()})
            return [_grant(row) for row in rows]

    def known(self, user: str, thumbprint: str, address: str) -> tuple[bool, bool]:
        """Tell whether this client's key, and whether this address, has signed in as the user before (SEC-A06)."""
        since = self._system.database.clock() - REMEMBERED
        asked = {"user": user, "key": thumbprint, "from_": address, "since": since}
        with self._system.reading() as connection:
            rows = connection.execute(_KNOWN, asked).fetchall()
        return any(row.thumbprint == thumbprint for row in rows), any(row.address == address for row in rows)

    def kill(self, family: str) -> bool:
        """End a family, with the access tokens it gave out; tell whether it was alive."""
        return self._kill(g.c.family == family) > 0

    def kill_user(self, user: str) -> int:
        """End every family of a user; return how many."""
        return self._kill(g.c.user_id == user)

    def _kill(self, which: ColumnElement[bool]) -> int:
        now = self._system.database.clock()
        with self._system.writing() as connection:
            dead = update(g).where(which, g.c.killed_at.is_(None)).values(killed_at=now)
            until = {row.family: row.absolute for row in connection.execute(dead.returning(g.c.family, g.c.absolute))}
            for family in sorted(until):
                mark_family(self._system.database, family, until[family])
        return len(until)

    def purge(self) -> int:
        """Delete the tokens of families that have ended for good; return how many.

        The first of each family stays for a while: by it a device and an address are known again.
        """
        now = self._system.database.clock()
        over = delete(g).where(g.c.absolute <= now, or_(g.c.parent.is_not(None), g.c.issued <= now - REMEMBERED))
        with self._system.writing() as connection:
            return connection.execute(over).rowcount


def _grant(row: Row[*tuple[Any, ...]]) -> Grant:
    return Grant(*row[: len(_GRANT)])


def _add(connection: Connection, made: Grant, digest: bytes) -> None:
    row = {column.name: value for column, value in zip(_GRANT, _values(made), strict=True)}
    connection.execute(insert(g), {**row, "digest": digest})


def _values(made: Grant) -> tuple[Any, ...]:
    return tuple(getattr(made, name) for name in Grant.__slots__)
