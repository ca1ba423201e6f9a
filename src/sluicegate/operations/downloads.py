"""Downloads and streams: what is sent in pieces, each opened by a one-time ticket and by nothing else."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import Field, ValidationError

from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.model import NUMBER_MAX, Id, Model
from sluicegate.base.permission import Permission
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Operation
from sluicegate.guard.pieces import Pieces, packed
from sluicegate.operations import runs
from sluicegate.operations.runs import EventsAsk, RunOf
from sluicegate.operations.system import trail_of

if TYPE_CHECKING:
    from sluicegate.base.secret import Secret

NDJSON = "application/x-ndjson"
_PAGE = 50
"""Events that are held at once: what nobody fetches takes little, however long the run's log is."""


class WatchAsk(Model):
    """Which run, and from where on."""

    id: Id
    """Id of the run."""
    after: int = Field(default=0, ge=0, le=NUMBER_MAX)
    """Only events after this number."""


class ExportAsk(Model):
    """Which records."""

    action: str | None = Field(default=None, max_length=100)
    """Only this action, such as ``run.start``."""


class TicketAsk(Model):
    """What is to be downloaded or followed."""

    operation: str = Field(max_length=64)
    """``run.log``, ``run.rejected``, ``run.watch`` or ``audit.export``."""
    ask: dict[str, Any] = Field(default={}, max_length=20)
    """The operation's question, such as the ``id`` of the run."""


class Ticket(Model):
    """A ticket: good once, for this question."""

    ticket: str
    """The ticket itself."""
    url: str
    """Where it is to be used, it included: a path on this server."""
    expires_in: int
    """Seconds in which it is to be used."""


def _line(value: Any) -> bytes:
    return orjson.dumps(value) + b"\n"


def log(ask: RunOf, desk: Desk) -> Pieces:
    """Download what has happened in a run: one event a line."""
    run = desk.scope.runs().get(ask.id)

    def lines() -> Generator[bytes]:
        after = 0
        while found := runs.events(EventsAsk(id=ask.id, after=after, limit=_PAGE), desk).items:
            for each in found:
                yield _line(each.model_dump())
            after = found[-1].seq
            if len(found) < _PAGE:
                return

    return Pieces.of(f"{run.flow}-{ask.id}.ndjson", NDJSON, packed(lines()))


def watch(ask: WatchAsk, desk: Desk) -> Pieces:
    """Follow what happens in a run, as server-sent events, until it is over."""
    desk.scope.runs().get(ask.id)

    def events() -> Generator[bytes]:
        after = ask.after
        while True:
            found = runs.events(EventsAsk(id=ask.id, after=after, limit=_PAGE), desk)
            for each in found.items:
                yield b"id: %d\ndata: %s\n\n" % (each.seq, orjson.dumps(each.model_dump()))
                after = each.seq
            if found.done:
                yield b'event: end\ndata: {"why":"over"}\n\n'
                return
            if not found.items:
                yield b""

    return Pieces.of(ask.id, "text/event-stream", events(), topic=ask.id)


def rejected(ask: RunOf, desk: Desk) -> Pieces:
    """Download the rows that a run put into quarantine: one a line."""
    run = desk.scope.runs().get(ask.id)
    runs.require_rows(desk, run)
    rows = desk.services.engine.rejected(desk.scope, ask.id)
    return Pieces.of(f"{run.flow}-{ask.id}-rejects.ndjson", NDJSON, packed(rows))


def export(ask: ExportAsk, desk: Desk) -> Pieces:
    """Download the audit trail of the tenant; a SuperAdmin in none, the installation's own."""
    ledger = trail_of(desk)
    last, _ = ledger.head()  # what comes after, this download's own end among it, is left for the next

    def lines() -> Generator[bytes]:
        for seq, body, _ in ledger.all():
            if seq > last:
                return
            yield _line({"seq": seq, **body}) if ask.action in (None, body["action"]) else b""

    return Pieces.of(f"audit-to-{last}.ndjson", NDJSON, packed(each for each in lines() if each))


def ticket(ask: TicketAsk, desk: Desk) -> Ticket:
    """Get a ticket for a download or a stream: good once, for half a minute."""
    operation = _SERVED.get(ask.operation)
    if operation is None:
        raise Invalid("is no download and no stream", where="operation", hint=f"One of: {', '.join(sorted(_SERVED))}.")
    if not isinstance(operation.permission, Permission) or not policy.allowed(desk.who, operation.permission):
        raise Denied(
            f"The role {desk.who.role.value} may not do this: {operation.name}.",
            hint="Ask an administrator of your tenant.",
        )
    try:
        question = operation.takes.model_validate(ask.ask).model_dump(mode="json")
    except ValidationError:
        fields = ", ".join(operation.takes.model_fields)
        raise Invalid(f"is no question for {operation.name}", where="ask", hint=f"It takes: {fields}.") from None
    given, life = desk.services.tickets.issue(desk.who, operation.name, question)
    return Ticket(ticket=given.reveal(), url=_url(operation, question, given), expires_in=life)


def _url(operation: Operation, ask: dict[str, Any], given: Secret) -> str:
    path = operation.http.path
    for place in operation.http.places:
        path = path.replace(f"{{{place}}}", str(ask[place]))
    return f"/api/v1{path}?ticket={given.reveal()}"


_FILES = (
    Operation(
        "run.log",
        Permission.RUN_READ,
        Http("GET", "/runs/{id}/log"),
        RunOf,
        Pieces,
        log,
        audited=True,
        serves="file",
    ),
    Operation(
        "run.rejected",
        Permission.DATA_READ,
        Http("GET", "/runs/{id}/rejected"),
        RunOf,
        Pieces,
        rejected,
        audited=True,
        serves="file",
    ),
    Operation(
        "run.watch",
        Permission.RUN_READ,
        Http("GET", "/runs/{id}/watch"),
        WatchAsk,
        Pieces,
        watch,
        audited=False,
        serves="stream",
    ),
    Operation(
        "audit.export",
        Permission.AUDIT_READ,
        Http("GET", "/audit/export"),
        ExportAsk,
        Pieces,
        export,
        audited=True,
        tenant=False,
        serves="file",
    ),
)
_SERVED = {each.name: each for each in _FILES}

OPERATIONS = (
    Operation(
        "ticket.create",
        Permission.RUN_READ,
        Http("POST", "/tickets"),
        TicketAsk,
        Ticket,
        ticket,
        audited=True,
        tenant=False,
    ),
    *_FILES,
)
