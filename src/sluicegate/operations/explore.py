"""Look into connections and flows: does it answer, what is there, what would come out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sluicegate.base.model import Id, Model, Name
from sluicegate.base.permission import Permission
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Operation
from sluicegate.operations import runs

ROWS_MAX = 500
DETECT_MAX = 10_000


class ConnectionOf(Model):
    """One connection by name."""

    name: Name
    """Name of the connection."""


class ItemsAsk(Model):
    """Where to look."""

    name: Name
    """Name of the connection."""
    under: str = Field(default="", max_length=1024)
    """Only items below this folder or schema."""


class PreviewAsk(Model):
    """Which step."""

    name: Name
    """Name of the flow."""
    step: Name
    """The step whose rows to show."""
    params: dict[str, Any] = Field(default={}, max_length=100)
    """Values of the flow's parameters."""
    limit: int = Field(default=20, ge=1, le=ROWS_MAX)
    """At most this many rows."""


class ExplainAsk(Model):
    """Which flow."""

    name: Name
    """Name of the flow."""
    params: dict[str, Any] = Field(default={}, max_length=100)
    """Values of the flow's parameters."""


class DetectAsk(Model):
    """What to look through."""

    name: Name
    """Name of the connection."""
    item: str = Field(min_length=1, max_length=1024)
    """Table, view or file."""
    format: Name | None = None
    """How a file is read (``csv``); told by its name when left out."""
    rows: int = Field(default=1000, ge=1, le=DETECT_MAX)
    """At most this many of the first rows."""


class RejectsAsk(Model):
    """Which run."""

    id: Id
    """Id of the run."""
    limit: int = Field(default=50, ge=1, le=ROWS_MAX)
    """At most this many rows."""


class Answer(Model):
    """How a connection answered."""

    name: str
    answer: str


class Item(Model):
    """One item of a connection."""

    name: str
    type: str
    bytes: int | None = None
    rows: int | None = None


class Items(Model):
    """What a connection offers."""

    items: tuple[Item, ...]


class Rows(Model):
    """A few rows."""

    columns: dict[str, str]
    """Types by column."""
    rows: tuple[tuple[Any, ...], ...]
    """Values; what JSON cannot carry exactly is text."""
    cut: str = ""
    """What was left out because the answer would have been too large."""


class ExplainedSince(Model):
    """Which rows a step will read."""

    column: str
    """Column that tells what is new."""
    value: str | None
    """Rows above it; nothing: all rows."""
    inclusive: bool
    """Whether rows that hold just this value are read, too."""
    filtered_by: Literal["source", "task"]
    """Who leaves out the others: the system itself, or the task, which then gets all of them."""


class ExplainedStep(Model):
    """One step, and what comes out of it."""

    name: str
    type: str
    """Sort of step (``read``, ``map`` …)."""
    inputs: tuple[str, ...]
    """Steps whose rows it takes."""
    columns: dict[str, str]
    """Types by column."""
    runs_in: Literal["task", "jail"]
    """Where: what holds a person's text runs in the jail."""
    since: ExplainedSince | None = None
    """Where it begins, when it reads only what is new."""


class ExplainedWrite(Model):
    """One step that lets rows out."""

    name: str
    connection: str
    item: str
    """Table or file, parameters filled in."""
    mode: str
    change: str
    """What will happen to the table itself: made, altered, dropped and made anew; empty for a file."""
    sealed: bool
    columns: dict[str, str] | None
    """Types by column of the table as it is now; nothing when it is not there, or a file."""
    way: Literal["passage", "batches"]
    """How rows get there: as they are, unseen (``passage``), or as typed batches."""
    why: str
    """Why this way."""


class ExplainedSegment(Model):
    """What is carried out, and tried again, as one."""

    name: str
    source: str
    """The step whose rows are written."""
    writes: tuple[ExplainedWrite, ...]
    """They run side by side and commit together."""


class Explained(Model):
    """How a flow will be carried out."""

    steps: tuple[ExplainedStep, ...]
    segments: tuple[ExplainedSegment, ...]


