"""Carries out one run, segment by segment: rights, task, receipts, and how it ended. Never touches a row."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from sluicegate.base.errors import Cancelled, Conflict, Denied, Internal, Missing, SluiceError, rebuild, without_rows
from sluicegate.base.log import trace
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.engine import incremental
from sluicegate.engine.builder import Builder, read_flow, require_tenants
from sluicegate.engine.plan import one_writer, plan, steps
from sluicegate.engine.recorder import Recorder
from sluicegate.guard import conduct, policy
from sluicegate.kit.flow import Flow
from sluicegate.kit.step import Reading

if TYPE_CHECKING:
    from sluicegate.base.log import Log
    from sluicegate.engine.events import Events
    from sluicegate.engine.job import Job
    from sluicegate.engine.jobs import Step
    from sluicegate.engine.meter import Report
    from sluicegate.engine.task import Task
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.quotes import Quotes
    from sluicegate.store.runs import Run
    from sluicegate.store.scope import Scope, System

_PATIENCE = 12.0
"""Seconds until this node stops whatever its tasks do; they are ended by force before."""


class Left(BaseException):
    """The node stops. Not an outcome: what records outcomes lets it pass, so the run goes on at the next start."""


class Runner:
    """Carries out runs, several at once; each has a task of its own."""

    def __init__(
        self,
        system: System,
        builder: Builder,
        audit: Audit,
        events: Events,
        quotes: Quotes,
        task: Callable[[Job, Report], Task],
        log: Log,
    ) -> None:
        """Wire; nothing is carried out before ``arrive``. ``task`` starts one."""
        self._system, self._builder, self._audit, self._events = system, builder, audit, events
        self._quotes, self._start, self._log = quotes, task, log
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._leaving = True

    @property
    def running(self) -> int:
        """How many tasks there are."""
        return len(self._tasks)

    def cancel(self, run: str) -> None:
        """End a run's task when it is here; elsewhere, its worker sees the request in the store."""
        with self._lock:
            task = self._tasks.get(run)
        if task is not None:
            task.cancel()

    def arrive(self) -> None:
        """Take up runs (again)."""
        self._leaving = False

    def leave(self) -> None:
        """End all tasks because this node stops, and wait for them: their runs go on at the next start."""
        with self._lock:
            self._leaving = True
            tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        until = time.monotonic() + _PATIENCE
        while self._tasks and time.monotonic() < until:
            time.sleep(0.02)

    def execute(self, run: str, tenant: str, step: Step) -> None:
        """Carry out a run that the store holds as queued, or go on with one that was cut off.

        Whatever goes wrong ends the run and is on record; when not even that can be written, the run goes on at the
        next start. Raises only ``Left``, ``Missing`` when there is no such run, ``Conflict`` when another has it.
        """
        try:
            self._execute(run, tenant, step)
        except (Missing, Conflict):
            raise
        except Exception as fault:  # noqa: BLE001 - a run must not stay "running" for good, whatever it was
            self._give_up(run, tenant, fault)

    def _execute(self, run: str, tenant: str, step: Step) -> None:
        who = self._principal(run, tenant)
        scope = self._scope(tenant, who)
        runs, record = scope.runs(), Recorder(scope, self._events, run, self._quotes)
        found = runs.get(run)
        if not self._enter(scope, record, found):
            return
        began = time.monotonic()
        counts: dict[str, Any] = {"read": 0, "written": 0, "rejected": 0, "bytes": 0, "peak": 0, "seconds": 0.0}
        landed: list[str] = []
        fed: list[str] = []  # reading steps whose rows have landed
        faults: dict[str, SluiceError] = {}
        try:
            self._recheck(scope, run)
            stored = scope.definitions().get("flow", found.flow, found.flow_version)
            require_tenants(scope, stored)
            flow = read_flow(stored.body)
            with _Lazy(lambda: self._begin(scope, record, found, stored.body)) as task:
                for segment in plan(flow, self._one_writer(scope, flow)):
                    carry = partial(self._segment, scope, run, flow, task, segment.name, faults)
                    done = step(segment.name, carry)
                    if "problem" in done:
                        raise faults.get(segment.name) or rebuild(done["problem"])
                    record.progress = {}
                    self._count(counts, flow, done)
                    for name, receipt in done["receipts"].items():
                        landed.append(name)
                        runs.receipt(run, name, receipt)
                        record.write("receipt", {"step": name, **receipt})
                    fed += incremental.steps(flow, segment)
        except SluiceError as fault:
            state = "cancelled" if isinstance(fault, Cancelled) or runs.cancel_requested(run) else "failed"
            if record.progress:
                self._count(counts, flow, {"counts": record.progress, "receipts": {}})
            counts["seconds"] = round(time.monotonic() - began, 3)
            if isinstance(fault, Cancelled) and landed:
                fault = Cancelled(f"The run was cancelled; landed before that: {', '.join(landed)}.")
            if isinstance(fault, Denied) and landed:
                fault.message += f" Landed before that: {', '.join(landed)}."
            self._finish(scope, run, state, counts, fault, fed)
            return
        except Exception as fault:
            if self._leaving:
                raise
            self._finish(scope, run, "failed", counts, self._unforeseen(run, tenant, fault), fed)
            return
        finally:
            with self._lock:
                self._tasks.pop(run, None)
        counts["seconds"] = round(time.monotonic() - began, 3)
        self._finish(scope, run, "finished_with_rejects" if counts["rejected"] else "succeeded", counts, None, fed)

    def _enter(self, scope: Scope, record: Recorder, found: Run) -> bool:
        """Take a run up; return whether there is something to do."""
        from sluicegate.store.runs import State

        if found.state == "running":
            record.write("log", {"level": "warning", "message": "The run goes on after a restart."})
            return True
        if found.state != "queued":
            return False
        if scope.runs().cancel_requested(found.id):
            self._finish(scope, found.id, "cancelled", {}, Cancelled("The run was cancelled before it began."))
            return False
        scope.runs().advance(found.id, State.RUNNING)
        record.write("state", {"state": "running"})
        return True

    @staticmethod
    def _one_writer(scope: Scope, flow: Flow) -> frozenset[str]:
        return one_writer({name: scope.definitions().get("connection", name).body for name in flow.connections()})

    def _segment(
        self, scope: Scope, run: str, flow: Flow, lazy: _Lazy, name: str, faults: dict[str, SluiceError]
    ) -> dict[str, Any]:
        """Carry out one segment. A fault goes into ``faults``; what is returned is stored and quotes no row."""
        try:
            if scope.runs().cancel_requested(run):
                raise Cancelled("The run was cancelled.")
            conduct.require_reveal(flow, self._recheck(scope, run))
            return lazy.get().do(name)
        except Exception as fault:  # noqa: BLE001 - nothing unforeseen reaches the library: it would print the text
            if self._leaving:  # what it says is our own doing: no outcome of the run
                raise Left from None
            told = fault if isinstance(fault, SluiceError) else self._unforeseen(run, scope.tenant, fault)
            faults[name] = told
            return {"problem": without_rows(told.problem())}

    def _unforeseen(self, run: str, tenant: str, fault: Exception) -> Internal:
        """Write into the log what happened, and return what people are told of it."""
        self._log("A run failed unexpectedly.", level="error", run=run, tenant=tenant, error=type(fault).__name__,
                  trace=trace(fault))  # fmt: skip
        return Internal(hint=f"The server's log has it under {run}.")

    def _give_up(self, run: str, tenant: str, fault: Exception) -> None:
        """End a run past its own scope, or leave it for the next start when it cannot be ended."""
        from sluicegate.store.runs import ENDED, State

        if self._leaving:
            raise Left from None
        told = self._unforeseen(run, tenant, fault)
        try:
            scope = self._scope(tenant, _system(tenant))
            state = scope.runs().get(run).state
            if state in ENDED:
                return
            if state == "queued":
                scope.runs().advance(run, State.RUNNING)
            self._finish(scope, run, "failed", {}, told)
        except Exception as again:  # noqa: BLE001 - the store itself does not answer
            self._unforeseen(run, tenant, again)
            raise Left from None

    def _begin(self, scope: Scope, record: Recorder, run: Run, body: dict[str, Any]) -> Task:
        state = incremental.begin(scope, run, read_flow(body))
        job = self._builder.run(scope, run.id, body, run.params, run.flow_version, state)
        with self._lock:
            if self._leaving:
                raise Left
            task = record.task = self._tasks[run.id] = self._start(job, record)
        return task

    def _finish(
        self,
        scope: Scope,
        run: str,
        state: str,
        counts: dict[str, Any],
        fault: SluiceError | None,
        fed: Sequence[str] = (),
    ) -> None:
        from sluicegate.store.runs import State

        with scope.transaction():
            error = self._quotes.error(scope, run, fault.problem()) if fault else None
            for step in fed:
                scope.watermarks().land(run, step)
            scope.runs().advance(run, State(state), counts=counts, error=error)
            if fault:
                told = {"level": "error", "message": str(fault), "code": fault.code}
                self._quotes.event(scope, run, "log", told)
            scope.runs().event(run, "state", {"state": state})
            self._audit.event("run.finish", scope.who, None, state, {"run": run}, tenant=scope.tenant)
        self._events.wake(run)

    @staticmethod
    def _count(counts: dict[str, Any], flow: Flow, done: dict[str, Any]) -> None:
        named = steps(flow)
        for name, each in done["counts"]["steps"].items():
            if isinstance(named.get(name), Reading):
                counts["read"] += each["rows"]
                counts["bytes"] += each["bytes"]
            counts["rejected"] += each["rejected"]
        counts["written"] += sum(receipt["rows"] for receipt in done["receipts"].values())
        counts["peak"] = max(counts["peak"], done["counts"]["peak"])

    def _scope(self, tenant: str, who: Principal) -> Scope:
        from sluicegate.store.scope import Scope as Opened

        return Opened(self._system.database, tenant, who)

    def _principal(self, run: str, tenant: str) -> Principal:
        """Return whom a run runs as: the person who started it, with the rights they have now."""
        system = _system(tenant)
        by = self._scope(tenant, system).runs().get(run).by
        try:
            user = self._system.accounts().get(by)
        except Missing:
            return system
        return Principal(user.id, tenant, Role(user.role), Via.SYSTEM)

    def _recheck(self, scope: Scope, run: str) -> Principal:
        """Check the rights that hold now, and return whose they are: they can be taken away meanwhile (SEC-Z09)."""
        if self._system.tenants().get(scope.tenant).state != "active":
            raise Denied("The tenant is suspended.", where=f"run {run}")
        try:
            user = self._system.accounts().get(scope.who.id)
            now = Principal(user.id, scope.tenant, Role(user.role), Via.SYSTEM)
            may = user.state == "active" and policy.allowed(now, Permission.RUN_CONTROL)
        except Missing:
            may = False
        if not may:
            raise Denied("The person this run runs as may not run flows any more.", where=f"run {run}")
        return now


def _system(tenant: str) -> Principal:
    return Principal("system", tenant, Role.OPERATOR, Via.SYSTEM)


class _Lazy:
    """A task that starts when a segment first needs it: segments on record start none."""

    def __init__(self, begin: Callable[[], Task]) -> None:
        self._begin = begin
        self._task: Task | None = None

    def get(self) -> Task:
        if self._task is None:
            self._task = self._begin()
        return self._task

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.close()
