"""Up to where the steps of flows have read: versions, the newest of which holds.

A run keeps on its own record where it began and the highest values it has seen; they become versions when what it read
has landed, in the transaction that ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, insert, select

from sluicegate.base.errors import Conflict, Missing
from sluicegate.kit.watermark import family_of, is_above
from sluicegate.store.database import unpack
from sluicegate.store.tables import runs
from sluicegate.store.tables import watermarks as w

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sluicegate.store.scope import Scope

VERSIONS_MAX = 50
"""Versions of a step that are kept."""


class Watermark(NamedTuple):
    """One version. Without a ``value`` the step begins where its flow says."""

    flow: str
    step: str
    version: int
    again: int
    """The version that this one brings back; 0 for one of its own."""
    field: str
    """Column of the rows."""
    type: str
    """Type of that column; empty when a person has set the value."""
    value: str | None
    run: str
    """The run that has seen it; empty when a person has set it."""
    by: str
    at: float


_WHOLE = (
    w.c.flow,
    w.c.step,
    w.c.version,
    w.c.again,
    w.c.field,
    w.c.type,
    w.c.value,
    w.c.run_id,
    w.c.set_by,
    w.c.set_at,
)


class Watermarks:
    """The watermarks of one tenant."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def current(self, flow: str) -> dict[str, Watermark]:
        """Return the version that holds, for each step of a flow that has one."""
        asked = select(*_WHOLE).where(*self._mine(flow)).order_by(w.c.step, w.c.version)
        with self._scope.reading() as connection:
            return {row.step: Watermark._make(row) for row in connection.execute(asked)}

    def versions(self, flow: str, step: str) -> list[Watermark]:
        """Return the versions of a step that are kept, newest first."""
        with self._scope.reading() as connection:
            return self._versions(connection, flow, step)

    def put(self, flow: str, step: str, field: str, value: str | None) -> int:
        """Set by hand where the next run begins; ``None``: where its flow says. Return the version."""
        with self._locked() as connection:
            return self._add(connection, flow, step, {"field": field, "type": "", "value": value, "run_id": ""})

    def undo(self, flow: str, step: str) -> int:
        """Bring back the version before the one that holds; return its new number. ``Missing``; ``Conflict``: none."""
        with self._locked() as connection:
            found = self._versions(connection, flow, step)
            if not found:
                raise Missing(f"The step {step} of the flow {flow} has no state.")
            base = found[0].again or found[0].version
            before = next((each for each in found if each.version < base), None)
            if before is None:
                raise Conflict(
                    "There is no version before this one.",
                    hint=f"Begin anew: sluice state reset {flow} {step}, or say where: sluice state set.",
                )
            given = {"field": before.field, "type": before.type, "value": before.value, "run_id": ""}
            return self._add(connection, flow, step, given, before.again or before.version)

    def begin(self, run: str, flow: str, steps: Mapping[str, str], *, alone: bool = True) -> dict[str, dict[str, Any]]:
        """Return where a run begins, for each of ``steps`` (with its column); the same however often it is asked.

        With ``full`` on its record it begins at no value. ``alone``: raise ``Conflict`` while another run of the flow
        reads, too.
        """
        with self._locked() as connection:
            record = self._record(run)
            if "since" not in record:
                if alone and self._others(connection, run, flow):
                    raise Conflict(
                        "Another run of this flow is at work: both would add the same rows.",
                        hint="Wait for its end, or write with a key (mode: merge).",
                    )
                held = self.current(flow)
                record["since"] = {step: _began(held.get(step), full=bool(record.get("full"))) for step in steps}
                self._scope.runs().amend(run, plan=record)
        return {step: {**began, "seen": record.get("seen", {}).get(step)} for step, began in record["since"].items()}

    def see(self, run: str, step: str, column: str, type: str, value: str | None) -> None:  # noqa: A002 - the words of a watermark
        """Keep on a run's record the highest value it has seen, before anything of it lands."""
        with self._locked():
            record = self._record(run)
            record.setdefault("seen", {})[step] = {"column": column, "type": type, "value": value}
            self._scope.runs().amend(run, plan=record)

    def land(self, run: str, step: str) -> None:
        """Make what a run has seen the version that holds: what it has read has landed.

        When another run has come between, the higher value holds; when a person has, what they said.
        """
        with self._locked() as connection:
            record, flow = self._record(run), self._scope.runs().get(run).flow
            seen, began = record.get("seen", {}).get(step), record.get("since", {}).get(step)
            if seen is None or began is None:
                return
            now = self.current(flow).get(step)
            if (now.version if now else 0) == began["version"]:
                moves = bool(record.get("full")) or seen["value"] is not None
                same = now is not None and (now.field, now.type, now.value) == tuple(seen.values())
            else:
                moves, same = now is not None and _is_above(seen, now), False
            if moves and not same:
                given = {"field": seen["column"], "type": seen["type"], "value": seen["value"], "run_id": run}
                self._add(connection, flow, step, given)

    def _record(self, run: str) -> dict[str, Any]:
        """Return what a run's record says of where it reads: ``full``, ``since``, ``seen``."""
        return dict(self._scope.runs().get(run).plan or {})

    def _others(self, connection: Connection, run: str, flow: str) -> bool:
        asked = select(runs.c.plan).where(
            runs.c.tenant_id == self._scope.tenant, runs.c.flow == flow, runs.c.state == "running", runs.c.id != run,
            runs.c.plan.is_not(None),
        )  # fmt: skip
        return any("since" in unpack(plan) for plan in connection.scalars(asked))

    def _mine(self, flow: str) -> tuple[Any, ...]:
        return (w.c.tenant_id == self._scope.tenant, w.c.flow == flow)

    def _versions(self, connection: Connection, flow: str, step: str) -> list[Watermark]:
        asked = select(*_WHOLE).where(*self._mine(flow), w.c.step == step).order_by(w.c.version.desc())
        return [Watermark._make(row) for row in connection.execute(asked)]

    def _add(self, connection: Connection, flow: str, step: str, given: dict[str, Any], again: int = 0) -> int:
        found = self._versions(connection, flow, step)
        version = (found[0].version if found else 0) + 1
        row = {
            "tenant_id": self._scope.tenant, "flow": flow, "step": step, "version": version, "again": again,
            "set_by": self._scope.author, "set_at": self._scope.database.clock(), **given,
        }  # fmt: skip
        connection.execute(insert(w), row)
        old = (*self._mine(flow), w.c.step == step, w.c.version <= version - VERSIONS_MAX)
        connection.execute(delete(w).where(*old))
        return version

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self._scope.writing() as connection:
            self._scope.database.lock(connection, f"watermarks:{self._scope.tenant}")
            yield connection


def _began(held: Watermark | None, *, full: bool) -> dict[str, Any]:
    version = held.version if held else 0
    if held is None or full:
        return {"version": version, "column": "", "type": "", "value": None}
    return {"version": version, "column": held.field, "type": held.type, "value": held.value}


def _is_above(seen: Mapping[str, Any], now: Watermark) -> bool:
    """Tell whether what a run has seen goes beyond what another has: what a person has said stays."""
    if not now.run or seen["value"] is None or now.field != seen["column"]:
        return False
    if now.value is None:
        return True
    return family_of(now.type) == family_of(seen["type"]) and is_above(seen["value"], now.value, now.type)
