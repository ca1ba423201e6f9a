"""What is left of rows, whichever way a run ends: nothing in clear, and what is sealed goes on time (SEC-B01, SEC-B02)."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest

from sluicegate.cli.remote import Server
from sluicegate.conformance.leaks.report import Report
from sluicegate.conformance.leaks.search import Searcher
from sluicegate.operations import find
from tests.fixtures.canary import descendants
from tests.fixtures.home import Served, sluice

pytestmark = [pytest.mark.slow, pytest.mark.security, pytest.mark.timeout(240)]

WORD = "Canary-of-a-row-0815-Zürich"
ROWS = 400_000
FLOWS = """
kind: connection
name: here
type: files
---
kind: recipient
name: dpo
type: age
recipient: {recipient}
---
kind: flow
name: sealed
steps:
  - read: {{ name: rows, connection: here, item: in.csv, on_reject: quarantine, {columns} }}
  - check: {{ name: good, from: rows, rules: [ {{ column: n, between: [10, {rows}] }} ], on_fail: quarantine }}
  - archive: {{ from: good, connection: here, item: out/rows.csv.age, seal: {{ type: age, to: [dpo] }} }}
---
kind: flow
name: plain
steps:
  - read: {{ name: rows, connection: here, item: in.csv, on_reject: skip, {columns} }}
  - check: {{ name: good, from: rows, rules: [ {{ column: n, between: [10, {rows}] }} ], on_fail: quarantine }}
  - write: {{ from: good, connection: here, item: out/rows.csv }}
---
kind: flow
name: mapped
steps:
  - read: {{ name: rows, connection: here, item: in.csv, on_reject: skip, {columns} }}
  - map: {{ name: more, from: rows, columns: {{ word: "{slow}", n: n }} }}
  - write: {{ from: more, connection: here, item: out/rows.csv }}
