"""The record of a run: its events are stored, and those who watch are woken."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluicegate.engine.events import Events
    from sluicegate.engine.task import Task
    from sluicegate.guard.quotes import Quotes
    from sluicegate.store.scope import Scope

TASK = "task"
"""Who says a line of a run's log, when it is not the engine."""
_CANCEL_LOOK = 0.5


class Recorder:
    """Takes the events of one run. It is what a task reports to, and while it does, it looks for a cancel request."""

    def __init__(self, scope: Scope, events: Events, run: str, quotes: Quotes) -> None:
        """Nothing is written yet."""
        self._scope, self._events, self._run, self._quotes = scope, events, run, quotes
        self._looked = 0.0
        self.task: Task | None = None
        """Who is ended when somebody asks for it, here or on another node."""
        self.progress: dict[str, Any] = {}
        """What the steps of the segment at work have done so far: all that is known when it is cut off."""

    def __call__(self, kind: str, body: dict[str, Any]) -> None:
        """Keep what a task reports. The first schema of a step stays as the flow's snapshot.

        A task's log lines are marked as its own: what they say is not ours, so it can quote rows.
        """
        if kind == "log":
            body = {**body, "by": TASK}
        runs = self._scope.runs()
        if kind == "schema":
            flow = runs.get(self._run).flow
            if body["step"] not in runs.snapshot(flow):
                runs.put_snapshot(flow, body["step"], body["columns"])
        if kind == "watermark":  # a value of a row: it is in no log
            self._scope.watermarks().see(self._run, **body)
            return
        if kind == "progress":
            self.progress = body
        self.write(kind, body)
        now = time.monotonic()
        if now - self._looked > _CANCEL_LOOK:
            self._looked = now
            if self.task is not None and runs.cancel_requested(self._run):
                self.task.cancel()

    def write(self, kind: str, body: dict[str, Any]) -> None:
        """Keep one event; what it may say of rows is kept apart."""
        self._quotes.event(self._scope, self._run, kind, body)
        self._events.wake(self._run)
