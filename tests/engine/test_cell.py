"""The child process for real: every layer or nothing, and nothing left of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from sluicegate.base.errors import Failed, JailUnavailable
from sluicegate.engine import cell, confine
from sluicegate.engine.probe import probe
from tests.fixtures.jail import SOURCE, alive, ask, gone, one

pytestmark = pytest.mark.slow


@pytest.mark.security
@pytest.mark.parametrize("fallback", [False, True])
def test_the_jail_dies_with_the_process_that_started_it(fallback):
    code = f"""
import time
from sluicegate.engine import cell, jail
from sluicegate.engine.probe import probe
from sluicegate.engine.program import Bounds, Program
if {fallback}: cell.find_bwrap = lambda: None
held = jail.start(Bounds(memory_mb=64), fallback={fallback}, inputs=0)
with held.run(Program("SELECT * FROM range(1000000000000)", {{}}, {{}})) as rows:
    print(held.pid, held.cell.child.pid, flush=True)
    while True: rows.read_next_batch()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ}) as task:
        pids = [int(text) for text in task.stdout.readline().split()]
        assert all(alive(pid) for pid in pids)
        task.kill()
    assert all(gone(pid) for pid in pids)


@pytest.mark.security
@pytest.mark.req("SEC-S05")
def test_without_bubblewrap_it_refuses_and_names_the_package(monkeypatch):
    monkeypatch.setattr(cell, "find_bwrap", lambda: None)
    with pytest.raises(JailUnavailable, match="apt-get install bubblewrap"):
        ask("SELECT 1")
    level = probe()
    assert (level.ok, level.tier, level.bwrap) == (False, "none", False)
    assert "bubblewrap" in level.missing[0]


@pytest.mark.security
@pytest.mark.req("SEC-S05")
def test_without_bubblewrap_the_fallback_runs_by_setting_only(monkeypatch):
    monkeypatch.setattr(cell, "find_bwrap", lambda: None)
    assert one("SELECT 1", fallback=True) == 1
    level = probe(fallback=True)
    assert (level.ok, level.tier, level.missing, level.userns) == (True, "fallback", ("bwrap",), False)
    with pytest.raises(Failed, match="memory"):  # nothing is spilled where there is no mount of one's own
        ask("SELECT DISTINCT i FROM range(20000000) t(i)", fallback=True)


@pytest.mark.security
@pytest.mark.req("SEC-S05")
def test_without_user_namespaces_it_refuses_unless_the_fallback_is_allowed(monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(cell, "find_bwrap", lambda: str(broken))
    with pytest.raises(JailUnavailable, match="namespaces cannot be made .*No permissions"):
        ask("SELECT 1")
    assert probe().tier == "none"
    assert not probe().userns
    assert one("SELECT 1", fallback=True) == 1
    level = probe(fallback=True)
    assert (level.tier, level.missing) == ("fallback", ("userns",))


@pytest.mark.security
@pytest.mark.req("SEC-S05")
@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("confine.py", "= 444, 445, 446", "= 9444, 9445, 9446", "landlock"),
        ("confine.py", "0xC000003E, 317,", "0xC000003E, 9317,", "seccomp"),
        ("confine.py", "PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 4, 24, 38", "PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 4, 24, 9938", "no_new_privs"),
        ("jailed.py", '"seccomp": True, ', "", "seccomp"),
        ("jailed.py", '"landlock": abi', '"landlock": 0', "landlock"),
        ("jailed.py", "    import pyarrow as pa  # noqa: F401", "    import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); import pyarrow #", "more than one thread"),
    ],
)  # fmt: skip
def test_a_missing_layer_inside_refuses_in_both_tiers(altered, monkeypatch, name, old, new, said, fallback):
    if os.uname().machine != "x86_64" and "317" in old:
        pytest.skip("the number is that of x86_64")
    if fallback:
        monkeypatch.setattr(cell, "find_bwrap", lambda: None)
    altered(name, old, new)
    with pytest.raises(JailUnavailable, match=said):
        ask("SELECT 1", fallback=fallback)
    assert probe(fallback).tier == "none"


@pytest.mark.security
@pytest.mark.req("SEC-S05")
def test_a_prefix_that_cannot_be_read_is_told(monkeypatch, tmp_path):
    confine.trees.cache_clear()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "python3" not in str(path) and real(path, mode))
    try:
        with pytest.raises(
            JailUnavailable, match="the jail cannot read .*python3.* Install Python and Sluicegate where"
        ):
            ask("SELECT 1")
    finally:
        confine.trees.cache_clear()


@pytest.fixture(scope="module")
def readable():
    """Give an environment that every user of this machine can read: interpreter, library and packages, copied.

    Where the tests run from may lie beneath a folder of one user alone; a product's installation does not.
    """
    found = "import sys, sluicegate.engine.probe, pyarrow, _duckdb; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True)
    packages = Path(sysconfig.get_path("platlib"))
    wanted = [
        each
        for name in loaded.stdout.split()
        for each in packages.glob(f"{name}*")
        if each.name.partition(".")[0] == name
    ]
    wanted += packages.glob("*.libs")
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    unused = shutil.ignore_patterns(
        "__pycache__", "test", "tests", "site-packages", "dist-packages", "idlelib", "include", "*.a", "config-*"
    )
    with tempfile.TemporaryDirectory(prefix="sluice-readable-") as folder:
        own = Path(folder)
        shutil.copytree(library, own / "lib" / library.name, ignore=unused)
        for shared in Path(sys.base_prefix, "lib").glob("libpython3*.so*"):
            shutil.copy(shared, own / "lib")
        (own / "bin").mkdir()
        (own / "packages").mkdir()
        shutil.copy(confine.interpreter(), own / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
        for each in wanted:
            if each.is_dir():
                shutil.copytree(each, own / "packages" / each.name, ignore=unused)
            else:
                shutil.copy(each, own / "packages")
        shutil.copytree(
            SOURCE.parent, own / "source" / "sluicegate", ignore=shutil.ignore_patterns("__pycache__", "static")
        )
        for each in (own, *own.rglob("*")):
            if not each.is_symlink():
                each.chmod(0o755 if each.is_dir() or each.parent.name == "bin" else 0o644)
        yield own


@pytest.mark.security
@pytest.mark.parametrize("fallback", [False, True])
def test_an_ordinary_user_gets_the_same_walls(readable, fallback):
    code = f"""
import os
from sluicegate.engine import cell, jail
from sluicegate.engine.probe import probe
from sluicegate.engine.program import Program
assert os.geteuid() != 0
if {fallback}: cell.find_bwrap = lambda: None
print(probe({fallback}).model_dump_json())
with jail.run(Program("SELECT 6 * 7", {{}}, {{}}), fallback={fallback}) as rows: print(rows.read_all().column(0)[0])
"""
    become = ["/usr/sbin/runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    python = next((readable / "bin").iterdir())
    env = {
        "PYTHONPATH": f"{readable}/source:{readable}/packages", "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": f"{readable}/lib",
    }  # fmt: skip
    done = subprocess.run(
        [*become, str(python), "-c", code], env=env, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    level, answer = done.stdout.splitlines()
    told = json.loads(level)
    assert (told["tier"], told["missing"]) == (("fallback", ["bwrap"]) if fallback else ("full", []))
    assert answer == "42"
