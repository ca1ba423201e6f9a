from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sluicegate.base.errors import Cancelled, Failed, Invalid
from sluicegate.base.secret import Secret
from sluicegate.engine.job import Job
from sluicegate.engine.task import Task

CONNECTIONS = {"here": {"kind": "connection", "name": "here", "type": "files", "root": "."}}
FLOW = {
    "kind": "flow", "name": "f",
    "steps": [
        {"read": {"name": "a", "connection": "here", "item": "in.csv"}},
        {"map": {"name": "m", "from": "a", "columns": {"id": "id"}}},
        {"write": {"from": "m", "connection": "here", "item": "out.parquet"}},
    ],
}  # fmt: skip


def job(folder: Path, **more) -> Job:
    return Job(
        **{"what": "run", "run": "r", "root": folder, "flow": FLOW, "connections": CONNECTIONS, "local": True, **more}
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(1000)))
    return tmp_path


def test_a_task_does_what_it_is_told_and_reports(folder):
    told = []
    with Task(job(folder), lambda kind, body: told.append(kind)) as task:
        assert task.do("write-3")["receipts"]["write-3"]["rows"] == 1000
    assert {"progress", "schema"} <= set(told)


def test_a_childs_error_arrives_whole(folder):
    (folder / "in.csv").unlink()
    with Task(job(folder), lambda *_: None) as task, pytest.raises(Failed) as caught:
        task.do("write-3")
    assert caught.value.where.startswith("step a")
    assert "in.csv" in caught.value.message


def test_one_task_takes_several_orders(folder):
    with Task(job(folder), lambda *_: None) as task:
        with pytest.raises(Invalid):
            task.do("nothing-like-it")
        assert task.do("write-3")["receipts"]


def test_a_dead_child_is_told_and_leaves_nothing(folder):
    with Task(job(folder), lambda *_: None) as task:
        os.kill(task._child.pid, signal.SIGKILL)
        with pytest.raises(Failed, match="SIGKILL"):
            task.do("write-3")
    assert not (folder / "out.parquet").exists()


def test_cancel_ends_a_task(folder):
    (folder / "in.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(3_000_000)))
    with Task(job(folder), lambda *_: None) as task:
        threading.Timer(0.7, task.cancel).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            task.do("write-3")
        assert time.monotonic() - began < 10
    assert not (folder / "out.parquet").exists()


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_secrets_are_in_neither_arguments_nor_environment(folder):
    with Task(job(folder, secrets={"s": Secret("canary-hunter2")}), lambda *_: None) as task:
        with pytest.raises(Invalid):
            task.do("settle")  # the child has read its job by then
        place = Path(f"/proc/{task._child.pid}")
        assert b"canary" not in (place / "cmdline").read_bytes()
        if os.getuid() == 0:
            assert b"canary" not in (place / "environ").read_bytes()
        assert (place / "status").stat().st_uid in (0, os.getuid())
        names = (
            {line.partition("=")[0] for line in (place / "environ").read_bytes().decode().split("\0") if line}
            if os.getuid() == 0
            else set()
        )
        assert names <= {"PYTHONPATH", "LANG", "PATH", "ARROW_DEFAULT_MEMORY_POOL", "LC_CTYPE"}


LOOK = """
import subprocess, sys
from pathlib import Path
from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret
from sluicegate.engine import confine
from sluicegate.engine.job import Job
from sluicegate.engine.task import Task

def look(pid):
    told = []
    for name in ("environ", "mem", "maps"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                file.read(0 if name == "mem" else 1)
            told.append("read")
        except PermissionError:
            told.append("refused")
    return told

confine.disarm()  # as an ordinary user: root may look into everybody
other = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
other.stdout.readline()
print(*look(other.pid))
other.communicate(b"\\n")
with Task(Job(what="run", run="r", root=Path(sys.argv[1]), secrets={"s": Secret("canary-hunter2")}), print) as task:
    try:
        task.do("settle")
    except Invalid:
        print(*look(task._child.pid))
"""


@pytest.mark.security
@pytest.mark.req("SEC-V07")
def test_the_same_user_cannot_look_into_a_tasks_memory(folder):
    done = subprocess.run([sys.executable, "-c", LOOK, str(folder)], capture_output=True, text=True, check=False, env={
        "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})  # fmt: skip
    assert done.stdout.splitlines() == ["read read read", "refused refused refused"], done.stdout + done.stderr


@pytest.mark.security
@pytest.mark.req("SEC-S03")
def test_a_task_inherits_no_other_descriptor(folder):
    secret, other = os.pipe()
    os.set_inheritable(secret, True)
    try:
        with Task(job(folder), lambda *_: None) as task:
            with pytest.raises(Invalid):
                task.do("settle")
            kinds = [
                os.readlink(f"/proc/{task._child.pid}/fd/{each}") for each in os.listdir(f"/proc/{task._child.pid}/fd")
            ]
        assert os.readlink(f"/proc/self/fd/{secret}") not in kinds
    finally:
        os.close(secret)
        os.close(other)
