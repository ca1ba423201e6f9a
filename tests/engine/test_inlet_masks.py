"""Masks in a run: in the task, between jails that never have a key."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from sluicegate.base.errors import DataError, Denied, Failed
from sluicegate.base.secret import Secret
from sluicegate.engine import jail, stage
from sluicegate.engine.drain import Drain
from sluicegate.engine.job import Job
from sluicegate.engine.task import Task

pytestmark = pytest.mark.slow

KEY = base64.b64encode(b"canary-masking-key" * 3 + b"canary-mas").decode()
CONNECTIONS = {
    "here": {"kind": "connection", "name": "here", "type": "files", "root": ".", "tags": {"mail": ["personal"]}},
    "lake": {"kind": "connection", "name": "lake", "type": "files", "root": ".", "refuses": ["personal"]},
}
READ = {"read": {"name": "a", "connection": "here", "item": "in.csv"}}
BEFORE = {"map": {"name": "b", "from": "a", "columns": {"id": "id + 0", "m": "lower(mail)"}}}
MASK = {"mask": {"name": "c", "from": "b", "key": "k", "rules": [{"columns": ["m"], "method": "tokenize"}]}}
AFTER = {"map": {"name": "d", "from": "c", "columns": {"id": "id", "t": "m", "n": "length(m)"}, "where": "id < 3"}}
SHOW = {"mask": {"name": "e", "from": "d", "key": "k", "rules": [{"columns": ["t"], "method": "detokenize"}]}}


def write(source, connection="here"):
    return {"write": {"name": "out", "from": source, "connection": connection, "item": "out.csv"}}


@pytest.fixture
def job(tmp_path):
    (tmp_path / "in.csv").write_text("id,mail\n1,Ada@example.org\n2,\n3,canary@example.org\n")

    def make(*steps, **more):
        flow = {"kind": "flow", "name": "f", "steps": list(steps)}
        told = {"what": "run", "run": "r", "root": tmp_path, "flow": flow, "connections": CONNECTIONS, "local": True}
        return Job(**{**told, "keys": {"k": Secret(KEY)}, "tenant": "north", **more})

    return make


def carry(job):
    return stage.execute(job, "out", lambda *_: None, lambda: False)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_masks_stand_between_jails_which_see_neither_key_nor_what_is_hidden(job, tmp_path, monkeypatch):
    programs, seen = [], b""
    run = jail.run

    def spy(program, **more):
        nonlocal seen
        running = run(program, **more)
        programs.append(program)
        for child in Path("/proc/self/task").glob("*/children"):
            for pid in child.read_text().split():
                seen += Path(f"/proc/{pid}/cmdline").read_bytes()
                if os.access(f"/proc/{pid}/environ", os.R_OK):
                    seen += Path(f"/proc/{pid}/environ").read_bytes()
        return running

    monkeypatch.setattr(jail, "run", spy)
    carry(job(READ, BEFORE, MASK, AFTER, SHOW, write("e")))
    assert (tmp_path / "out.csv").read_text().splitlines() == ["id,t,n", "1,ada@example.org,53", "2,,"]
    assert len(programs) == 2
    assert all(KEY not in repr((each.sql, each.params, each.where)) and "canary" not in each.sql for each in programs)
    assert KEY.encode() not in seen
    assert seen


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_key_is_in_neither_arguments_nor_environment_nor_the_log(job, tmp_path):
    told = []
    made = job(READ, BEFORE, MASK, write("c"))
    assert KEY not in repr(made)
    with Task(made, lambda kind, body: told.append((kind, body))) as task:
        task.do("out")
        place = Path(f"/proc/{task._child.pid}")
        assert KEY.encode() not in (place / "cmdline").read_bytes()
        if os.access(place / "environ", os.R_OK):
            assert KEY.encode() not in (place / "environ").read_bytes()
    assert KEY not in json.dumps(told)
    assert "ada" not in json.dumps(told)
    assert (tmp_path / "out.csv").read_text().count("tok1_") == 2


@pytest.mark.security
def test_what_a_key_says_on_its_way_out_is_hidden(job, monkeypatch):
    """A task that dies with the key on its lips: the log is shown none of it."""
    heard = []
    monkeypatch.setattr(
        "sluicegate.engine.task.Drain", lambda pipe, hidden: heard.extend(hidden) or Drain(pipe, hidden)
    )
    with Task(job(READ, write("a"), secrets={"s": Secret("other")}), lambda *_: None):
        assert [each.reveal() for each in heard] == ["other", KEY]


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_columns_that_turn_up_are_looked_at_before_the_first_row(job, tmp_path):
    """The flow does not say which columns there are; the connection says what one called so holds."""
    with pytest.raises(Denied, match="'mail' is tagged 'personal', and the connection 'lake' refuses that") as caught:
        carry(job(READ, write("a", "lake")))
    assert caught.value.where == "step out"
    assert not (tmp_path / "out.csv").exists()
    with pytest.raises(Denied, match="guarded"):
        carry(job(READ, write("a"), guarded=("personal",)))
    rules = [{"columns": "mail", "method": "hash"}]
    carry(job(READ, {"mask": {"name": "m", "from": "a", "key": "k", "rules": rules}}, write("m", "lake")))
    (tmp_path / "in.csv").write_text("id\n1\n")
    carry(job(READ, write("a", "lake")))


@pytest.mark.security
def test_a_foreign_tenants_token_does_not_open(job, tmp_path):
    carry(job(READ, BEFORE, MASK, write("c")))
    (tmp_path / "out.csv").rename(tmp_path / "in.csv")
    back = {"mask": {"name": "m", "from": "a", "key": "k", "rules": [{"columns": "m", "method": "detokenize"}]}}
    with pytest.raises(DataError, match="m is no token that this key opens in this domain") as caught:
        carry(job(READ, back, write("m"), tenant="south"))
    assert caught.value.where == "step m, row 1, column m"
    assert not (tmp_path / "out.csv").exists()
    carry(job(READ, back, write("m")))
    assert "canary@example.org" in (tmp_path / "out.csv").read_text()


def test_rows_that_do_not_open_are_left_out_when_the_step_says_so(job, tmp_path):
    (tmp_path / "in.csv").write_text("id,m\n1,tok1_AAAA\n2,\n")
    rules = [{"columns": "m", "method": "detokenize"}]
    back = {"mask": {"name": "m", "from": "a", "key": "k", "rules": rules, "on_fail": "skip"}}
    counts = carry(job(READ, back, write("m")))["counts"]
    assert counts["steps"]["m"]["rejected"] == 1
    assert (tmp_path / "out.csv").read_text() == "id,m\n2,\n"


def test_a_key_that_is_not_there_is_named(job):
    with pytest.raises(Failed, match="no masking key 'k'") as caught:
        carry(job(READ, BEFORE, MASK, write("c"), keys={}))
    assert caught.value.where.startswith("step c")
