"""What errors and logs of runs say of rows, sealed: apart from their record, so that it can go first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select, update

from sluicegate.base.errors import Missing
from sluicegate.store.tables import quotes as q
from sluicegate.store.tables import runs

if TYPE_CHECKING:
    from sluicegate.store.scope import Scope

_SLACK = 86400.0
"""Seconds that something may lie in the future: clocks of nodes differ."""


class Quote(NamedTuple):
    """What one event (its ``seq``), or the error of a run (0), says."""

    run: str
    seq: int
    sealed: bytes


class Quotes:
    """The quotes of one tenant."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def put(self, run: str, seq: int, sealed: bytes) -> None:
        """Keep a quote; one that is there already is replaced. Raises ``Missing`` when there is no such run."""
        place = {"tenant_id": self._scope.tenant, "run_id": run, "seq": seq}
        with self._scope.writing() as connection:
            mine = select(runs.c.id).where(runs.c.tenant_id == self._scope.tenant, runs.c.id == run)
            if connection.scalar(mine) is None:
                raise Missing("There is no such run.")
            connection.execute(delete(q).where(*(q.c[name] == value for name, value in place.items())))
            connection.execute(insert(q), {**place, "sealed": sealed, "at": self._scope.database.clock()})

    def events(self, run: str, first: int, last: int) -> list[Quote]:
        """Return what the events ``first`` to ``last`` of a run say."""
        return self._find(q.c.run_id == run, q.c.seq.between(first, last))

    def errors(self, *of: str) -> list[Quote]:
        """Return what the errors of these runs say."""
        return self._find(q.c.run_id.in_(of), q.c.seq == 0)

    def runs(self, before: float) -> list[str]:
        """Return the runs made before ``before`` of which words are kept."""
        made = f"{max(int(before * 1000), 0):012x}"  # ids are UUIDv7: they sort by when they were made
        asked = select(q.c.run_id).distinct().where(q.c.tenant_id == self._scope.tenant)
        with self._scope.reading() as connection:
            return list(connection.scalars(asked.where(q.c.run_id < f"{made[:8]}-{made[8:]}")))

    def purge(self, before: float, now: float) -> int:
        """Delete what is older than ``before``; return how many.

        What a clock that was wrong has dated into the future counts from ``now``: it is kept no longer than the rest.
        """
        mine = q.c.tenant_id == self._scope.tenant
        with self._scope.writing() as connection:
            connection.execute(update(q).where(mine, q.c.at > now + _SLACK).values(at=now))
            return connection.execute(delete(q).where(mine, q.c.at < before)).rowcount

    def _find(self, *which: object) -> list[Quote]:
        asked = select(q.c.run_id, q.c.seq, q.c.sealed).where(q.c.tenant_id == self._scope.tenant, *which)  # type: ignore[arg-type]
        with self._scope.reading() as connection:
            return [Quote(row.run_id, row.seq, bytes(row.sealed)) for row in connection.execute(asked)]
