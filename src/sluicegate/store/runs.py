"""Runs: their state, their events, what each segment has to show for itself, and the columns a flow has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, String, bindparam, func, insert, select, update

from sluicegate.base.errors import Conflict, Corrupt, Missing
from sluicegate.store.database import pack, unpack
from sluicegate.store.tables import receipts, run_events, runs, snapshots

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

    from sluicegate.store.scope import Scope


class State(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FINISHED_WITH_REJECTS = "finished_with_rejects"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FINISHED_WITH_REJECTS, State.FAILED, State.CANCELLED})

BEFORE: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset(),
    State.RUNNING: frozenset({State.QUEUED}),
    State.SUCCEEDED: frozenset({State.RUNNING}),
    State.FINISHED_WITH_REJECTS: frozenset({State.RUNNING}),
    State.FAILED: frozenset({State.RUNNING}),
    State.CANCELLED: frozenset({State.QUEUED, State.RUNNING}),
}
"""The states from which each state may be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. ``error`` is a problem document, ``counts`` and ``plan`` are the engine's."""

    id: str
    flow: str
    flow_version: int
    digest: str
    params: dict[str, Any] = field(default_factory=dict)
    state: State = State.QUEUED
    by: str
    via: str
    created: float
    started: float | None = None
    finished: float | None = None
    error: dict[str, Any] | None = None
    counts: dict[str, Any] | None = None
    plan: Any = None
    cancel_requested: bool = False
    executor: str = ""


class Event(NamedTuple):
    """One line of a run's log."""

    seq: int
    at: float
    kind: str
    body: dict[str, Any]


_COLUMNS = {
    "flow_version": "version",
    "by": "by_user",
}
_DOCUMENTS = frozenset({"params", "error", "counts", "plan"})
_FIELDS = tuple(Run.__dataclass_fields__)
_OPTIONAL = ("error", "counts")
_MOMENTS = ("created", "started", "finished")
_LATEST = 253402300800.0  # the year 10000
_AMENDABLE = frozenset({"started", "finished", "error", "counts", "plan", "executor"})
_TENANT = bindparam("tenant", type_=String)
_ID = bindparam("run", type_=String)
_THIS = (runs.c.tenant_id == _TENANT, runs.c.id == _ID)
_WHOLE = tuple(runs.c[_COLUMNS.get(name, name)] for name in _FIELDS)
_BRIEF = tuple(column for column in _WHOLE if column.name != "plan")
_GET = select(*_WHOLE).where(*_THIS)
_HOLD = select(runs.c.state).where(*_THIS).with_for_update()
_CANCEL_REQUESTED = select(runs.c.cancel_requested).where(*_THIS)
_LAST_EVENT = select(func.max(run_events.c.seq)).where(run_events.c.tenant_id == _TENANT, run_events.c.run_id == _ID)
_EVENTS = (
    select(run_events.c.seq, run_events.c.at, run_events.c.kind, run_events.c.body)
    .where(run_events.c.tenant_id == _TENANT, run_events.c.run_id == _ID, run_events.c.seq > bindparam("after"))
    .order_by(run_events.c.seq)
    .limit(bindparam("limit"))
)
_ADD_EVENTS = insert(run_events)
_RECEIPTS = (
    select(receipts.c.segment, receipts.c.body)
    .where(receipts.c.tenant_id == _TENANT, receipts.c.run_id == _ID)
    .order_by(receipts.c.at, receipts.c.segment)
)
_SNAPSHOT = (
    select(snapshots.c.step, snapshots.c.columns)
    .where(snapshots.c.tenant_id == _TENANT, snapshots.c.flow == bindparam("flow_name"))
    .order_by(snapshots.c.step)
)


class Archived(NamedTuple):
    """A sealed file that a run has made."""

    run: str
    step: str
    at: float
    manifest: dict[str, Any]


class Listed(NamedTuple):
    """A page of sealed files."""

    items: tuple[Archived, ...]
    before: str | None
    """Where the next page goes on; None at the end."""


