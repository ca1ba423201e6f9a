"""The one way in: API, command line, schedules and listeners all pass here, in a fixed order.

limit → authenticate → decode → authorise → open Scope → audit → call → audit.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Invalid, SluiceError, StepUp, Unauthenticated, from_validation
from sluicegate.base.model import Model
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Credentials, Peer, Principal, Via
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk, Services
from sluicegate.guard.limits import Limits
from sluicegate.guard.pieces import Pieces
from sluicegate.guard.quotas import Quotas, Shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.guard.audit import Record
    from sluicegate.guard.operation import Operation
    from sluicegate.guard.tickets import Bound


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that was let in: what it may be asked is looked at next."""

    operation: Operation
    credentials: Credentials
    peer: Peer
    who: Principal | None
    """Who asks; nobody for a public operation."""
    key: str
    """Thumbprint of the client's key, when a public operation came with a proof of it."""
    told: bool = False
    """Whether what a support access lets see is on record already: once for a request that waits."""
    bound: Bound | None = None
    """What the ticket was for that it came with."""


class Gate:
    """Lets an operation be called, or says why not."""

    def __init__(self, services: Services, limits: Limits, quotas: Quotas | None = None) -> None:
        """Stand before ``services``."""
        self._quotas = quotas or Quotas(Shares())
        self._services = services
        self._limits = limits

    def call(self, operation: Operation, ask: Mapping[str, Any], credentials: Credentials, peer: Peer) -> Model:
        """Call ``operation`` with the question ``ask`` (plain JSON values) and return its answer.

        Raises what ``enter`` and ``proceed`` raise.
        """
        return self.proceed(self.enter(operation, credentials, peer), ask)

    def enter(self, operation: Operation, credentials: Credentials, peer: Peer) -> Entry:
        """Take one request in, before its body is read: limit, authenticate, look where it comes from.

        Raises ``Throttled``, ``Unauthenticated``, ``Denied`` for an address that is on no list, or ``Unavailable``
        when it is not known whether its token still holds and it may change something.
        """
        knocks = isinstance(operation.permission, Public) and operation.http.method != "GET"
        self._limits.admit(peer, knocks=knocks)
        who, key, bound = self._authenticate(operation, credentials, peer)
        if who is not None or operation.changes:  # health and the like tell strangers nothing, and fill no trail
            self._look(operation, who, peer)
        if who is not None:
            self._quotas.admit(who, operation)
        if who is not None and operation.changes:
            self._services.revocation.require_fresh()
        return Entry(operation, credentials, peer, who, key, bound=bound)

    def still(self, entry: Entry) -> Entry:
        """Return a request that has waited with what its token or ticket is good for now, on record already.

        Raises ``Unauthenticated`` when that is nothing any more, ``Denied`` when a list keeps its address out by now.
        """
        if entry.who is None:
            return entry
        login = self._services.login
        if entry.bound is not None:
            self._services.tickets.require(entry.bound.claims)
            who = login.principal(entry.bound.claims)
        else:
            who = login.authenticate(entry.credentials, entry.operation.tokens, again=True)
        self._look(entry.operation, who, entry.peer)
        return replace(entry, who=who, told=entry.told and who.support == entry.who.support)

    def _look(self, operation: Operation, who: Principal | None, peer: Peer) -> None:
        """Look from where somebody comes."""
        self._services.rules.require(operation.name, who, peer, self._services.keys.networks(who))

    def proceed(self, entry: Entry, ask: Mapping[str, Any]) -> Model:
        """Decode, authorise, open the Scope, put on record, call, and put on record how it ended.

        Raises ``Invalid``, ``Denied``, ``Throttled``, ``Unavailable``, or what the operation raises. A failed audit
        write fails the call.
        """
        services, operation, who, peer = self._services, entry.operation, entry.who, entry.peer
        if entry.bound is not None:
            if any(entry.bound.ask.get(name) != value for name, value in ask.items()):
                services.tickets.misplaced(entry.bound, operation.name, peer)
                raise Unauthenticated
            ask = entry.bound.ask
        try:
            question = operation.takes.model_validate(ask)
        except ValidationError as fault:
            self._authorise(entry, {})  # who may not ask is told that, and not how to ask
            raise misfit(operation, fault) from None
        self._authorise(entry, question)
        inside = services.scope(who.tenant, who) if who and who.tenant else None
        desk = Desk(services, peer, who, inside, entry.key, entry.credentials.url)
        if operation.tenant and not isinstance(operation.permission, Public):
            _ = desk.scope  # refuses when no tenant is chosen
        if operation.fresh and who is not None:
            try:
                services.login.require_fresh(who)
            except StepUp:
                services.audit.denied(operation.name, _recorded(operation, who), peer, about(question))
                raise
        if not operation.audited and not (who is not None and who.support and not entry.told):
            answer = operation.call(question, desk)
            self._still_lent(who)
            return self._watched(entry, answer, None)
        record = services.audit.begin(operation.name, _recorded(operation, who) if who else None, peer, about(question))
        try:
            with self._limits.asking(desk.scope.tenant) if operation.asks else nullcontext():
                answer = operation.call(question, desk)
            self._still_lent(who)
        except SluiceError as fault:
            services.audit.end(record, fault.code)
            raise
        except BaseException:
            services.audit.end(record, "error")
            raise
        if isinstance(answer, Pieces):
            return self._watched(entry, answer, record)
        services.audit.end(record, "ok", about(answer, _DONE))
        return answer

    def _still_lent(self, who: Principal | None) -> None:
        """Hand out nothing by a support access that ended while the answer was made."""
        if who is not None and who.support:
            self._services.support.require(who)

    def _watched(self, entry: Entry, answer: Model, record: Record | None) -> Model:
        return answer.through(self._send(entry, answer.made, record)) if isinstance(answer, Pieces) else answer

    def _send(self, entry: Entry, made: Generator[bytes], record: Record | None) -> Generator[bytes]:
        """Yield pieces while what they were asked for with holds; then put on record how it ended.

        A stream ends with its token. A file is one answer: it goes on, but for a revocation.
        """
        result = "cut"
        try:
            with closing(made), self._limits.sending(entry.who.id if entry.who else ""):
                for piece in made:
                    self._authorise(self.still(entry), {})
                    self._still_lent(entry.who)  # a support access may have ended
                    if entry.operation.serves == "stream" and entry.who and entry.who.until <= clock.system():
                        raise Unauthenticated
                    yield piece
            result = "ok"
        except GeneratorExit:
            raise  # the client went away
        except BaseException as fault:
            result = fault.code if isinstance(fault, SluiceError) else "error"
            raise
        finally:
            if record is not None:
                self._services.audit.end(record, result)

    def _authenticate(
        self, operation: Operation, credentials: Credentials, peer: Peer
    ) -> tuple[Principal | None, str, Bound | None]:
        login = self._services.login
        try:
            if operation.ticketed:
                bound = self._services.tickets.take(credentials.ticket, operation.name, peer)
                return login.principal(bound.claims), "", bound
            if isinstance(operation.permission, Public):
                return None, login.prove(credentials) if credentials.proof is not None else "", None
            return login.authenticate(credentials, operation.tokens), "", None
        except Unauthenticated:
            self._limits.failed(peer)
            raise

    def _authorise(self, entry: Entry, question: Model | Mapping[str, Any]) -> None:
        operation, who = entry.operation, entry.who
        if isinstance(operation.permission, Public):
            return
        if who is None:
            raise Unauthenticated
        by_key = operation.person and who.via is Via.KEY
        if policy.allowed(who, operation.permission) and not by_key:
            return
        shown = about(question) if isinstance(question, Model) else {}
        self._services.audit.denied(operation.name, who, entry.peer, shown)
        if by_key:
            raise Denied(f"An API key may not do this: {operation.name} is for people.", hint="Sign in as a person.")
        raise Denied(
            f"The role {who.role.value} may not do this: {operation.name} needs {operation.permission.value}.",
            hint="Ask an administrator of your tenant.",
        )


