"""Runs: start, watch, cancel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Invalid, Missing, without_rows
from sluicegate.base.model import NUMBER_MAX, Id, Model, Name, new_id
from sluicegate.base.permission import Permission
from sluicegate.guard import conduct, policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Operation
from sluicegate.guard.quotes import bare, quoting
from sluicegate.kit import document
from sluicegate.kit.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.store.runs import Run as Stored

PAGE_MAX = 500
WAIT_MAX = 20


class RunAsk(Model):
    """Which flow, and what it is told."""

    name: Name
    """Name of the flow."""
    params: dict[str, Any] = Field(default={}, max_length=100)
    """Values of its parameters."""
    full: bool = Field(default=False, strict=True)
    """Read all rows, whatever runs before have seen, and go on from there."""


class Started(Model):
    """A run has been put in the queue."""

    id: str
    flow: str
    version: int


class RunsAsk(Model):
    """Which runs."""

    flow: Name | None = None
    """Only runs of this flow."""
    limit: int = Field(default=50, ge=1, le=PAGE_MAX)
    """At most this many, the newest first."""
    before: Id | None = None
    """Only runs older than this one (paging)."""


class RunOf(Model):
    """One run by id."""

    id: Id
    """Id of the run."""


class EventsAsk(Model):
    """Which events."""

    id: Id
    """Id of the run."""
    after: int = Field(default=0, ge=0, le=NUMBER_MAX)
    """Only events after this number."""
    limit: int = Field(default=PAGE_MAX, ge=1, le=PAGE_MAX)
    """At most this many."""
    wait: int = Field(default=0, ge=0, le=WAIT_MAX)
    """Hold the answer back this many seconds while there is nothing new."""


class Run(Model):
    """One run."""

    id: str
    flow: str
    flow_version: int
    state: str
    by: str
    created: str
    started: str | None
    finished: str | None
    params: dict[str, Any]
    counts: dict[str, Any]
    error: dict[str, Any] | None
    receipts: dict[str, dict[str, Any]] = Field(default={})


class Runs(Model):
    """Runs, the newest first."""

    items: tuple[Run, ...]


class Event(Model):
    """Something that happened in a run."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]


class Events(Model):
    """Events in order."""

    items: tuple[Event, ...]
    done: bool = False
    """True when the run is over and these are its last events."""


ENDED = frozenset({"succeeded", "finished_with_rejects", "failed", "cancelled"})


