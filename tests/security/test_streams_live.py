"""Streams and downloads of a server that runs: they end within a second of whoever opened them being out (SEC-T09)."""

from __future__ import annotations

import http.client
import json
import sqlite3
import ssl
import time

import pytest

from sluicegate.cli import remote
from sluicegate.operations import find
from tests.fixtures.home import served, sluice  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, pytest.mark.security, pytest.mark.timeout(240)]

WAITING = """
kind: connection
name: here
type: files
---
kind: flow
name: idle
steps:
  - read: { name: rows, connection: here, item: in.csv, format: { type: csv, columns: { x: int64 } } }
  - write: { from: rows, connection: here, item: out.csv, format: { type: csv } }
"""


class Editor:
    """Who signed in with ``sluice``, and opens things as a browser does."""

    def __init__(self, server, monkeypatch):
        self.served = server
        monkeypatch.setenv("SLUICE_HOME", str(server.editor))
        self.server, self.opened = remote.Server(), []

    def open(self, operation, run):
        asked = {"operation": operation, "ask": {"id": run}}
        url = self.server.call(find("ticket.create"), asked)["url"]
        trusted = ssl.create_default_context(cafile=self.served.ca)
        line = http.client.HTTPSConnection("localhost", int(self.served.port), context=trusted, timeout=60)
        line.request("GET", url)
        got = line.getresponse()
        self.opened += [got, line]
        assert got.status == 200
        return got


@pytest.fixture
def running(served, monkeypatch):  # noqa: F811 - the fixture
    """Give an editor of a server, and a run that the server believes is going on."""
    me = served.settle()
    (served.data(me) / "in.csv").write_text("x\n1\n")
    (served.folder / "flow.yaml").write_text(WAITING)
    sluice(served.editor, "apply", str(served.folder / "flow.yaml"))
    run = sluice(served.editor, "run", "idle", "--wait")["id"]
    change(served, "update runs set state = 'running' where id = ?", (run,))
    editor = Editor(served, monkeypatch)
    yield editor, run, me
    editor.server._client.close()
    for each in editor.opened:
        each.close()


def change(served, sql, values):  # noqa: F811 - the fixture
    with sqlite3.connect(served.home / "store.db", timeout=30) as connection:
        connection.execute(sql, values)
    connection.close()


def until_end(got):
    """Return the seconds until a stream ends, and its last event."""
    began, last = time.monotonic(), b""
    while line := got.readline():
        last = line.strip() or last
    return time.monotonic() - began, last.decode()


@pytest.mark.req("SEC-T09", "SEC-T19")
def test_a_stream_ends_within_a_second_of_its_sign_in_and_a_download_is_cut(running):
    editor, run, me = running
    row = "insert into run_events (tenant_id, run_id, seq, at, kind, body) values (?, ?, ?, 0, 'log', ?)"
    with sqlite3.connect(editor.served.home / "store.db", timeout=30) as connection:
        big = json.dumps({"message": "x" * 900})
        connection.executemany(row, [(me["tenant"], run, seq, big) for seq in range(1000, 41_000)])
    connection.close()
    stream, download = editor.open("run.watch", run), editor.open("run.log", run)
    while not stream.readline().startswith(b"id: 40999"):
        """Everything so far has come; from here on the stream waits."""
    download.read(10_000)
    sluice(editor.served.folder / "root", "user", "deactivate", me["id"])
    taken, last = until_end(stream)
    assert last == 'data: {"why":"unauthenticated"}'
    assert taken < 1.0
    with pytest.raises(http.client.IncompleteRead):
        download.read()
    trail = sluice(editor.served.folder / "root", "audit", "list", "--action", "run.log")["items"]
    assert [each["result"] for each in trail[:2]] == ["unauthenticated", "asked"]


@pytest.mark.req("SEC-T09", "SEC-T19")
def test_signing_out_ends_what_was_opened_before(running):
    editor, run, _ = running
    stream = editor.open("run.watch", run)
    sluice(editor.served.editor, "logout")
    taken, last = until_end(stream)
    assert (taken < 1.0, last) == (True, 'data: {"why":"unauthenticated"}')


@pytest.mark.req("SEC-T19", "SEC-D03")
def test_a_download_that_nobody_reads_takes_no_memory(running):
    from sluicegate.engine.meter import memory

    editor, run, me = running
    row = "insert into run_events (tenant_id, run_id, seq, at, kind, body) values (?, ?, ?, 0, 'log', ?)"
    with sqlite3.connect(editor.served.home / "store.db", timeout=30) as connection:
        big = json.dumps({"message": "x" * 4000})
        connection.executemany(row, [(me["tenant"], run, seq, big) for seq in range(1000, 31_000)])
    connection.close()
    editor.open("run.log", run).read(1000)
    before = memory(editor.served.child.pid)
    kept = [editor.open("run.log", run) for _ in range(4)]
    time.sleep(2)
    assert memory(editor.served.child.pid) - before < 40e6, "four of 120 MB each"
    size = 0
    while piece := kept[0].read(1 << 20):
        size += len(piece)
    assert size > 120e6
    assert memory(editor.served.child.pid) - before < 40e6