def _recorded(operation: Operation, who: Principal) -> Principal:
    """Return who is put on record, and where: what concerns the installation is no tenant's to read."""
    return replace(who, tenant=None) if operation.permission is Permission.TENANT_MANAGE else who


_SHOWN = (
    "id",
    "operation",
    "name",
    "email",
    "before",
    "role",
    "reason",
    "expires",
    "tenant",
    "flow",
    "connection",
    "run",
    "version",
    "kind",
    "step",
)
_DONE = (*_SHOWN, "reference")
"""Also of an answer: what was asked for with a reference may be a secret that somebody pasted in the wrong place."""


def misfit(operation: Operation, fault: ValidationError) -> Invalid:
    """Return what is wrong with a question. An unknown key is not repeated: somebody's password may stand there."""
    if any(each["type"] == "extra_forbidden" for each in fault.errors(include_url=False, include_input=False)):
        known = ", ".join(operation.takes.model_fields) or "nothing"
        return Invalid("The question has an unknown key.", hint=f"{operation.name} takes: {known}.")
    return from_validation(fault)


def about(value: Model, shown: tuple[str, ...] = _SHOWN) -> dict[str, Any]:
    """Return what the audit trail says of a question or answer: names and ids from a fixed list, never content."""
    found = {key: getattr(value, key) for key in shown if isinstance(getattr(value, key, None), str | int)}
    items = getattr(value, "items", None)
    if isinstance(items, tuple):
        found["items"] = [
            f"{each.kind}/{each.name}" for each in items[:50] if hasattr(each, "kind") and hasattr(each, "name")
        ]
    return {key: each for key, each in found.items() if each not in (None, [], "")}


def check(operations: tuple[Operation, ...]) -> None:
    """Refuse a table that is not sound: run at start, so that a server with a hole does not start.

    Raises ``Invalid`` for two operations with one name or route, one without permission or reason, a permission that no
    role has, or a field in a path that the question lacks.
    """
    names: set[str] = set()
    routes: set[tuple[str, str]] = set()
    granted = set().union(*policy.GRANTS.values())
    for each in operations:
        route = (each.http.method, each.http.path)
        if each.name in names or route in routes:
            raise Invalid(f"two operations are called {each.name!r} or share a route")
        names.add(each.name)
        routes.add(route)
        if isinstance(each.permission, Public):
            if not each.permission.reason.strip():
                raise Invalid(f"{each.name} is public without a reason")
        elif each.permission not in granted:
            raise Invalid(f"no role has the permission of {each.name}")
        if each.ticketed and (isinstance(each.permission, Public) or each.http.method != "GET"):
            raise Invalid(f"{each.name} is opened by a ticket: that is a GET with a permission")
        lost = [place for place in each.http.places if place not in each.takes.model_fields]
        if lost:
            raise Invalid(f"{each.name}: the path names {lost[0]!r}, the question does not")
        if not each.summary:
            raise Invalid(f"{each.name} has no docstring")