def plain(value: Any) -> Any:
    """Return a stored value with what JSON cannot hold put into words: no row can make an answer impossible."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return "a number of more than 64 bits"
    return value


def _reveals(desk: Desk, run: Stored) -> bool:
    """Tell whether a run took masks off; so one has, too, whose flow this release cannot read."""
    try:
        found = document.parse_definition(desk.scope.definitions().get("flow", run.flow, run.flow_version).body)
    except Missing:  # it never ran: versions stay when a flow is deleted
        return False
    except Invalid:
        return True
    return not isinstance(found, Flow) or conduct.reveals(found)


def _reader(desk: Desk) -> Callable[[Stored], bool]:
    """Return what tells of which runs the caller may see rows, and words that quote them: some take masks off."""
    if not policy.allowed(desk.who, Permission.DATA_READ):
        return lambda _: False
    if policy.allowed(desk.who, Permission.DATA_REVEAL):
        return lambda _: True
    kept: dict[tuple[str, int], bool] = {}

    def may(run: Stored) -> bool:
        flow = (run.flow, run.flow_version)
        if flow not in kept:
            kept[flow] = not _reveals(desk, run)
        return kept[flow]

    return may


def require_rows(desk: Desk, run: Stored) -> None:
    """Raise ``Denied`` when a run took masks off, and the caller may not: its rejected rows may be without them."""
    if not _reader(desk)(run):
        raise Denied(
            f"This run took masks off: its rows need {Permission.DATA_REVEAL}.",
            hint="Ask an administrator of the tenant.",
        )


def _shown(run: Stored, error: dict[str, Any] | None, receipts: dict[str, dict[str, Any]] | None = None) -> Run:
    def when(at: float | None) -> str | None:
        return clock.iso(at) if at else None

    return Run(
        id=run.id,
        flow=run.flow,
        flow_version=run.flow_version,
        state=run.state,
        by=run.by,
        created=clock.iso(run.created),
        started=when(run.started),
        finished=when(run.finished),
        params=plain(run.params),
        counts=plain(run.counts or {}),
        error=plain(error),
        receipts=plain(receipts or {}),
    )


def _errors(desk: Desk, *runs: Stored) -> list[tuple[Stored, dict[str, Any] | None]]:
    """Return runs with their errors, whole for those who may read rows."""
    may = _reader(desk)
    readable = [each for each in runs if each.error is not None and may(each)]
    whole = {each.run.id: each.error for each in desk.services.quotes.errors(desk.scope, readable)}
    return [(each, whole.get(each.id) or (each.error and without_rows(each.error))) for each in runs]


def start(ask: RunAsk, desk: Desk) -> Started:
    """Run a flow."""
    stored = desk.scope.definitions().get("flow", ask.name)
    flow = document.parse_definition(stored.body)
    if not isinstance(flow, Flow):
        raise Invalid("this is not a flow", where=ask.name)
    conduct.require_reveal(flow, desk.who)  # here, for here the scopes of a key are known
    values = flow.values(ask.params)
    run = new_id()
    shown = {name: value if isinstance(value, bool | int | float) else str(value) for name, value in values.items()}
    from sluicegate.store.runs import Run as Stored

    desk.scope.runs().add(
        Stored(
            id=run,
            flow=ask.name,
            flow_version=stored.version,
            digest=stored.digest,
            params=shown,
            by=desk.who.id,
            via=desk.who.via.value,
            created=clock.system(),
            plan={"full": True} if ask.full else None,
        )
    )
    desk.services.engine.start(run, desk.scope)
    return Started(id=run, flow=ask.name, version=stored.version)


def list_(ask: RunsAsk, desk: Desk) -> Runs:
    """List runs."""
    found = desk.scope.runs().list(ask.limit, ask.flow, ask.before)
    return Runs(items=tuple(_shown(run, error) for run, error in _errors(desk, *found)))


def get(ask: RunOf, desk: Desk) -> Run:
    """Show a run."""
    runs = desk.scope.runs()
    ((run, error),) = _errors(desk, runs.get(ask.id))
    return _shown(run, error, runs.receipts(ask.id))


def events(ask: EventsAsk, desk: Desk) -> Events:
    """Show what has happened in a run: progress, log lines, receipts."""
    runs = desk.scope.runs()
    run = runs.get(ask.id)  # before the events: an ended run has no later ones
    found = runs.events(ask.id, ask.after, ask.limit)
    if quoting(found) and _reader(desk)(run):
        found = desk.services.quotes.events(desk.scope, ask.id, found)
    else:
        found = [each._replace(body=bare(each.kind, each.body)) for each in found]
    items = tuple(Event(seq=each.seq, at=clock.iso(each.at), kind=each.kind, body=plain(each.body)) for each in found)
    return Events(items=items, done=run.state in ENDED and len(items) < ask.limit)


def cancel(ask: RunOf, desk: Desk) -> Run:
    """Ask a run to end soon. What it has not committed is undone."""
    desk.scope.runs().request_cancel(ask.id)
    desk.services.engine.cancel(ask.id)
    return get(ask, desk)


OPERATIONS = (
    Operation(
        "run.start",
        Permission.RUN_CONTROL,
        Http("POST", "/flows/{name}/runs", 202),
        RunAsk,
        Started,
        start,
        audited=True,
    ),
    Operation("run.list", Permission.RUN_READ, Http("GET", "/runs"), RunsAsk, Runs, list_, audited=False),
    Operation("run.get", Permission.RUN_READ, Http("GET", "/runs/{id}"), RunOf, Run, get, audited=False),
    Operation(
        "run.events",
        Permission.RUN_READ,
        Http("GET", "/runs/{id}/events", waits=True),
        EventsAsk,
        Events,
        events,
        audited=False,
    ),
    Operation(
        "run.cancel", Permission.RUN_CONTROL, Http("POST", "/runs/{id}/cancel"), RunOf, Run, cancel, audited=True
    ),
)