"""
COLUMNS = "format: { type: csv, columns: { word: text, n: int64 } }"


SLOW = " || ".join(["sha256(" * 25 + "word" + ")" * 25] * 4)


class Kept:
    """A server with a tenant whose rows hold a word, and a search for it everywhere but where a person has put it."""

    def __init__(self, served: Served) -> None:
        self.served, me = served, served.settle()
        self.editor = Server(folder=served.editor)
        self.folder = served.data(me)
        self.quarantine = served.home / "quarantine" / me["tenant"]
        with (self.folder / "in.csv").open("w") as out:
            out.write("word,n\n")
            out.writelines(f"{WORD} {n},{n}\n" for n in range(ROWS))
            out.write(f"{WORD},{WORD}\n")
        made = sluice(served.folder, "archive", "keygen", str(served.folder / "dpo"))
        text = FLOWS.format(recipient=made["recipient"], rows=ROWS, columns=COLUMNS, slow=SLOW)
        (served.folder / "flows.yaml").write_text(text)
        sluice(served.editor, "apply", str(served.folder / "flows.yaml"))

    def begin(self, flow: str) -> str:
        """Start a run, and return it when its draft has rows in it."""
        run: str = self.editor.call(find("run.start"), {"name": flow})["id"]
        end = time.monotonic() + 60
        while not any(size(each) > 1 << 20 for each in self.drafts()):
            assert time.monotonic() < end, sluice(self.served.editor, "logs", run)
            time.sleep(0.01)
        return run

    def drafts(self) -> list[Path]:
        return [*self.folder.rglob(".sluice-*"), *self.served.home.glob("quarantine/*/.sluice-*")]

    def task(self) -> int:
        """Return the process that moves rows."""
        for pid in descendants(self.served.child.pid):
            if b"sluicegate.engine.task" in Path("/proc", str(pid), "cmdline").read_bytes():
                return pid
        raise AssertionError("there is no task")

    def end(self, run: str) -> dict:
        """Wait for the end of a run and return it; then nothing of it may be left on its way."""
        end = time.monotonic() + 60
        while not (found := self.editor.call(find("run.get"), {"id": run}))["finished"]:
            assert time.monotonic() < end, found
            time.sleep(0.2)
        self.nothing_on_its_way()
        return found

    def nothing_on_its_way(self) -> None:
        end = time.monotonic() + 15  # the run is on record before its task is gone
        while self.drafts() or list((self.served.home / "temp").iterdir()):
            assert time.monotonic() < end, [*self.drafts(), *(self.served.home / "temp").iterdir()]
            time.sleep(0.05)

    def search(self, *apart: Path) -> dict:
        """Search the whole home, and what the server has said, for rows in clear."""
        report = Report(Searcher({"row": WORD}))
        report.folder(self.served.home, {each: {"row"} for each in (self.folder / "in.csv", *apart)})
        report.file(self.served.folder / "server.log")
        assert report.ok, report.body()
        assert report.counts["files"] > 10
        return report.body()


def size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it is under its own name now
        return 0


@pytest.fixture
def kept():
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        served = Served(Path(folder))
        with (served.home / "sluice.toml").open("a") as out:
            out.write("\n[jail]\nseconds = 1\n")
        served.start()
        try:
            made = Kept(served)
            yield made
            made.editor.close()
        finally:
            served.stop()
            served.close()


@pytest.mark.req("SEC-B01", "SEC-F10")
def test_whichever_way_a_run_ends_nothing_of_its_rows_is_left_in_clear(kept):
    served = kept.served
    run = kept.begin("sealed")
    kept.search()  # in the middle of it: what is on its way is sealed
    assert kept.end(run)["state"] == "finished_with_rejects"
    kept.search()
    rejects = sluice(served.editor, "rejects", run)
    assert rejects["total"] == 11
    assert WORD in json.dumps(rejects, ensure_ascii=False)

    run = kept.begin("plain")
    kept.editor.call(find("run.cancel"), {"id": run})
    assert kept.end(run)["state"] == "cancelled"
    kept.search()

    run = kept.begin("plain")
    os.kill(kept.task(), signal.SIGKILL)
    assert kept.end(run)["state"] == "failed"
    kept.search()

    run = sluice(served.editor, "run", "mapped")["id"]
    found = kept.end(run)
    assert found["state"] == "failed"
    assert "longer than" in found["error"]["title"], found
    kept.search()

    limit = resource.prlimit(served.child.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(served.child.pid, resource.RLIMIT_FSIZE, (8 << 20, limit[1]))  # as on a disk that is full
    run = sluice(served.editor, "run", "plain")["id"]
    assert kept.end(run)["state"] == "failed"
    resource.prlimit(served.child.pid, resource.RLIMIT_FSIZE, limit)
    kept.search()

    shown = sluice(served.editor, "preview", "plain", "good", "--limit", "20")
    assert WORD in json.dumps(shown, ensure_ascii=False)
    kept.search()

    run = kept.begin("plain")
    served.kill()
    assert kept.drafts(), "what a power cut leaves"
    kept.editor.close()
    served.start()
    assert kept.end(run)["state"] == "finished_with_rejects"
    assert (kept.folder / "out" / "rows.csv").stat().st_size > ROWS * len(WORD)
    kept.search(kept.folder / "out" / "rows.csv")


@pytest.mark.req("SEC-B02")
def test_what_is_kept_of_rows_goes_on_time_though_the_server_was_down_then(kept):
    served = kept.served
    run = sluice(served.editor, "run", "sealed")["id"]
    kept.end(run)
    (file,) = kept.quarantine.glob("*.age")
    copy = served.folder / "copy"
    shutil.copyfile(file, copy)
    said = [each["body"] for each in sluice(served.editor, "logs", run)["items"] if each["kind"] == "reject"]
    assert WORD in json.dumps(said, ensure_ascii=False)
    kept.search()
    served.stop()
    aged(served.home / "store.db", run, days=31)
    os.utime(file, (time.time() - 31 * 86400,) * 2)
    served.start()
    assert not file.exists()
    assert sluice(served.editor, "rejects", run)["total"] == 0
    said = [each["body"] for each in sluice(served.editor, "logs", run)["items"] if each["kind"] == "reject"]
    assert len(said) == 6
    assert WORD not in json.dumps(said, ensure_ascii=False)


def aged(store: Path, run: str, days: float) -> None:
    """Have what is kept of a run be older than it is."""
    link = sqlite3.connect(store)
    with link:
        changed = link.execute("update quotes set at = at - ? where run_id = ?", (days * 86400, run)).rowcount
    link.close()
    assert changed
