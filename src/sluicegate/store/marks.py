"""Marks that make access tokens void before they expire."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, Connection, Double, bindparam, delete, func, insert, select, true, update

from sluicegate.base.errors import Missing
from sluicegate.store.tables import marks as m
from sluicegate.store.tables import tenants, users

if TYPE_CHECKING:
    from sluicegate.store.database import Database
    from sluicegate.store.scope import System

_NOW = bindparam("now", type_=Double)


class Kind(StrEnum):
    """What a mark makes void."""

    ALL = "all"
    """Every token given out before this mark."""
    TENANT = "tenant"
    """Every token in the tenant ``subject`` given out before; ``value`` is its new epoch."""
    USER = "user"
    """Every token of the user ``subject`` given out before; ``value`` is their new epoch."""
    FAMILY = "family"
    """``subject`` is a refresh family (``sid``); void until ``value``, in seconds since 1970."""
    TOKEN = "token"  # noqa: S105 - a kind, not a password
    """``subject`` is a ``jti``; void until ``value``, in seconds since 1970."""
    SWITCH = "switch"
    """Every token of the family ``subject`` given out before: it has another tenant now. Matters until ``value``."""
    KEYS = "keys"
    """The keys that sign tokens have changed: read them again; or, with a ``subject``, what ``seal_changed`` says."""
    RULES = "rules"
    """From where the tenant or user ``subject`` may come has changed: read it again. Makes nothing void."""


_TIMED = (Kind.TOKEN, Kind.FAMILY, Kind.SWITCH)


class Mark(NamedTuple):
    """One thing made void. ``seq`` rises in the order in which marks become visible."""

    seq: int
    kind: Kind
    subject: str
    value: float
    at: float


_SINCE = select(m).where(m.c.seq > bindparam("after")).order_by(m.c.seq).limit(bindparam("limit"))
_LAST = select(func.coalesce(func.max(m.c.seq), 0))
_REVOKED = select(m.c.seq).where(m.c.kind == bindparam("what"), m.c.subject == bindparam("which"), m.c.value > _NOW)


class Marks:
    """Epochs and revocations: what every node reads each second (SEC-T09)."""

    def __init__(self, system: System) -> None:
        self._system = system

    def raise_all(self) -> int:
        """Make every token void; return the number of the mark."""
        return self._add(Kind.ALL)

    def keys_changed(self) -> int:
        """Have every node read the signing keys again; return the number of the mark."""
        return self._add(Kind.KEYS)

    def seal_changed(self, what: str) -> int:
        """Have every node hear of the seal: ``root``, there is another root key; ``close``, seal yourselves."""
        return self._add(Kind.KEYS, what)

    def _add(self, kind: Kind, subject: str = "") -> int:
        with self._system.writing() as connection:
            return _mark(self._system.database, connection, kind, subject, 0)

    def raise_tenant(self, tenant: str) -> int:
        """Make every token of a tenant void; return the new epoch. Raises ``Missing``."""
        database = self._system.database
        with self._system.writing() as connection:
            database.lock(connection, "marks")
            risen = update(tenants).where(tenants.c.id == tenant).values(epoch=tenants.c.epoch + 1)
            epoch: int | None = connection.scalar(risen.returning(tenants.c.epoch))
            if epoch is None:
                raise Missing("There is no such tenant.")
            _mark(database, connection, Kind.TENANT, tenant, epoch)
        return epoch

    def raise_user(self, user: str) -> int:
        """Make every token of a user void; return the new epoch. Raises ``Missing``."""
        return raise_user(self._system.database, user)

    def revoke(self, jti: str, until: float) -> None:
        """Make one access token void until it would have expired anyway."""
        with self._system.writing() as connection:
            _mark(self._system.database, connection, Kind.TOKEN, jti, until)

    def switch(self, family: str, until: float) -> int:
        """Make every access token of a family void that was given out before; return the number of the mark."""
        with self._system.writing() as connection:
            return _mark(self._system.database, connection, Kind.SWITCH, family, until)

    def revoked(self, subject: str, kind: Kind = Kind.TOKEN) -> bool:
        """Tell whether this ``jti`` (or family) is void now."""
        asked = {"what": kind, "which": subject, "now": self._system.database.clock()}
        with self._system.reading() as connection:
            return connection.execute(_REVOKED, asked).first() is not None

    def since(self, seq: int, limit: int = 1000) -> list[Mark]:
        """Return the marks after ``seq``, in order. None is ever added below one that has been seen."""
        with self._system.reading() as connection:
            rows = connection.execute(_SINCE, {"after": seq, "limit": limit})
            return [Mark(row.seq, Kind(row.kind), row.subject, row.value, row.at) for row in rows]

    def ended(self, user: str, tenant: str | None, since: int) -> bool:
        """Tell whether a mark after ``since`` ends what a user has begun; none is added until this transaction ends."""
        with self._system.writing() as connection:
            self._system.database.lock(connection, "marks")
            subjects = ((Kind.USER, user), (Kind.TENANT, tenant or ""), (Kind.ALL, ""))
            return any((mark.kind, mark.subject) in subjects for mark in self.since(since))

    def last(self) -> int:
        """Return the ``seq`` of the newest mark; 0 when there is none."""
        with self._system.reading() as connection:
            return connection.scalar(_LAST) or 0

    def purge(self, older: float = 3600.0) -> int:
        """Delete the marks on tokens that are over and, after ``older`` seconds, those on all of a user's or tenant's.

        No token lives as long as that. The newest mark stays, so that no number comes twice. Returns how many went.
        """
        now = self._system.database.clock()
        with self._system.writing() as connection:
            self._system.database.lock(connection, "marks")
            ended = m.c.kind.in_(_TIMED) & (m.c.value <= now)
            aged = m.c.kind.not_in(_TIMED) & (m.c.at <= now - older)
            over = delete(m).where(ended | aged, m.c.seq < _LAST.scalar_subquery())
            return connection.execute(over).rowcount


def raise_user(database: Database, user: str, *, mine: ColumnElement[bool] | None = None) -> int:
    """Make every token of a user void, in the caller's transaction; ``mine`` narrows whose users may be touched."""
    with database.write(system=True) as connection:
        database.lock(connection, "marks")
        risen = (
            update(users).where(users.c.id == user, true() if mine is None else mine).values(epoch=users.c.epoch + 1)
        )
        epoch: int | None = connection.scalar(risen.returning(users.c.epoch))
        if epoch is None:
            raise Missing("There is no such user.")
        _mark(database, connection, Kind.USER, user, epoch)
    return epoch


def mark_family(database: Database, family: str, until: float) -> None:
    """Make every token of a family void, in the caller's transaction."""
    with database.write(system=True) as connection:
        _mark(database, connection, Kind.FAMILY, family, until)


def announce_rules(database: Database, subject: str) -> None:
    """Have every node read the rules of a tenant or user again, in the caller's transaction."""
    with database.write(system=True) as connection:
        _mark(database, connection, Kind.RULES, subject, 0)


def _mark(database: Database, connection: Connection, kind: Kind, subject: str, value: float) -> int:
    """Add a mark. The lock makes the order of numbers the order of commits: a reader never skips one (SEC-T09)."""
    database.lock(connection, "marks")
    seq = (connection.scalar(_LAST) or 0) + 1
    connection.execute(
        insert(m), {"seq": seq, "kind": kind, "subject": subject, "value": value, "at": database.clock()}
    )
    database.announce(connection)
    return seq
