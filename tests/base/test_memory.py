"""Nobody but root looks into the memory of a process that holds keys, the server above all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LOOK = """
import os, resource, signal, subprocess, sys
from sluicegate.engine import confine

confine.disarm()  # as an ordinary user: root may look into everybody

def look(pid):
    told = []
    for name in ("environ", "mem", "maps"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                file.read(0 if name == "mem" else 1)
            told.append("read")
        except PermissionError:
            told.append("refused")
    core = resource.prlimit(pid, resource.RLIMIT_CORE) if "read" in told else ()
    return *told, *core

child = subprocess.Popen([sys.executable, *sys.argv[2:]], stdin=-1, stdout=-1, text=True)
for line in child.stdout:
    if sys.argv[1] in line:
        break
print(*look(child.pid), flush=True)
if sys.argv[1] == "ready":
    child.communicate()
else:
    child.send_signal(signal.SIGTERM)
    child.stdout.read()
print(child.wait())
"""


def looked(*words, until="ready", **variables):
    done = subprocess.run(
        [sys.executable, "-c", LOOK, until, *words], capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables},
    )  # fmt: skip
    return done.stdout.splitlines(), done.stderr


@pytest.mark.security
@pytest.mark.req("SEC-V07")
def test_the_same_user_cannot_look_into_a_closed_process():
    said = "import sys; print('ready', flush=True); sys.stdin.read()"
    opened, _ = looked("-c", said)
    assert opened[0].split()[:3] == ["read"] * 3
    closed, trouble = looked("-c", f"from sluicegate.base import memory; memory.close(); {said}")
    assert closed == ["refused refused refused", "0"], trouble


@pytest.mark.security
@pytest.mark.req("SEC-V07")
def test_a_closed_process_leaves_no_core():
    said = "import os, resource; from sluicegate.base import memory; memory.close(); print(resource.getrlimit(resource.RLIMIT_CORE), flush=True); os.abort()"
    with tempfile.TemporaryDirectory(prefix="sluice-core-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", f"import resource as r; r.setrlimit(r.RLIMIT_CORE, (r.getrlimit(r.RLIMIT_CORE)[1],) * 2); {said}"],
            capture_output=True, text=True, check=False, cwd=folder,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert done.stdout.strip() == "(0, 0)"
        assert done.returncode < 0
        assert list(Path(folder).iterdir()) == []


@pytest.mark.security
@pytest.mark.req("SEC-V07")
def test_what_makes_the_root_key_is_closed():
    said = "import ctypes; from sluicegate.cli.local import init; init.main(['--json'], standalone_mode=False); print(ctypes.CDLL(None).prctl(3))"
    with tempfile.TemporaryDirectory(prefix="sluice-init-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", said], capture_output=True, text=True, check=False, cwd=folder,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SLUICE_HOME": f"{folder}/server"},
        )  # fmt: skip
        assert done.stdout.splitlines()[-1:] == ["0"], done.stderr


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V07")
def test_the_same_user_cannot_look_into_the_servers_memory():
    """It holds the root key, the keyring and every tenant's key."""
    with tempfile.TemporaryDirectory(prefix="sluice-memory-") as folder:
        home = {"SLUICE_HOME": f"{folder}/server"}
        subprocess.run(
            [sys.executable, "-m", "sluicegate", "init"], check=True, capture_output=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **home},
        )  # fmt: skip
        told, trouble = looked("-m", "sluicegate", "serve", "--port", "0", until="serves at", **home)
        assert told == ["refused refused refused", "0"], trouble
