"""The contract of durable runs, on SQLite and on PostgreSQL: whatever stands behind ``Jobs`` must pass it."""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from dbos._dbos import _get_dbos_instance

from sluicegate.base.errors import Failed, Invalid
from sluicegate.engine import jobs
from sluicegate.engine.jobs import VERSION, Jobs, Json
from sluicegate.engine.runner import Left

pytestmark = pytest.mark.slow

SOURCE = Path(jobs.__file__).parents[2]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'jobs.db'}"
    else:
        database = request.getfixturevalue("postgres").fresh()
        yield database.url
        database.drop()


@contextmanager
def opened(url, execute, executor="node-1", threads=4):
    held = Jobs(url, executor, threads, execute)
    try:
        held.open()
        yield held
    finally:
        held.close()


@contextmanager
def tables(url):
    """Open the tables of jobs as somebody who can write them."""
    made = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with made.begin() as link:
            yield link, "" if url.startswith("sqlite") else "dbos."
    finally:
        made.dispose()


def records(url, table="workflow_status"):
    with tables(url) as (link, schema):
        return [dict(row._mapping) for row in link.execute(sqlalchemy.text(f"SELECT * FROM {schema}{table}"))]


def until(told, seconds=20.0):
    end = time.monotonic() + seconds
    while not told() and time.monotonic() < end:
        time.sleep(0.02)
    assert told()


def ended(url, run):
    return any(each["workflow_uuid"] == run and each["status"] == "SUCCESS" for each in records(url))


class Work:
    """Two steps; what each does is on the list. The second leaves as long as ``leaving`` says so."""

    def __init__(self, *, leaving=False):
        self.done, self.leaving, self.answers = [], leaving, []

    def __call__(self, run, tenant, step):
        self.answers.append(step("one", lambda: self.do(run, "one")))
        self.answers.append(step("two", lambda: self.do(run, "two")))
        self.done.append((run, tenant))

    def do(self, run, name):
        self.done.append(name)
        if name == "two" and self.leaving:
            raise Left
        return {"rows": len(name), "run": run}


# -- what is promised --------------------------------------------------------------------------------------------------


def test_a_run_is_carried_out_with_its_ids(url):
    work = Work()
    with opened(url, work) as held:
        held.start("run-1", "tenant-1")
        until(lambda: ended(url, "run-1"))
    assert work.done == ["one", "two", ("run-1", "tenant-1")]
    assert work.answers == [{"rows": 3, "run": "run-1"}] * 2


def test_starting_twice_is_starting_once(url):
    work = Work()
    with opened(url, work) as held:
        for _ in range(3):
            held.start("run-1", "t")
        until(lambda: ended(url, "run-1"))
        held.start("run-1", "t")
        time.sleep(0.3)
    assert work.done == ["one", "two", ("run-1", "t")]


def test_more_runs_than_threads_all_end(url):
    work = Work()
    with opened(url, work, threads=2) as held:
        for number in range(9):
            held.start(f"run-{number}", "t")
        until(lambda: sum(each["status"] == "SUCCESS" for each in records(url)) == 9)
    assert sorted(each for each in work.done if isinstance(each, tuple)) == [(f"run-{n}", "t") for n in range(9)]


def test_a_run_that_was_left_goes_on_at_the_next_start_and_repeats_no_step(url):
    first, second = Work(leaving=True), Work()
    with opened(url, first) as held:
        held.start("run-1", "t")
        until(lambda: "two" in first.done)
        time.sleep(0.2)
        assert {each["status"] for each in records(url)} == {"PENDING"}
    with opened(url, second):
        until(lambda: ended(url, "run-1"))
    assert second.done == ["two", ("run-1", "t")]
    assert second.answers[0] == {"rows": 3, "run": "run-1"}, "the answer on record"


