"""What was decided for a whole tenant: one document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from sluicegate.store.database import pack, unpack
from sluicegate.store.grants import announce_rules
from sluicegate.store.tables import policies as p

if TYPE_CHECKING:
    from sluicegate.store.scope import Scope


class Policies:
    """The rules of one tenant."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def get(self) -> dict[str, Any]:
        """Return the document; empty when nothing was decided."""
        asked = select(p.c.body).where(p.c.tenant_id == self._scope.tenant)
        with self._scope.reading() as connection:
            found: dict[str, Any] = unpack(connection.scalar(asked)) or {}
        return found

    def put(self, body: dict[str, Any]) -> None:
        """Replace the document; every node reads it again."""
        row = {
            "tenant_id": self._scope.tenant,
            "body": pack(body),
            "set_by": self._scope.author,
            "set_at": self._scope.database.clock(),
        }
        with self._scope.writing() as connection:
            announce_rules(self._scope.database, self._scope.tenant)
            connection.execute(delete(p).where(p.c.tenant_id == self._scope.tenant))
            connection.execute(insert(p), row)