class Runs:
    """The runs of one tenant."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def add(self, run: Run) -> Run:
        """Add a run. Raises ``Conflict`` when its id is taken."""
        row = {_COLUMNS.get(name, name): _stored(name, getattr(run, name)) for name in _FIELDS}
        with self._scope.writing() as connection:
            connection.execute(insert(runs), {"tenant_id": self._scope.tenant, **row})
        return run

    def get(self, run: str) -> Run:
        """Return the run. Raises ``Missing``, ``Corrupt`` when its row cannot be read."""
        with self._scope.reading() as connection:
            row = connection.execute(_GET, self._keys(run)).first()
        if row is None:
            raise _missing()
        return _run(row)

    def advance(self, run: str, state: State, **fields: Any) -> None:
        """Move to ``state`` and set ``fields`` (started, finished, error, counts, plan, executor).

        Of many callers exactly one gets through. ``started`` and ``finished`` are now unless they are given.
        Raises ``Conflict`` when the run's state does not allow it, ``Missing``.
        """
        state = State(state)
        moment = "started" if state is State.RUNNING else "finished" if state in ENDED else None
        if moment is not None:
            fields.setdefault(moment, self._scope.database.clock())
        self._update(run, BEFORE[state], {**fields, "state": state}, f"become {state.value}", {*_AMENDABLE, "state"})

    def amend(self, run: str, **fields: Any) -> None:
        """Set fields of a run that has not ended, without moving it. Raises as ``advance`` does."""
        self._update(run, frozenset(State) - ENDED, fields, "change")

    def request_cancel(self, run: str) -> None:
        """Ask the run to stop. Raises ``Conflict`` when it has ended, ``Missing``."""
        self._update(run, frozenset(State) - ENDED, {"cancel_requested": True}, "be cancelled", {"cancel_requested"})

    def cancel_requested(self, run: str) -> bool:
        """Tell whether the run was asked to stop: one quick query, for each batch. Raises ``Missing``."""
        with self._scope.reading() as connection:
            asked: bool | None = connection.scalar(_CANCEL_REQUESTED, self._keys(run))
        if asked is None:
            raise _missing()
        return asked

    def event(self, run: str, kind: str, body: dict[str, Any]) -> int:
        """Add one event; return its number. Raises ``Missing``."""
        return self.events_many(run, [(kind, body)])

    def events_many(self, run: str, events: Iterable[tuple[str, dict[str, Any]]]) -> int:
        """Add events in order, all or none; return the number of the last. Numbers have no gaps. Raises ``Missing``."""
        keys, now = self._keys(run), self._scope.database.clock()
        packed = [(kind, pack(body)) for kind, body in events]
        with self._scope.writing() as connection:
            self._hold(connection, keys)
            last: int = connection.scalar(_LAST_EVENT, keys) or 0
            rows = [
                {"tenant_id": self._scope.tenant, "run_id": run, "seq": seq, "at": now, "kind": kind, "body": body}
                for seq, (kind, body) in enumerate(packed, last + 1)
            ]
            if rows:
                connection.execute(_ADD_EVENTS, rows)
        return last + len(rows)

    def events(self, run: str, after: int = 0, limit: int = 500) -> list[Event]:
        """Return the events after number ``after``. Raises ``Missing``."""
        keys = self._keys(run)
        with self._scope.reading() as connection:
            found = connection.execute(_EVENTS, {**keys, "after": after, "limit": limit}).all()
            if not found and connection.scalar(_CANCEL_REQUESTED, keys) is None:
                raise _missing()
        return [Event(row.seq, row.at, row.kind, unpack(row.body)) for row in found]

    def receipt(self, run: str, segment: str, body: dict[str, Any]) -> None:
        """Keep what a segment has to show; a segment done again replaces it. Raises ``Missing``."""
        keys, values = self._keys(run), {"body": pack(body), "at": self._scope.database.clock()}
        with self._scope.writing() as connection:
            self._hold(connection, keys)
            place = {"tenant_id": self._scope.tenant, "run_id": run, "segment": segment}
            here = [receipts.c[name] == value for name, value in place.items()]
            if not connection.execute(update(receipts).where(*here).values(**values)).rowcount:
                connection.execute(insert(receipts), {**place, **values})

    def receipts(self, run: str) -> dict[str, dict[str, Any]]:
        """Return the receipt of each segment that is done, in the order they were written. Raises ``Missing``."""
        keys = self._keys(run)
        with self._scope.reading() as connection:
            found = {row.segment: unpack(row.body) for row in connection.execute(_RECEIPTS, keys)}
            if not found and connection.scalar(_CANCEL_REQUESTED, keys) is None:
                raise _missing()
        return found

    def archives(self, limit: int, before: str | None = None) -> Listed:
        """Return what runs have sealed, newest run first, of ``limit`` runs with receipts at the most.

        ``before`` is the id of a run to go on from.
        """
        mine = receipts.c.tenant_id == self._scope.tenant
        page = select(receipts.c.run_id).distinct().where(mine)
        if before is not None:
            page = page.where(receipts.c.run_id < before)
        page = page.order_by(receipts.c.run_id.desc()).limit(limit)
        asked = select(receipts.c.run_id, receipts.c.segment, receipts.c.body, receipts.c.at)
        with self._scope.reading() as connection:
            chosen = list(connection.scalars(page))
            rows = connection.execute(
                asked.where(mine, receipts.c.run_id.in_(chosen)).order_by(receipts.c.run_id.desc(), receipts.c.segment)
            )
            found = tuple(
                Archived(row.run_id, row.segment, row.at, manifest)
                for row in rows
                if (manifest := unpack(row.body).get("manifest"))
            )
        return Listed(found, chosen[-1] if len(chosen) == limit else None)

    def snapshot(self, flow: str) -> dict[str, dict[str, Any]]:
        """Return, for each step of ``flow``, the columns it has been seen with; empty before the first run."""
        with self._scope.reading() as connection:
            rows = connection.execute(_SNAPSHOT, {"tenant": self._scope.tenant, "flow_name": flow})
            return {row.step: unpack(row.columns) for row in rows}

    def put_snapshot(self, flow: str, step: str, columns: dict[str, Any]) -> None:
        """Keep the columns of a step, whatever was there."""
        place = {"tenant_id": self._scope.tenant, "flow": flow, "step": step}
        values = {"columns": pack(columns), "at": self._scope.database.clock()}
        with self._scope.writing() as connection:
            self._scope.database.lock(connection, f"snapshot:{self._scope.tenant}")
            here = [snapshots.c[name] == value for name, value in place.items()]
            if not connection.execute(update(snapshots).where(*here).values(**values)).rowcount:
                connection.execute(insert(snapshots), {**place, **values})

    def list(
        self, limit: int = 50, flow: str | None = None, before: str | None = None, state: State | None = None
    ) -> list[Run]:
        """Return runs, newest first, without their plans; ``before`` is the id of the last one of the page before.

        A row that cannot be read is a failed run that says so: it does not take the others down.
        """
        asked = select(*_BRIEF).where(runs.c.tenant_id == self._scope.tenant)
        if flow is not None:
            asked = asked.where(runs.c.flow == flow)
        if before is not None:
            asked = asked.where(runs.c.id < before)
        if state is not None:
            asked = asked.where(runs.c.state == state)
        with self._scope.reading() as connection:
            return [_listed(row) for row in connection.execute(asked.order_by(runs.c.id.desc()).limit(limit))]

    def _keys(self, run: str) -> dict[str, Any]:
        return {"tenant": self._scope.tenant, "run": run}

    def _hold(self, connection: Connection, keys: dict[str, Any]) -> State:
        """Lock the row of the run until the transaction ends: it is this tenant's, and nobody else numbers events."""
        state = connection.scalar(_HOLD, keys)
        if state is None:
            raise _missing()
        return State(state)

    def _update(
        self, run: str, within: frozenset[State], fields: dict[str, Any], what: str, may: AbstractSet[str] = _AMENDABLE
    ) -> None:
        unknown = fields.keys() - may
        if unknown:
            msg = f"a run has no field {', '.join(sorted(unknown))} to set"
            raise TypeError(msg)
        values = {name: _stored(name, value) for name, value in fields.items()}
        with self._scope.writing() as connection:
            state = self._hold(connection, self._keys(run))
            if state not in within:
                raise Conflict(f"The run is {state.value}: it can't {what}.")
            if values:
                connection.execute(update(runs).where(*_THIS).values(**values), self._keys(run))


