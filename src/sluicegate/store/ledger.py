"""The audit trail of one tenant, or of the system: a chain of rows that can be added to and read, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, insert, select

from sluicegate.crypto.chain import GENESIS
from sluicegate.store.database import pack, unpack
from sluicegate.store.tables import audit

if TYPE_CHECKING:
    from sluicegate.store.scope import Scope, System

PAGE = 1000


class Entry(NamedTuple):
    """One row of the trail."""

    seq: int
    at: float
    body: dict[str, Any]
    link: bytes


_OWN = audit.c.tenant_id == bindparam("tenant")
_HEAD = select(audit.c.seq, audit.c.link).where(_OWN).order_by(audit.c.seq.desc()).limit(1)
_ENTRY = select(audit.c.seq, audit.c.at, audit.c.body, audit.c.link).where(_OWN)
_PAGE = _ENTRY.where(audit.c.seq > bindparam("after")).order_by(audit.c.seq).limit(PAGE)


class Ledger:
    """The rows of one tenant, numbered from 1 without gaps; each ``link`` covers the row and the link before it."""

    def __init__(self, reach: Scope | System) -> None:
        self._reach = reach

    def append(self, body: dict[str, Any], chain: Callable[[bytes, dict[str, Any]], bytes]) -> int:
        """Add ``body`` and return its number. ``chain(previous link, body)`` gives the row's link.

        Nobody else appends to this ledger until the transaction ends: inside ``transaction()`` append last.
        ``body["action"]`` and ``body["who"]`` (text, or a mapping with ``id``) are kept beside it, for ``list``.
        """
        with self._reach.writing() as connection:
            self._reach.database.lock(connection, f"audit:{self._reach.tenant}")
            head = connection.execute(_HEAD, {"tenant": self._reach.tenant}).first()
            seq, previous = (head.seq + 1, head.link) if head else (1, GENESIS)
            row = {
                "tenant_id": self._reach.tenant,
                "seq": seq,
                "at": self._reach.database.clock(),
                "action": _word(body.get("action")),
                "who": _word(body.get("who")),
                "body": pack(body),
                "link": chain(bytes(previous), body),
            }
            connection.execute(insert(audit), row)
        return seq

    def head(self) -> tuple[int, bytes]:
        """Return the number and link of the newest row; ``(0, GENESIS)`` when there is none."""
        with self._reach.reading() as connection:
            row = connection.execute(_HEAD, {"tenant": self._reach.tenant}).first()
        return (row.seq, bytes(row.link)) if row else (0, GENESIS)

    def list(
        self, limit: int = 100, before: int | None = None, *, action: str | None = None, who: str | None = None
    ) -> list[Entry]:
        """Return rows, newest first; ``before`` is the number of the last one of the page before."""
        asked = _ENTRY
        if before is not None:
            asked = asked.where(audit.c.seq < before)
        if action is not None:
            asked = asked.where(audit.c.action == action)
        if who is not None:
            asked = asked.where(audit.c.who == who)
        asked = asked.order_by(audit.c.seq.desc()).limit(limit)
        with self._reach.reading() as connection:
            rows = connection.execute(asked, {"tenant": self._reach.tenant})
            return [Entry(row.seq, row.at, unpack(row.body), bytes(row.link)) for row in rows]

    def all(self) -> Iterator[tuple[int, dict[str, Any], bytes]]:
        """Yield ``(seq, body, link)`` from the first row on, in pages: memory stays small however long the trail is."""
        after = 0
        while True:
            with self._reach.reading() as connection:
                rows = connection.execute(_PAGE, {"tenant": self._reach.tenant, "after": after}).all()
            for row in rows:
                yield row.seq, unpack(row.body), bytes(row.link)
            if len(rows) < PAGE:
                return
            after = rows[-1].seq


def _word(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("id")
    return "" if value is None else str(value)