def test_a_step_that_was_cut_off_is_done_again(url):
    """Steps are at-least-once: that is why every load carries a marker."""
    works = [Work(leaving=True), Work(leaving=True), Work()]
    with opened(url, works[0]) as held:
        held.start("run-1", "t")
        until(lambda: "two" in works[0].done)
    for work in works[1:]:
        with opened(url, work):
            until(lambda work=work: "two" in work.done)
    until(lambda: ended(url, "run-1"))
    assert [work.done.count("two") for work in works] == [1, 1, 1]
    assert [work.done.count("one") for work in works] == [1, 0, 0]


CHILD = """
import os, sys, time
from sluicegate.engine.jobs import Jobs

def note(word):
    with open(sys.argv[2], "a") as out: out.write(word + "\\n")

def execute(run, tenant, step):
    step("one", lambda: note("one") or {})
    def two():
        note("two")
        if sys.argv[3] == "hang": time.sleep(60)
        return {}
    step("two", two)
    note("end")

held = Jobs(sys.argv[1], "node-1", 2, execute)
held.open()
if sys.argv[3] == "hang": held.start("run-1", "t")
time.sleep(60)
"""


@pytest.mark.slow
def test_a_run_survives_a_killed_process(url, tmp_path):
    notes = tmp_path / "notes"
    notes.touch()
    for way, last in (("hang", "two"), ("go", "end")):
        command = [sys.executable, "-c", CHILD, url, str(notes), way]
        with subprocess.Popen(command, env={"PYTHONPATH": str(SOURCE), "PATH": os.defpath}) as child:
            try:
                until(lambda last=last: notes.read_text().endswith(f"{last}\n"), 40)
            finally:
                child.send_signal(signal.SIGKILL)
    assert notes.read_text().split() == ["one", "two", "two", "end"]


# -- the traps ---------------------------------------------------------------------------------------------------------


class Bomb:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


def pickled(value):
    return base64.b64encode(pickle.dumps(value)).decode()


@pytest.mark.security
@pytest.mark.parametrize("where", ["inputs", "answer", "failure"])
def test_whoever_can_write_the_tables_gets_no_code_run(url, tmp_path, where):
    """A record names its own serializer; one that says pickle must not be believed."""
    bomb, work = tmp_path / "bomb", Work(leaving=True)
    assert pickle.loads(base64.b64decode(pickled(Bomb(tmp_path / "control")))) is None  # noqa: S301 - the control
    assert (tmp_path / "control").exists()
    with opened(url, work) as held:
        held.start("run-1", "t")
        until(lambda: "two" in work.done)
    change, claim = {
        "inputs": ("workflow_input SET inputs = :bomb", "workflow_status"),
        "answer": ("operation_outputs SET output = :bomb", "operation_outputs"),
        "failure": ("operation_outputs SET error = :bomb, output = NULL", "operation_outputs"),
    }[where]
    with tables(url) as (link, schema):
        changed = link.execute(sqlalchemy.text(f"UPDATE {schema}{change}"), {"bomb": pickled(Bomb(bomb))})
        claimed = link.execute(sqlalchemy.text(f"UPDATE {schema}{claim} SET serialization = 'py_pickle'"))
        assert (changed.rowcount, claimed.rowcount) == (1, 1)
    again = Work()
    with opened(url, again):
        end = time.monotonic() + 3
        while not bomb.exists() and records(url)[0]["status"] == "PENDING" and time.monotonic() < end:
            time.sleep(0.05)
    assert not bomb.exists()
    assert again.done == []


@pytest.mark.security
def test_records_are_json_ids_and_receipts(url):
    work = Work()
    with opened(url, work) as held:
        held.start("run-1", "tenant-1")
        until(lambda: ended(url, "run-1"))
    asked, told = records(url, "workflow_input"), records(url, "workflow_output")
    assert [json.loads(each["inputs"]) for each in asked] == [{"args": ["run-1", "tenant-1"], "kwargs": {}}]
    assert [json.loads(each["output"]) for each in told] == ["run-1"]
    assert [each["serialization"] for each in records(url)] == [Json().name()]
    for step in records(url, "operation_outputs"):
        assert json.loads(step["output"]) == {"rows": 3, "run": "run-1"}
        assert step["serialization"] == Json().name()


