from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sluicegate.base.errors import Cancelled, Failed, Internal, Invalid, TooLarge
from sluicegate.base.log import Log
from sluicegate.base.secret import Secret
from sluicegate.engine import task as module
from sluicegate.engine.job import Job
from sluicegate.engine.task import Task

pytestmark = pytest.mark.slow

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
        assert names <= {"PYTHONPATH", "LANG", "PATH", "ARROW_DEFAULT_MEMORY_POOL", "LC_CTYPE", "TMPDIR"}


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


# -- what a task says, and what it cannot say --------------------------------------------------------------------------


@pytest.fixture
def begun(folder, monkeypatch, tmp_path_factory):
    """Return a function that starts a task which runs some code of ours before it begins, and logs into ``told``."""

    def start(code, told, **more):
        place = tmp_path_factory.mktemp("source")
        (place / "sluicegate").symlink_to(module._SOURCE / "sluicegate")
        (place / "sitecustomize.py").write_text(code)
        monkeypatch.setattr(module, "_SOURCE", place)
        return Task(job(folder, **more), lambda *_: None, Log(told))

    return start


@pytest.mark.security
@pytest.mark.req("SEC-L04")
def test_a_fault_of_ours_is_told_by_its_name_in_the_log_only_and_quotes_nothing(begun):
    told = io.StringIO()
    code = "from sluicegate.engine import stage\ndef broken(*_): raise ZeroDivisionError('CANA' + 'RY')\nstage.execute = broken\n"
    with begun(code, told) as task, pytest.raises(Internal) as caught:
        task.do("write-3")
    assert caught.value.hint == "The server's log has it under r."
    (line,) = [json.loads(each) for each in told.getvalue().splitlines()]
    assert line["sluice.run"] == "r"
    assert "ZeroDivisionError" in line["error.stack_trace"]
    assert "in broken" in line["error.stack_trace"]
    assert "CANARY" not in told.getvalue()
    assert "CANARY" not in str(caught.value.problem())


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_task_that_warns_without_end_is_not_held_up_and_the_log_has_no_secret_of_its_job(begun):
    told = io.StringIO()
    code = "import sys\nfor n in range(30_000): sys.stderr.write(f'warning {n}: canary-hunter2 is not good\\n')\n"
    with begun(code, told, secrets={"s": Secret("canary-hunter2")}) as task:
        assert task.do("write-3")["receipts"]["write-3"]["rows"] == 1000
    assert "warning 29999: ******** is not good" in told.getvalue()
    assert "canary" not in told.getvalue()
    assert len(told.getvalue()) < 40_000


@pytest.mark.security
@pytest.mark.req("SEC-D05")
def test_an_answer_that_is_too_large_is_an_error_and_the_task_goes_on(begun):
    code = "from sluicegate.engine import stage\nkept = stage.execute\nstage.execute = lambda job, name, *rest: {'x': 'y' * (17 << 20)} if name == 'much' else kept(job, name, *rest)\n"
    with begun(code, io.StringIO()) as task:
        with pytest.raises(TooLarge, match="16777216 are allowed"):
            task.do("much")
        assert task.do("write-3")["receipts"]["write-3"]["rows"] == 1000


@pytest.mark.security
@pytest.mark.parametrize("way", ["ends", "is killed"])
def test_what_a_task_puts_into_its_temporary_folder_goes_with_it(begun, tmp_path, way):
    temp = tmp_path / "temp"
    temp.mkdir()
    code = "import tempfile\nopen(tempfile.mkdtemp() + '/left', 'w').write('rows')\n"
    held = begun(code, io.StringIO())
    held.close()
    with Task(job(tmp_path), lambda *_: None, Log(io.StringIO()), temp) as task:
        task.do("write-3")
        assert len(list(temp.rglob("left"))) == 1
        assert all(each.stat().st_mode & 0o077 == 0 for each in temp.iterdir())
        if way == "is killed":
            os.kill(task._child.pid, signal.SIGKILL)
            with pytest.raises(Failed, match="SIGKILL"):
                task.do("write-3")
    assert list(temp.iterdir()) == []
