"""Carries out runs on this node: builds the job, starts the task, keeps the record. Never touches a row."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sluicegate.base.errors import Cancelled, Denied, Failed, Missing, SluiceError, rebuild
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.base.secret import Secret
from sluicegate.engine.events import Events
from sluicegate.engine.job import Job, What
from sluicegate.engine.plan import one_writer, plan
from sluicegate.engine.task import Task
from sluicegate.guard import policy, tls
from sluicegate.guard.desk import Asked
from sluicegate.guard.vault import RESERVED
from sluicegate.kit import document
from sluicegate.kit.connection import Connection
from sluicegate.kit.flow import Flow

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings
    from sluicegate.engine.jobs import Step
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.vault import Vault
    from sluicegate.store.scope import Scope, System

_CANCEL_LOOK = 0.5
QUARANTINE_KEY = RESERVED + "quarantine"


class Worker:
    """Runs flows for all tenants of this node."""

    def __init__(self, settings: Settings, system: System, vault: Vault, audit: Audit, events: Events) -> None:
        """Wire; nothing runs before ``open``."""
        self._settings, self._system, self._vault, self._audit, self._events = settings, system, vault, audit, events
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._jobs: Any = None
        self._jail: dict[str, Any] = {"tier": "none", "missing": ["not probed"]}
        self._slots = threading.BoundedSemaphore(8)

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Test the jail, sweep what a crash has left, and take up runs that were cut off."""
        from sluicegate.engine.jobs import Jobs

        self._sweep()
        threading.Thread(target=self._probe, name="jail-probe", daemon=True).start()
        self._jobs = Jobs(self._settings.jobs_url, self._node(), self._settings.limits.runs, self._execute)
        self._jobs.open()

    def close(self) -> None:
        """End the tasks of this node; their runs go on at the next start."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None

    def health(self) -> Mapping[str, Any]:
        """Say how the jail is and what runs."""
        return {"jail": self._jail["tier"], "jail_missing": list(self._jail["missing"]), "running": len(self._tasks)}

    # -- what operations ask -------------------------------------------------------------------------------------------

    def start(self, run: str, scope: Scope) -> None:
        """Begin a run that the store holds as queued."""
        self._event(scope, run, "state", {"state": "queued"})
        self._jobs.start(run, scope.tenant)

    def cancel(self, run: str) -> None:
        """End a run's task when it is here; elsewhere, its worker sees the request in the store."""
        with self._lock:
            task = self._tasks.get(run)
        if task is not None:
            task.cancel()

    def ask(self, scope: Scope, what: Asked, ask: Mapping[str, Any]) -> Any:
        """Have a task do something short and return its answer."""
        if what == "rejects":
            return self._rejects(scope, str(ask["run"]), int(ask["limit"]))
        job = (
            self._preview_job(scope, ask)
            if what == "preview"
            else self._explore_job(scope, what, str(ask["connection"]), ask)
        )
        if not self._slots.acquire(timeout=10):
            raise Failed("Too many previews at once.", hint="Try again in a moment.")
        try:
            with Task(job, lambda _kind, _body: None) as task:
                timer = threading.Timer(60, task.cancel)
                timer.daemon = True
                timer.start()
                try:
                    answer = task.do(what)
                finally:
                    timer.cancel()
        finally:
            self._slots.release()
        return answer.get("answer", answer.get("items", answer))

    # -- runs ----------------------------------------------------------------------------------------------------------

    def _execute(self, run: str, tenant: str, step: Step) -> None:
        who = self._principal(run, tenant)
        scope = self._scope(tenant, who)
        from sluicegate.store.runs import State

        runs = scope.runs()
        found = runs.get(run)
        if found.state not in ("queued", "running"):
            return
        if found.state == "queued":
            if runs.cancel_requested(run):
                self._finish(scope, run, "cancelled", {}, Cancelled("The run was cancelled before it began."))
                return
            runs.advance(run, State.RUNNING)
            self._event(scope, run, "state", {"state": "running"})
        else:
            self._event(scope, run, "log", {"level": "warning", "message": "The run goes on after a restart."})
        began = time.monotonic()
        counts: dict[str, Any] = {"read": 0, "written": 0, "rejected": 0, "bytes": 0, "peak": 0, "seconds": 0.0}
        landed: list[str] = []
        try:
            self._recheck(scope, run)
            stored = scope.definitions().get("flow", found.flow, found.flow_version)
            flow = _flow(stored.body)
            with _Lazy(lambda: self._begin(scope, run, flow, stored.body, found.params)) as task:
                for segment in plan(flow, self._one_writer(scope, flow)):
                    done = step(segment.name, lambda name=segment.name: self._segment(scope, run, task, name))  # type: ignore[misc]
                    if "problem" in done:
                        raise rebuild(done["problem"])
                    self._count(counts, flow, done)
                    for name, receipt in done["receipts"].items():
                        landed.append(name)
                        runs.receipt(run, name, receipt)
                        self._event(scope, run, "receipt", {"step": name, **receipt})
        except SluiceError as fault:
            state = "cancelled" if isinstance(fault, Cancelled) or runs.cancel_requested(run) else "failed"
            if isinstance(fault, Cancelled) and landed:
                fault = Cancelled(f"The run was cancelled; landed before that: {', '.join(landed)}.")
            self._finish(scope, run, state, counts, fault)
            return
        counts["seconds"] = round(time.monotonic() - began, 3)
        self._finish(scope, run, "finished_with_rejects" if counts["rejected"] else "succeeded", counts, None)

    @staticmethod
    def _one_writer(scope: Scope, flow: Flow) -> frozenset[str]:
        return one_writer({name: scope.definitions().get("connection", name).body for name in flow.connections()})

    def _segment(self, scope: Scope, run: str, lazy: _Lazy, name: str) -> dict[str, Any]:
        if scope.runs().cancel_requested(run):
            return {"problem": Cancelled("The run was cancelled.").problem()}
        try:
            return lazy.get().do(name)
        except SluiceError as fault:
            if self._jobs is None:  # this node is going down: leave the run to the next start
                raise
            return {"problem": fault.problem()}

    def _begin(self, scope: Scope, run: str, flow: Flow, body: dict[str, Any], params: dict[str, Any]) -> Task:
        job = self._job(scope, "run", run, flow, body, params)
        recorder = _Recorder(self, scope, run)
        task = Task(job, recorder)
        with self._lock:
            self._tasks[run] = task
        recorder.task = task
        return task

    def _finish(self, scope: Scope, run: str, state: str, counts: dict[str, Any], fault: SluiceError | None) -> None:
        with self._lock:
            self._tasks.pop(run, None)
        from sluicegate.store.runs import State

        error = fault.problem() if fault else None
        with scope.transaction():
            scope.runs().advance(run, State(state), counts=counts, error=error)
            if fault:
                scope.runs().event(run, "log", {"level": "error", "message": str(fault)})
            scope.runs().event(run, "state", {"state": state})
            self._audit.event("run.finish", scope.who, None, state, {"run": run}, tenant=scope.tenant)
        self._events.wake(run)

    @staticmethod
    def _count(counts: dict[str, Any], flow: Flow, done: dict[str, Any]) -> None:
        from sluicegate.engine.plan import steps
        from sluicegate.kit.step import Reading

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
        system = Principal("system", tenant, Role.OPERATOR, Via.SYSTEM)
        by = self._scope(tenant, system).runs().get(run).by
        try:
            user = self._system.accounts().get(by)
        except Missing:
            return system
        return Principal(user.id, tenant, Role(user.role), Via.SYSTEM)

    def _recheck(self, scope: Scope, run: str) -> None:
        user = self._system.accounts().get(scope.who.id)
        if user.state != "active" or not policy.allowed(scope.who, Permission.RUN_CONTROL):
            raise Denied("The person this run runs as may not run flows any more.", where=f"run {run}")

    # -- jobs for tasks ------------------------------------------------------------------------------------------------

    def _job(
        self,
        scope: Scope,
        what: What,
        run: str,
        flow: Flow,
        body: dict[str, Any],
        params: Mapping[str, Any],
        ask: Mapping[str, Any] | None = None,
    ) -> Job:
        connections: dict[str, dict[str, Any]] = {}
        secrets: dict[str, Secret] = {}
        for name in flow.connections():
            self._add(scope, name, connections, secrets, f"{what} {run or flow.name}")
        recipients = {}
        for step in flow.steps:
            seal = getattr(step, "seal", None)
            for to in seal.to if seal else ():
                if not to.startswith("age1"):
                    recipients[to] = str(scope.definitions().get("recipient", to).body["recipient"])
        keeps = any(
            getattr(step, "on_fail", "") == "quarantine" or getattr(step, "on_reject", "") == "quarantine"
            for step in flow.steps
        )
        return Job(
            what=what,
            run=run,
            root=self._root(scope),
            flow=body,
            params=dict(params),
            connections=connections,
            recipients=recipients,
            secrets=secrets,
            snapshot=scope.runs().snapshot(flow.name),
            egress=self._egress(),
            jail=self._settings.jail.model_dump(),
            input_max=self._settings.limits.input,
            quarantine=self._quarantine_recipient(scope) if keeps else "",
            quarantine_folder=self._quarantine(scope) if keeps else None,
            ask=dict(ask or {}),
        )

    def _explore_job(self, scope: Scope, what: What, name: str, ask: Mapping[str, Any]) -> Job:
        connections: dict[str, dict[str, Any]] = {}
        secrets: dict[str, Secret] = {}
        self._add(scope, name, connections, secrets, what)
        return Job(
            what=what,
            run="",
            root=self._root(scope),
            connections=connections,
            secrets=secrets,
            egress=self._egress(),
            jail=self._settings.jail.model_dump(),
            ask=dict(ask),
        )

    def _preview_job(self, scope: Scope, ask: Mapping[str, Any]) -> Job:
        stored = scope.definitions().get("flow", str(ask["flow"]))
        flow = _flow(stored.body)
        flow.values(ask["params"])
        return self._job(scope, "preview", "", flow, stored.body, ask["params"], ask)

    def _add(
        self, scope: Scope, name: str, connections: dict[str, dict[str, Any]], secrets: dict[str, Secret], purpose: str
    ) -> None:
        body = scope.definitions().get("connection", name).body
        connections[name] = body
        found = document.parse_definition(body)
        if not isinstance(found, Connection):
            raise Failed(f"{name!r} is not a connection")
        tls.admit(found, self._settings, self._audit, scope, purpose)
        for wanted in found.secret_names():
            try:
                secrets[wanted] = self._vault.use(scope, wanted, purpose=purpose)
            except Missing:
                raise Failed(
                    f"The secret {wanted!r} is not set.",
                    where=f"connection {name}",
                    hint=f"Set it: sluice secret set {wanted}",
                ) from None

    def _egress(self) -> tuple[dict[str, Any], ...]:
        return tuple(each.model_dump() for each in self._settings.egress)

    def _root(self, scope: Scope) -> Path:
        folder = self._settings.data / scope.tenant
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    # -- quarantine ----------------------------------------------------------------------------------------------------

    def _quarantine(self, scope: Scope) -> Path:
        folder = self._settings.home / "quarantine" / scope.tenant
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _quarantine_recipient(self, scope: Scope) -> str:
        from sluicegate.crypto import seal

        try:
            identity, recipient = json.loads(self._vault.use(scope, QUARANTINE_KEY, purpose="quarantine").reveal())
        except Missing:
            made, recipient = seal.new_identity()
            identity = made.reveal()
            self._vault.put(scope, QUARANTINE_KEY, Secret(json.dumps([identity, recipient])))
        return str(recipient)

    def _rejects(self, scope: Scope, run: str, limit: int) -> dict[str, Any]:
        from sluicegate.crypto import seal

        file = self._quarantine(scope) / f"{run}.ndjson.age"
        if not file.exists():
            return {"items": [], "total": 0}
        identity = Secret(json.loads(self._vault.use(scope, QUARANTINE_KEY, purpose=f"rejects of {run}").reveal())[0])
        items: list[dict[str, Any]] = []
        total = 0
        with file.open("rb") as sealed, seal.open_sealed(identity, sealed) as plain:
            for line in plain:
                total += 1
                if len(items) < limit:
                    items.append(json.loads(line))
        return {"items": items, "total": total}

    def _sweep(self) -> None:
        """Remove drafts that a crash has left, and quarantined rows past their days."""
        from sluicegate.kit.paths import Root

        oldest = time.time() - self._settings.quarantine_days * 86400
        for base in (self._settings.data, self._settings.home / "quarantine"):
            for folder in sorted(base.iterdir()) if base.is_dir() else ():
                with Root(folder) as root:
                    root.sweep()
        for file in (self._settings.home / "quarantine").glob("*/*.ndjson.age"):
            if file.stat().st_mtime < oldest:
                file.unlink()

    # -- node ----------------------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        from sluicegate.engine import jail

        level = jail.probe(self._settings.jail.fallback)
        self._jail = level.model_dump()
        self._audit.event("jail.probe", None, None, level.tier, {"missing": list(level.missing)})

    def _node(self) -> str:
        from sluicegate.base.model import new_id

        file = self._settings.home / "node.id"
        if not file.exists():
            file.write_text(new_id())
        return file.read_text().strip()

    def _event(self, scope: Scope, run: str, kind: str, body: dict[str, Any]) -> None:
        scope.runs().event(run, kind, body)
        self._events.wake(run)

    def record(self, scope: Scope, run: str, events: list[tuple[str, dict[str, Any]]]) -> None:
        """Keep events of a run and wake those who watch."""
        for kind, body in events:
            if kind == "schema":
                flow = scope.runs().get(run).flow
                if body["step"] not in scope.runs().snapshot(flow):
                    scope.runs().put_snapshot(flow, body["step"], body["columns"])
        scope.runs().events_many(run, events)
        self._events.wake(run)


class _Recorder:
    """Takes a task's events: keeps them in small batches, drops progress that is already old, watches for a cancel."""

    def __init__(self, worker: Worker, scope: Scope, run: str) -> None:
        self._worker, self._scope, self._run = worker, scope, run
        self._looked = 0.0
        self.task: Task | None = None

    def __call__(self, kind: str, body: dict[str, Any]) -> None:
        self._worker.record(self._scope, self._run, [(kind, body)])
        now = time.monotonic()
        if now - self._looked > _CANCEL_LOOK:
            self._looked = now
            if self.task is not None and self._scope.runs().cancel_requested(self._run):
                self.task.cancel()


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


def _flow(body: dict[str, Any]) -> Flow:
    found = document.parse_definition(body)
    if not isinstance(found, Flow):
        raise Failed("this is not a flow")
    return found
