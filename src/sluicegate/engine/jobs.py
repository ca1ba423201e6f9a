"""Durable execution: DBOS behind one door. It stores ids and receipts, never rows, never secrets.

Its traps, each closed here: JSON instead of pickle, a fixed application version, no admin server, SQLite in WAL mode.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbos import DBOS, SetWorkflowID, _serialization
from dbos._serialization import Serializer

from sluicegate.base.errors import Invalid

VERSION = "1"
"""Fixed, so that runs of an older release are still picked up: what a run does is pinned in the run itself."""

Step = Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]]
"""``step(name, do)``: do it once; after a crash the answer is taken from the record."""
Execute = Callable[[str, str, Step], None]

_execute: Execute | None = None
_lock = threading.Lock()


class Json(Serializer):  # type: ignore[misc] # dbos is not typed for us
    """Ids and receipts as JSON text: whoever can write the job tables gets no code run (no pickle)."""

    def serialize(self, data: Any) -> str:
        """Return JSON text; exceptions become their class's name."""
        return json.dumps(data, default=lambda value: {"error": type(value).__name__})

    def deserialize(self, serialized_data: str) -> Any:
        """Return plain values."""
        return json.loads(serialized_data)

    def name(self) -> str:
        """Name that DBOS records beside each value."""
        return "sluicegate_json"


def _refuse(*_: object) -> Any:
    raise Invalid("a record of a run is a pickle, which is never read", hint="Somebody has changed the tables of jobs.")


# Each record names its own serializer, and DBOS would take its word for it: pickle is taken away from it altogether.
_serialization.DefaultSerializer.serialize = _serialization.DefaultSerializer.deserialize = _refuse


@DBOS.workflow(name="execute_run")  # type: ignore[untyped-decorator] # the same
def execute_run(run: str, tenant: str) -> str:
    """Carry out one run: the only workflow there is."""
    if _execute is None:
        raise Invalid("the engine is not open")

    def step(name: str, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        answer: dict[str, Any] = DBOS.run_step({"name": name}, do)
        return answer

    _execute(run, tenant, step)
    return run


class Jobs:
    """Starts runs and brings those back that a crash has cut off."""

    def __init__(self, url: str, executor: str, threads: int, execute: Execute) -> None:
        """``url``: ``sqlite:///…`` or ``postgresql://…``; ``executor``: the same after each start of this node."""
        global _execute  # noqa: PLW0603 - DBOS registers workflows for the process, so there is one engine a process
        with _lock:
            if _execute is not None:
                raise Invalid("one process holds one engine")
            _execute = execute
        config: dict[str, Any] = {
            "name": "sluicegate",
            "system_database_url": url,
            "application_version": VERSION,
            "executor_id": executor,
            "serializer": Json(),
            "log_level": "ERROR",
            "enable_otlp": False,
            "max_executor_threads": threads,
            "notification_listener_polling_interval_sec": 0.2,  # closing waits so long; nobody listens
            "use_listen_notify": False,
        }
        if url.startswith("sqlite"):
            _prepare(Path(url.removeprefix("sqlite:///")))
            config["db_engine_kwargs"] = {"connect_args": {"factory": Connection}}
        DBOS(config=config)

    def open(self) -> None:
        """Begin: what was going on when this node stopped goes on."""
        DBOS.launch()

    def start(self, run: str, tenant: str) -> None:
        """Start a run under its own id: starting it twice is starting it once."""
        with SetWorkflowID(run):
            DBOS.start_workflow(execute_run, run, tenant)

    def close(self) -> None:
        """Let go; unfinished runs stay on record and go on at the next start."""
        global _execute  # noqa: PLW0603
        DBOS.destroy(workflow_completion_timeout_sec=0)
        with _lock:
            _execute = None


class Connection(sqlite3.Connection):
    """One that knows ``unixepoch('subsec')``, which DBOS writes from Python 3.12 on, and SQLite since 3.42 only."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        if sqlite3.sqlite_version_info < (3, 42):
            self.create_function("unixepoch", 1, lambda _precision: time.time())


def _prepare(file: Path) -> None:
    file.touch(mode=0o600)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
