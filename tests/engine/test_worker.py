"""The engine of a node with its real jobs, tasks and jail."""

from __future__ import annotations

import io
import json
import threading
import time

import pytest

from sluicegate.app import build
from sluicegate.base.errors import Failed, JailUnavailable
from sluicegate.base.principal import Role
from sluicegate.engine.task import Task
from sluicegate.guard import keeping
from sluicegate.guard.keeping import Calendar
from tests.fixtures.flow import READ, WRITE, add_run, put_flow, wait_for, wait_run

pytestmark = pytest.mark.slow

MAP = {"map": {"name": "m", "from": "a", "columns": {"id": "id", "w": "v * 2"}}}


def test_a_run_is_started_and_lands(engine):
    scope, folder = put_flow(engine, READ, MAP, {"write": {**WRITE["write"], "from": "m"}})
    run = add_run(engine, scope)
    engine.app.worker.start(run, scope)
    assert wait_run(scope, run).state == "succeeded"
    assert (folder / "out.csv").read_text().split() == ["id,w", "1,20", "2,40", "3,60"]


def test_a_run_that_a_stop_has_cut_off_goes_on_at_the_next_start(engine):
    rows = "id,v\n" + "".join(f"{n},{n % 97}\n" for n in range(2_000_000))
    scope, folder = put_flow(engine, rows=rows)
    run = add_run(engine, scope)
    engine.app.worker.start(run, scope)
    wait_for(lambda: any(each.kind == "progress" for each in scope.runs().events(run)))
    engine.app.worker.close()
    assert scope.runs().get(run).state == "running"
    assert not (folder / "out.csv").exists()
    again = build(engine.settings)
    again.worker.open()
    try:
        assert wait_run(scope, run).state == "succeeded"
        assert scope.runs().get(run).counts["written"] == 2_000_000
        told = [each.body["message"] for each in scope.runs().events(run) if each.kind == "log"]
        assert told == ["The run goes on after a restart."]
    finally:
        for thread in threading.enumerate():
            if thread.name == "jail-probe":
                thread.join(20)
        again.close()


def test_previews_tests_and_items_are_answered(engine):
    scope, _ = put_flow(engine, READ, MAP, {"write": {**WRITE["write"], "from": "m"}})
    worker = engine.app.worker
    shown = worker.ask(scope, "preview", {"flow": "f", "params": {}, "step": "m", "limit": 2})
    assert shown == {"columns": {"id": "int64", "w": "int64"}, "rows": [[1, 20], [2, 40]], "cut": ""}
    assert [each["name"] for each in worker.ask(scope, "items", {"connection": "here"})] == ["in.csv"]
    assert isinstance(worker.ask(scope, "test", {"connection": "here"}), str)


def test_too_many_previews_are_refused_and_the_slots_come_back(engine, monkeypatch):
    scope, _ = put_flow(engine)
    worker = engine.app.worker
    slots = threading.BoundedSemaphore(1)
    slots.acquire()
    monkeypatch.setattr(worker, "_slots", slots)
    monkeypatch.setattr(slots, "acquire", lambda timeout: type(slots).acquire(slots, timeout=0.05))
    with pytest.raises(Failed, match="Too many previews"):
        worker.ask(scope, "items", {"connection": "here"})
    slots.release()
    for _ in range(2):
        assert worker.ask(scope, "items", {"connection": "here"})


@pytest.mark.security
@pytest.mark.req("SEC-S06")
def test_the_jail_is_attacked_at_the_start_and_its_worth_is_told(engine):
    assert engine.app.worker.health() == {"jail": "full", "jail_missing": [], "running": 0}
    found = [each for each in engine.records(None) if each["action"] == "jail.probe"]
    assert [each["result"] for each in found] == ["full"]


@pytest.mark.security
def test_what_a_crash_has_left_is_swept_at_the_start(fresh):
    _, folder = put_flow(fresh)
    draft = folder / f".sluice-{'0' * 32}.tmp"
    draft.write_text("rows of a run that was cut off")
    rejects = fresh.home / "quarantine" / fresh.tenants["north"] / f".sluice-{'0' * 32}.tmp"
    rejects.parent.mkdir(parents=True)
    rejects.touch()
    fresh.app.services.system.blobs().put("calendar", b"[0, null]")  # whatever the time is
    fresh.app.worker.open()
    try:
        assert not draft.exists()
        assert not rejects.exists()
        assert (folder / "in.csv").exists()
    finally:
        for thread in threading.enumerate():
            if thread.name == "jail-probe":
                thread.join(20)
        fresh.app.worker.close()


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_the_keys_of_rows_that_are_gone_are_in_no_file_of_the_store(fresh):
    scope, worker, run = fresh.scope("north"), fresh.app.worker, fresh.a_run("north")
    worker._quarantine.recipient(scope, run)
    worker._quotes.event(scope, run, "log", {"level": "info", "message": "canary", "by": "task"})
    keys = [scope.secrets().get(keeping.key_of(what, run)).wrapped for what in ("quarantine", "quotes")]

    def left():
        kept = b"".join(each.read_bytes() for each in fresh.home.glob("store.db*"))
        return [each in kept for each in keys]

    worker.sweep()
    assert left() == [True, True]
    worker._calendar = Calendar(fresh.app.services.system.blobs(), lambda: time.time() + 50 * keeping.DAY)
    worker.sweep()
    assert left() == [True, True], "a clock that may be wrong destroys nothing"
    worker.sweep()
    assert left() == [False, False]


