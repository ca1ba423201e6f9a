"""The engine of one node, as operations see it: starts runs, cancels them, answers short questions."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Corrupt, Failed, Missing, SluiceError
from sluicegate.base.log import Log
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.engine.builder import Builder
from sluicegate.engine.probe import Level, Proof
from sluicegate.engine.quarantine import Quarantine, sweep_drafts
from sluicegate.engine.recorder import Recorder
from sluicegate.engine.runner import Runner
from sluicegate.engine.task import Task
from sluicegate.guard.keeping import Calendar

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings
    from sluicegate.engine.events import Events
    from sluicegate.engine.job import Job
    from sluicegate.engine.meter import Report
    from sluicegate.guard.archives import Archives
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.desk import Asked
    from sluicegate.guard.quotes import Quotes
    from sluicegate.guard.rules import Rules
    from sluicegate.guard.sources import Sources
    from sluicegate.guard.vault import Vault
    from sluicegate.store.scope import Scope, System


_PATIENCE = {"verify": 600.0, "reseal": 600.0}
"""Seconds that a task has to answer, when they are not 60."""


class Worker:
    """Runs flows for all tenants of this node."""

    def __init__(
        self,
        settings: Settings,
        system: System,
        vault: Vault,
        sources: Sources,
        audit: Audit,
        events: Events,
        rules: Rules,
        archives: Archives,
        quotes: Quotes,
    ) -> None:
        """Wire; nothing runs before ``open``."""
        self._settings, self._audit, self._events = settings, audit, events
        self._system, self._rules, self._quotes = system, rules, quotes
        self._calendar = Calendar(system.blobs())
        self._quarantine = Quarantine(settings.home / "quarantine", vault, audit)
        self._jail = Proof(fallback=settings.jail.fallback)
        self._builder = Builder(settings, sources, self._quarantine, audit, self._jail, rules, archives)
        self._log = Log()
        self._temp = settings.home / "temp"
        self._runner = Runner(system, self._builder, audit, events, quotes, self._task, self._log)
        self._jobs: Any = None
        self._slots = threading.BoundedSemaphore(8)

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Test the jail, sweep what a crash has left, and take up runs that were cut off."""
        from sluicegate.engine.jobs import Jobs

        for base in (self._settings.data, self._settings.home / "quarantine"):
            sweep_drafts(base)
        self.sweep()
        shutil.rmtree(self._temp, ignore_errors=True)  # what tasks have left that ended with a server
        self._temp.mkdir(mode=0o700)
        self._jail.begin(self._probed)
        self._runner.arrive()
        self._jobs = Jobs(self._settings.jobs_url, self._node(), self._settings.limits.runs, self._runner.execute)
        self._jobs.open()

    def close(self) -> None:
        """End the tasks of this node; their runs go on at the next start."""
        self._runner.leave()
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None

    def sweep(self) -> None:
        """Remove what is kept of rows past its days, and destroy its keys. One tenant's trouble is no other's.

        Then what was destroyed is out of the store's files, and not only out of its tables.
        """
        now = self._calendar.now()
        if now is None:
            self._log("The clock is ahead of when it was looked at last: nothing is deleted by it for an hour.",
                      level="warning")  # fmt: skip
            return
        names = {each.id for each in self._system.tenants().list()}
        for tenant in sorted(names.union(self._quarantine.tenants)):
            try:
                self._sweep(tenant, _days(self._rules, tenant), now, known=tenant in names)
            except (SluiceError, OSError) as fault:
                self._log("What is kept of rows could not be swept.", level="error", tenant=tenant,
                          error=type(fault).__name__)  # fmt: skip
        try:
            self._system.database.flush()
        except SluiceError as fault:
            self._log("Keys that were destroyed are in the journal for another hour.", level="warning",
                      error=type(fault).__name__)  # fmt: skip

    def _sweep(self, tenant: str, days: float, now: float, *, known: bool) -> None:
        self._quarantine.sweep(tenant, days, now)
        if known:
            from sluicegate.store.scope import Scope as Opened

            scope = Opened(self._system.database, tenant, Principal("system", tenant, Role.API_USER, Via.SYSTEM))
            self._quarantine.destroy(scope, days, now)
            self._quotes.sweep(scope, days, now, self._audit)

    def health(self) -> Mapping[str, Any]:
        """Say how the jail is and what runs."""
        return {
            "jail": self._jail.level.tier,
            "jail_missing": list(self._jail.level.missing),
            "running": self._runner.running,
        }

    # -- what operations ask -------------------------------------------------------------------------------------------

    def start(self, run: str, scope: Scope) -> None:
        """Begin a run that the store holds as queued."""
        Recorder(scope, self._events, run, self._quotes).write("state", {"state": "queued"})
        self._jobs.start(run, scope.tenant)

    def cancel(self, run: str) -> None:
        """End a run's task when it is here; elsewhere, its worker sees the request in the store."""
        self._runner.cancel(run)

    def ask(self, scope: Scope, what: Asked, ask: Mapping[str, Any]) -> Any:
        """Have a task do something short and return its answer."""
        if what == "rejects":
            return self._quarantine.read(scope, str(ask["run"]), int(ask["limit"]))
        job = self._job(scope, what, ask)
        if not self._slots.acquire(timeout=10):
            raise Failed("Too many previews at once.", hint="Try again in a moment.")
        try:
            with self._task(job, lambda _kind, _body: None) as task:
                timer = threading.Timer(_PATIENCE.get(what, 60), task.cancel)
                timer.daemon = True
                timer.start()
                try:
                    answer = task.do(what)
                finally:
                    timer.cancel()
        finally:
            self._slots.release()
        return answer.get("answer", answer.get("items", answer))

    def _job(self, scope: Scope, what: Asked, ask: Mapping[str, Any]) -> Job:
        if what == "preview":
            return self._builder.preview(scope, ask)
        if what == "explain":
            return self._builder.explain(scope, ask)
        if what == "detect":
            return self._builder.detect(scope, ask)
        if what in ("verify", "reseal"):
            return self._builder.archive(scope, what, ask)
        return self._builder.explore(scope, what, ask)  # type: ignore[arg-type] # rejects need no task

    def rejected(self, scope: Scope, run: str) -> Generator[bytes]:
        """Yield the rows that a run has quarantined, a line of JSON each."""
        return self._quarantine.lines(scope, run)

    def _task(self, job: Job, report: Report) -> Task:
        self._temp.mkdir(mode=0o700, exist_ok=True)
        return Task(job, report, self._log, self._temp)

    # -- node ----------------------------------------------------------------------------------------------------------

    def _probed(self, level: Level) -> None:
        if not level.ok:
            self._log("The jail does not hold: flows with expressions or joins are refused.", level="error",
                      error="; ".join(level.missing))  # fmt: skip
        self._audit.event("jail.probe", None, None, level.tier, {"missing": list(level.missing)})

    def _node(self) -> str:
        from sluicegate.base.model import new_id

        file = self._settings.home / "node.id"
        if not file.exists():
            file.write_text(new_id())
        return file.read_text().strip()


def _days(rules: Rules, tenant: str) -> int:
    """Return for how many days a tenant's quarantined rows are kept; the installation's for one that is gone."""
    try:
        return rules.fresh(tenant).quarantine_days
    except (Missing, Corrupt):
        return rules.bounds.base.quarantine_days
