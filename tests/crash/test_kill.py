from __future__ import annotations

import contextlib
import random
import re
import shutil
import sqlite3
import time

import pytest

from tests.fixtures.home import serving, sluice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("kill")]

ROWS = 100_000
FLOW = """
kind: connection
name: here
type: files
root: in
---
kind: connection
name: target
type: sqlite
path: target.db
---
kind: connection
name: out
type: files
root: out
---
kind: flow
name: big
steps:
  - read: { name: rows, connection: here, item: rows.csv }
  - map: { name: more, from: rows, columns: { id: id, twice: "value * 2", text: "upper(text)" } }
  - write: { from: more, connection: target, item: merged, mode: { type: merge, keys: [id] } }
  - write: { from: more, connection: target, item: appended, mode: append }
  - write: { from: more, connection: out, item: rows.parquet }
"""


@pytest.fixture(scope="module")
def place():
    """A server with a flow of rows in its tenant's directory: all are killed and started again in it."""
    with serving() as served:
        data = served.data(served.settle())
        (data / "in").mkdir()
        with (data / "in" / "rows.csv").open("w") as out:
            out.write("id,value,text\n")
            out.writelines(f"{n},{n % 97},text {n}\n" for n in range(ROWS))
        file = served.folder / "flow.yaml"
        file.write_text(FLOW)
        sluice(served.editor, "apply", str(file))
        yield served, data


@pytest.fixture
def empty(place):
    """The server, and the directory with nothing landed in it."""
    _, data = place
    for each in data.glob("target.db*"):
        each.unlink()
    shutil.rmtree(data / "out", ignore_errors=True)
    (data / "out").mkdir()
    return place


def wait(served, run, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = next(each for each in sluice(served.editor, "runs")["items"] if each["id"] == run)
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.3)
    raise AssertionError(f"the run did not end: {found}")


def check(data):
    with sqlite3.connect(data / "target.db") as target:
        for table in ("merged", "appended"):
            assert target.execute(f"SELECT count(*), count(DISTINCT id), sum(twice) FROM {table}").fetchone() == (
                ROWS, ROWS, sum(n % 97 for n in range(ROWS)) * 2,
            )  # fmt: skip
    target.close()
    import pyarrow.parquet as pq

    assert pq.read_metadata(data / "out" / "rows.parquet").num_rows == ROWS
    assert [each.name for each in (data / "out").iterdir()] == ["rows.parquet"]


def landed(data):
    """Return the steps whose rows have landed, all of them: none lands a part."""
    steps = {"write-5"} if list((data / "out").iterdir()) else set()
    if (data / "target.db").exists():
        with contextlib.closing(sqlite3.connect(data / "target.db")) as target:
            for table, step in (("merged", "write-3"), ("appended", "write-4")):
                if target.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                    assert target.execute(f"SELECT count(*) FROM {table}").fetchone() == (ROWS,)
                    steps.add(step)
    return steps


@pytest.mark.parametrize("after", [0.4, 1.2, random.Random(7).uniform(1.5, 3.0)])  # noqa: S311 - when to pull the plug
def test_a_killed_server_takes_its_runs_up_again_and_lands_the_same_rows_once(empty, after):
    served, data = empty
    run = sluice(served.editor, "run", "big")["id"]
    time.sleep(after)
    served.kill()
    served.start()
    found = wait(served, run)
    assert found["state"] == "succeeded", (found["error"], (served.folder / "server.log").read_text()[-3000:])
    check(data)


def test_a_cancelled_run_leaves_the_target_as_it_was(empty):
    served, data = empty
    run = sluice(served.editor, "run", "big")["id"]
    time.sleep(0.8)
    sluice(served.editor, "cancel", run)
    found = wait(served, run, 30)
    assert found["state"] == "cancelled", found
    assert landed(data) == set(re.findall(r"write-\d", found["error"]["title"])), found["error"]
    again = sluice(served.editor, "run", "big", "--wait")
    assert again["state"] == "succeeded"
    check(data)
