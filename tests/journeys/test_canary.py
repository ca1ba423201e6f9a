"""A secret goes through a real server, a real run and a real database, and lies nowhere but where it must (SEC-V01, V02)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.canary import CANARY, descendants, holds, memory, spellings
from tests.fixtures.home import Served, sluice
from tests.fixtures.postgres import postgres

__all__ = ["postgres"]

pytestmark = [pytest.mark.slow, pytest.mark.security, pytest.mark.timeout(240)]

ENOUGH = 8
"""How often the memory of the jail is searched, which should hold nothing."""
FLOW = """
kind: connection
name: shop
type: postgres
host: 127.0.0.1
port: {port}
database: {database}
user: canary
password: {{ secret: shop-password }}
tls: disable
---
kind: connection
name: here
type: files
---
kind: flow
name: through
steps:
  - read: {{ name: rows, connection: shop, item: slow }}
  - map: {{ name: more, from: rows, columns: {{ id: id, twice: "id * 2" }} }}
  - check: {{ name: few, from: more, rules: [ {{ column: twice, between: [0, 300] }} ], on_fail: quarantine }}
  - write: {{ from: few, connection: shop, item: landed }}
  - write: {{ from: few, connection: here, item: out.csv }}
"""


@pytest.fixture
def shop(postgres):
    database = postgres.fresh()
    for sql in (
        f"create role canary login password '{CANARY}'",
        "grant create on schema public to canary",
        "create view slow as select g as id, length(pg_sleep(0.02)::text) as waited from generate_series(1, 200) g",
        "grant select on slow to canary",
    ):
        database.execute(sql)
    yield database
    database.drop()
    postgres.execute("drop role canary")


@pytest.fixture
def served(shop):
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        server = Served(Path(folder))
        server.variables["TMPDIR"] = str(server.folder / "temporary")
        (server.folder / "temporary").mkdir()
        with (server.home / "sluice.toml").open("a") as out:
            out.write('[tls]\nweakest = "disable"\n[[egress]]\nhost = "127.0.0.1"\n')
        server.start()
        try:
            yield server
        finally:
            server.stop()
            server.close()


def set_secret(served, value):
    return json.dumps(sluice(served.editor, "secret", "set", "shop-password", "--value-file", "-", told=value))


def begin(served):
    """Start a run the way a person does, and leave it to itself."""
    return subprocess.Popen(
        [sys.executable, "-m", "sluicegate", "run", "through", "--wait", "--json"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SLUICE_HOME": str(served.editor)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def look(server: int, seen: dict[str, int]) -> None:
    """Look at every process of the server once: arguments and environment; and the memory of task and jail."""
    for pid in descendants(server):
        place = Path("/proc", str(pid))
        try:
            words = (place / "cmdline").read_bytes()
        except OSError:
            continue
        kind = "server" if pid == server else "task" if b"sluicegate.engine.task" in words else "jail"
        assert not holds(words), kind
        seen[kind] = seen.get(kind, 0) + 1
        try:
            assert not holds((place / "environ").read_bytes()), kind
            seen[f"{kind} environment"] = seen.get(f"{kind} environment", 0) + 1
        except OSError:  # not ours to look into, which is as it should be
            continue
        if (kind == "task" and not seen.get("task canary")) or (kind == "jail" and seen.get("jail memory", 0) < ENOUGH):
            found = [CANARY.encode() in each for each in memory(pid)]
            seen[f"{kind} memory"] = seen.get(f"{kind} memory", 0) + bool(found)
            seen[f"{kind} canary"] = seen.get(f"{kind} canary", 0) + any(found)


def files(served):
    """Yield what lies in the home, what the server said, and what was left among its temporary files."""
    yield from (each for each in served.home.rglob("*") if each.is_file())
    yield served.folder / "server.log"
    yield from (each for each in Path(served.variables["TMPDIR"]).rglob("*") if each.is_file())


def search(served) -> int:
    looked = 0
    for file in files(served):
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            continue
        assert not holds(data), file
        looked += len(data)
    return looked


def answers(served, run: str) -> str:
    """Return all that the API says about it: to the SuperAdmin, and of rows to the editor, whom they are shown to."""
    everything = ["runs", "secret list", "get flow through", "connection list", "connection get shop", "connection versions shop",
                  "flow versions through", f"logs {run}", "system about", "audit list"]  # fmt: skip
    asked = [(served.folder / "root", words) for words in everything]
    asked += [(served.editor, words) for words in ("test shop", "items shop", "preview through few", f"rejects {run}")]
    said = ""
    for home, words in asked:
        done = sluice(home, *words.split(), expect=None)
        assert done.returncode != 2, (words, done.stderr)
        said += done.stdout + done.stderr
    return said


def test_a_secret_is_found_nowhere(served, shop):
    served.settle()
    said = set_secret(served, CANARY)
    source = served.folder / "flow.yaml"
    source.write_text(FLOW.format(port=shop.port, database=shop.dbname))
    said += json.dumps(sluice(served.editor, "apply", str(source)))

    running, seen = begin(served), dict[str, int]()
    while running.poll() is None:
        look(served.child.pid, seen)
        time.sleep(0.1)
    out, err = running.communicate()
    assert running.returncode == 3, out + err  # 200 rows, 50 of them in quarantine
    ended = json.loads(out)
    assert (ended["counts"]["read"], ended["counts"]["rejected"]) == (200, 50)
    assert {"server", "task", "jail"} <= set(seen), seen
    if os.geteuid() == 0:  # root sees all: the task holds the secret, which shows that the search finds one
        assert min(seen[f"{each} environment"] for each in ("server", "task", "jail")) > 0
        assert seen["task canary"] > 0
        assert seen["jail memory"] > 0
        assert seen["jail canary"] == 0

    said += out.decode() + err.decode() + answers(served, ended["id"])
    for told in ("secret.use", "tls.weak", "run.finish", "PostgreSQL ", "fingerprint", "twice", '"landed"'):
        assert told in said, told
    assert search(served) > 100_000

    set_secret(served, CANARY + "-wrong")
    failed = sluice(served.editor, "run", "through", "--wait", expect=None)
    assert failed.returncode == 1
    assert "refuses user" in failed.stdout
    said += failed.stdout + failed.stderr + answers(served, json.loads(failed.stdout)["id"])
    set_secret(served, CANARY)

    cut = begin(served)
    seen.clear()
    while "task" not in seen:
        look(served.child.pid, seen)
    time.sleep(1)
    served.kill()
    assert search(served) > 100_000, "what a power cut leaves, before anything has swept it"
    cut.communicate()
    served.start()
    served.stop()
    said += served.child.stdout.read()
    search(served)
    assert not holds(said.encode())
    with psycopg.connect(shop.url) as link:
        tables = [row[0] for row in link.execute("select tablename from pg_tables where schemaname = 'public'")]
        assert "landed" in tables
        for table in tables:
            assert not holds(repr(link.execute(f'select * from "{table}"').fetchall()).encode()), table


def test_the_search_finds_every_spelling(tmp_path):
    for number, spelled in enumerate(spellings(CANARY)):
        (tmp_path / str(number)).write_bytes(b"before " + spelled + b" behind")
        assert holds((tmp_path / str(number)).read_bytes())
    child = subprocess.Popen(
        [sys.executable, "-c", f"kept = {CANARY!r}; print(flush=True); input()"], stdin=-1, stdout=-1
    )
    child.stdout.readline()
    try:
        assert child.pid in set(descendants(os.getpid()))
        assert holds(Path(f"/proc/{child.pid}/cmdline").read_bytes())
        assert any(holds(each) for each in memory(child.pid)) or os.geteuid() != 0
    finally:
        child.communicate(b"\n")