class Finding(Model):
    """A column that looks personal."""

    column: str
    category: str
    """What it looks like: ``email``, ``phone``, ``iban``, ``card``, ``person`` …"""
    share: float
    """Of the different values that were seen, how many look so."""
    by: Literal["name", "content", "both"]
    """What tells it: how the column is called, or what stands in it."""
    confidence: Literal["high", "medium", "low"]
    tags: tuple[str, ...]
    """Tags that it should have."""
    rule: str
    """The method that is suggested, as a flow writes it."""


class Detected(Model):
    """Which columns look personal. No value is in it."""

    rows: int
    """Rows that were looked at."""
    items: tuple[Finding, ...]
    step: str = ""
    """A step ``mask`` for them, to paste; empty when nothing was found."""
    tags: str = ""
    """The tags, to paste into the step ``read`` or into the connection."""


class Rejects(Model):
    """Rows in quarantine."""

    items: tuple[dict[str, Any], ...]
    total: int


def test(ask: ConnectionOf, desk: Desk) -> Answer:
    """Test whether a connection answers."""
    return Answer(name=ask.name, answer=desk.services.engine.ask(desk.scope, "test", {"connection": ask.name}))


def items(ask: ItemsAsk, desk: Desk) -> Items:
    """List what a connection offers."""
    found = desk.services.engine.ask(desk.scope, "items", {"connection": ask.name, "under": ask.under})
    return Items(items=tuple(Item(**each) for each in found))


def preview(ask: PreviewAsk, desk: Desk) -> Rows:
    """Show the first rows of a step. Nothing is written."""
    told = {"flow": ask.name, "step": ask.step, "params": ask.params, "limit": ask.limit}
    return Rows(**desk.services.engine.ask(desk.scope, "preview", told))


def explain(ask: ExplainAsk, desk: Desk) -> Explained:
    """Tell how a flow will be carried out: types between steps, which way rows take and why. No row is read."""
    return Explained(**desk.services.engine.ask(desk.scope, "explain", {"flow": ask.name, "params": ask.params}))


def detect(ask: DetectAsk, desk: Desk) -> Detected:
    """Look for columns that hold personal data, and suggest how to mask them. No value is shown."""
    told = {"connection": ask.name, "item": ask.item, "format": ask.format or "", "rows": ask.rows}
    found = desk.services.engine.ask(desk.scope, "detect", told)
    return Detected(rows=found["rows"], items=tuple(found["found"]), step=found["step"], tags=found["tags"])


def rejects(ask: RejectsAsk, desk: Desk) -> Rejects:
    """Show rows that a run put into quarantine."""
    runs.require_rows(desk, desk.scope.runs().get(ask.id))
    return Rejects(**desk.services.engine.ask(desk.scope, "rejects", {"run": ask.id, "limit": ask.limit}))


OPERATIONS = (
    Operation(
        "connection.test",
        Permission.DATA_READ,
        Http("POST", "/connections/{name}/test"),
        ConnectionOf,
        Answer,
        test,
        audited=True,
        asks=True,
    ),
    Operation(
        "connection.items",
        Permission.DATA_READ,
        Http("GET", "/connections/{name}/items"),
        ItemsAsk,
        Items,
        items,
        audited=True,
        asks=True,
    ),
    Operation(
        "flow.preview",
        Permission.DATA_READ,
        Http("POST", "/flows/{name}/preview"),
        PreviewAsk,
        Rows,
        preview,
        audited=True,
        asks=True,
    ),
    Operation(
        "flow.explain",
        Permission.DATA_READ,
        Http("POST", "/flows/{name}/explain"),
        ExplainAsk,
        Explained,
        explain,
        audited=True,
        asks=True,
    ),
    Operation(
        "connection.detect",
        Permission.DATA_READ,
        Http("POST", "/connections/{name}/detect"),
        DetectAsk,
        Detected,
        detect,
        audited=True,
        asks=True,
    ),
    Operation(
        "run.rejects",
        Permission.DATA_READ,
        Http("GET", "/runs/{id}/rejects"),
        RejectsAsk,
        Rejects,
        rejects,
        audited=True,
    ),
)