def _stored(name: str, value: Any) -> Any:
    return pack(value) if name in _DOCUMENTS and value is not None else value


def _run(row: Row[*tuple[Any, ...]]) -> Run:
    stored: dict[str, Any] = {name: getattr(row, _COLUMNS.get(name, name), None) for name in _FIELDS}
    try:
        read = {name: unpack(value) if name in _DOCUMENTS else value for name, value in stored.items()}
        read["state"] = State(row.state)
        _check(read)
    except (ValueError, TypeError, RecursionError):
        raise Corrupt("What is stored of this run cannot be read.", where=f"run {row.id}") from None
    return Run(**read)


def _check(read: Mapping[str, Any]) -> None:
    if not isinstance(read["params"], dict) or not all(isinstance(read[name], dict | None) for name in _OPTIONAL):
        raise TypeError("params")
    if not all(0 <= read[name] < _LATEST for name in _MOMENTS if read[name] is not None or name == "created"):
        raise ValueError("created")


def _listed(row: Row[*tuple[Any, ...]]) -> Run:
    try:
        return _run(row)
    except Corrupt as fault:
        names: dict[str, Any] = {
            name: str(getattr(row, _COLUMNS.get(name, name))) for name in ("id", "flow", "digest", "by", "via")
        }
        version = row.version if isinstance(row.version, int) else 0
        return Run(**names, flow_version=version, created=0.0, state=State.FAILED, error=fault.problem())


def _missing() -> Missing:
    return Missing("There is no such run.")