@pytest.mark.security
def test_no_words_of_an_error_are_stored(url):
    """The text of an error may hold a row; its class does not."""

    def execute(run, tenant, step):
        step("one", lambda: {}[f"canary of {run}"])

    with opened(url, execute) as held:
        held.start("run-1", "t")
        until(lambda: any(each["status"] == "ERROR" for each in records(url)))
    stored = [records(url, table) for table in ("workflow_status", "workflow_output", "operation_outputs")]
    assert "canary" not in repr(stored)
    assert json.loads(stored[1][0]["error"]) == json.loads(stored[2][0]["error"]) == {"error": "KeyError"}


def test_an_older_release_s_runs_are_taken_up_whatever_the_code_has_become(url):
    work = Work(leaving=True)
    with opened(url, work) as held:
        held.start("run-1", "t")
        until(lambda: "two" in work.done)
    assert [each["application_version"] for each in records(url)] == [VERSION]

    def other(run, tenant, step):
        step("one", dict)
        step("two", dict)

    with opened(url, other):
        until(lambda: ended(url, "run-1"))


def test_another_node_leaves_a_run_alone(url):
    """It may still be going on there: a node takes up its own runs only."""
    work, stranger = Work(leaving=True), Work()
    with opened(url, work) as held:
        held.start("run-1", "t")
        until(lambda: "two" in work.done)
    with opened(url, stranger, executor="node-2"):
        time.sleep(1.0)
    assert stranger.done == []
    assert records(url)[0]["executor_id"] == "node-1"


@pytest.mark.security
def test_it_listens_nowhere_and_starts_nothing_proprietary(url):
    """Its admin server asks nobody who they are; its enterprise package has another licence."""

    def listening():
        mine = {os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.exists()}
        lines = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        ]
        return {line[9] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in mine}

    before = listening()
    with opened(url, Work()):
        assert listening() == before
    assert not [name for name in sys.modules if name.startswith("dbos_enterprise")]


@pytest.mark.security
def test_the_file_is_for_its_owner_and_in_wal_mode(tmp_path):
    file = tmp_path / "jobs.db"
    with opened(f"sqlite:///{file}", Work()):
        pass
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with sqlite3.connect(file) as link:
        assert link.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    link.close()


def test_one_process_holds_one_engine(tmp_path):
    with (
        opened(f"sqlite:///{tmp_path / 'a.db'}", Work()),
        pytest.raises(Invalid, match="one process holds one engine"),
    ):
        Jobs(f"sqlite:///{tmp_path / 'b.db'}", "node-1", 2, Work())


def test_closing_does_not_wait_for_what_goes_on(tmp_path):
    began, go = threading.Event(), threading.Event()

    def execute(run, tenant, step):
        began.set()
        go.wait(20)
        raise Left

    with opened(f"sqlite:///{tmp_path / 'a.db'}", execute) as held:
        held.start("run-1", "t")
        assert began.wait(10)
        at = time.monotonic()
    assert time.monotonic() - at < 5
    go.set()


def test_json_has_no_way_to_say_code():
    told = Json().serialize({"a": [1, None, "x"], "fault": Failed("secret words")})
    assert json.loads(told) == {"a": [1, None, "x"], "fault": {"error": "Failed"}}
    assert Json().deserialize(told) == json.loads(told)


def test_an_older_sqlite_knows_the_time_to_the_millisecond_too(tmp_path):
    """DBOS asks for it from Python 3.12 on; Debian 12 has SQLite 3.40."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with opened(url, lambda *_: None), _get_dbos_instance()._sys_db.engine.connect() as held:
        told = held.execute(sqlalchemy.text("SELECT unixepoch('subsec')")).scalar()
    assert abs(told - time.time()) < 5
