"""What has happened to somebody's account, for them to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, insert, select

from sluicegate.base.model import new_id
from sluicegate.store.database import pack, unpack
from sluicegate.store.tables import notices as t

if TYPE_CHECKING:
    from sluicegate.store.scope import System

EACH = 200
"""Notices that are kept of one user."""


class Notice(NamedTuple):
    """One notice."""

    id: str
    kind: str
    at: float
    about: Mapping[str, Any]


class Notices:
    """The notices of all users."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add(self, user: str, tenant: str | None, kind: str, about: Mapping[str, Any]) -> Notice:
        """Add a notice; the oldest of this user goes when there are too many."""
        made = Notice(new_id(), kind, self._system.database.clock(), dict(about))
        row = {"id": made.id, "kind": kind, "at": made.at, "body": pack(dict(about))}
        kept = select(t.c.id).where(t.c.user_id == user).order_by(t.c.id.desc()).limit(EACH)
        with self._system.writing() as connection:
            connection.execute(insert(t), {**row, "user_id": user, "tenant_id": tenant})
            connection.execute(delete(t).where(t.c.user_id == user, t.c.id.not_in(kept)))
        return made

    def of(self, user: str, limit: int = 50) -> list[Notice]:
        """Return the newest notices of a user."""
        asked = select(t).where(t.c.user_id == user).order_by(t.c.id.desc()).limit(limit)
        with self._system.reading() as connection:
            return [Notice(row.id, row.kind, row.at, unpack(row.body)) for row in connection.execute(asked)]