def test_a_node_keeps_its_name(fresh):
    worker = fresh.app.worker
    assert worker._node() == worker._node() == build(fresh.settings).worker._node()


@pytest.mark.security
def test_jobs_hold_no_rows_and_no_secrets(engine):
    scope, _ = put_flow(engine, rows="id,v\ncanary,1\n")
    run = add_run(engine, scope)
    engine.app.worker.start(run, scope)
    assert wait_run(scope, run).state == "succeeded"
    engine.app.worker.close()
    raw = b"".join(each.read_bytes() for each in engine.home.glob("jobs.db*"))
    assert run.encode() in raw
    assert b"canary" not in raw
    assert (engine.home / "jobs.db").stat().st_mode & 0o077 == 0


# -- a jail that does not hold -----------------------------------------------------------------------------------------


@pytest.fixture
def holed(fresh, altered):
    """Give an open engine on a machine where the self-test finds that the jail lets sockets through."""
    altered("jailed.py", "    confine.seccomp()\n", "")
    fresh.app.worker.open()
    yield fresh
    for thread in threading.enumerate():
        if thread.name == "jail-probe":
            thread.join(20)
    fresh.app.worker.close()


@pytest.mark.security
@pytest.mark.req("SEC-S05", "SEC-S06")
def test_without_a_jail_that_holds_no_expression_runs_whoever_starts_it(holed):
    """A task boots a jail of its own that may well stand: it is the node that must not let it come to that."""
    write = {"write": {**WRITE["write"], "from": "m"}}
    scope, folder = put_flow(holed, READ, {"write": {**WRITE["write"], "item": "first.csv"}}, MAP, write)
    operator = holed.token(Role.OPERATOR)
    run = holed.call("run.start", {"name": "f"}, operator).id
    found = wait_run(scope, run)
    assert (found.state, found.error["code"], found.error["where"]) == ("failed", "jail_unavailable", "step m")
    assert "refusal of socket" in found.error["title"]
    assert found.error["hint"]
    assert [each.name for each in folder.iterdir()] == ["in.csv"]
    with pytest.raises(JailUnavailable, match="refusal of socket"):
        holed.call("flow.preview", {"name": "f", "step": "m"}, operator)
    assert holed.app.worker.health()["jail"] == "none"
    assert holed.call("flow.preview", {"name": "f", "step": "a"}, operator).rows, "no text of anybody's is in it"


# -- faults of our own -------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-L04")
def test_an_unforeseen_fault_ends_the_run_and_is_told_in_the_log_only(engine, monkeypatch, capfd):
    scope, _ = put_flow(engine)
    log = io.StringIO()
    monkeypatch.setattr(engine.app.worker._log, "_out", log)
    monkeypatch.setattr(Task, "do", lambda *_: {}["CANARY of a row"])
    seen = engine.head()
    run = add_run(engine, scope)
    engine.app.worker.start(run, scope)
    found = wait_run(scope, run)
    assert (found.state, found.error["code"]) == ("failed", "internal")
    assert found.error["title"] == "Something went wrong on our side."
    assert found.error["hint"] == f"The server's log has it under {run}."
    (record,) = [each for each in engine.records(after=seen) if each["action"] == "run.finish"]
    assert record["result"] == "failed"
    (line,) = [json.loads(each) for each in log.getvalue().splitlines()]
    assert (line["sluice.run"], line["error.message"]) == (run, "KeyError")
    assert "_segment" in line["error.stack_trace"]
    engine.app.worker.close()
    printed = "".join(capfd.readouterr())
    stored = b"".join(each.read_bytes() for each in engine.home.glob("*.db*"))
    assert "Traceback" not in printed
    assert b"CANARY" not in stored + printed.encode()


@pytest.mark.security
@pytest.mark.req("SEC-B01")
def test_what_a_fault_says_of_a_row_is_not_kept_with_the_jobs(engine):
    check = {"check": {"name": "c", "from": "a", "rules": [{"column": "v", "matches": "CANARY"}]}}
    scope, _ = put_flow(engine, READ, check, {"write": {**WRITE["write"], "from": "c"}}, rows="id,v\n1,no\n")
    run = add_run(engine, scope)
    engine.app.worker.start(run, scope)
    found = wait_run(scope, run)
    assert "CANARY" in engine.app.services.quotes.errors(scope, [found])[0].error["title"]
    engine.app.worker.close()
    assert b"CANARY" not in b"".join(each.read_bytes() for each in engine.home.glob("jobs.db*"))


@pytest.mark.security
def test_what_tasks_have_left_is_swept_at_the_start_and_a_run_leaves_nothing(fresh):
    left = fresh.home / "temp" / "task-1" / "ca.pem"
    left.parent.mkdir(parents=True)
    left.write_text("left by a task whose server was killed")
    fresh.app.worker.open()
    try:
        assert not left.parent.exists()
        scope, _ = put_flow(fresh)
        run = add_run(fresh, scope)
        fresh.app.worker.start(run, scope)
        assert wait_run(scope, run).state == "succeeded"
        wait_for(lambda: not list((fresh.home / "temp").iterdir()))
    finally:
        for thread in threading.enumerate():
            if thread.name == "jail-probe":
                thread.join(20)
        fresh.app.worker.close()
