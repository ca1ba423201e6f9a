"""One real server for all tests of the command line, people with homes of their own, and commands called in here."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fixtures.home import PASSWORD, Served, sluice

DOCUMENTS = """
kind: connection
name: here
type: files
root: .
---
kind: flow
name: copy
params: { most: { type: int64, default: 100 } }
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - map: { name: cheap, from: rows, where: "price < :most", columns: { id: id, price: price } }
  - write: { from: cheap, connection: here, item: "out-{most}.parquet" }
---
kind: flow
name: strict
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - check: { name: valid, from: rows, rules: [ { column: price, between: [0, 2] } ], on_fail: stop }
  - write: { from: valid, connection: here, item: strict.parquet }
---
kind: flow
name: lenient
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - check: { name: valid, from: rows, rules: [ { column: price, between: [0, 2] } ], on_fail: quarantine }
  - write: { from: valid, connection: here, item: lenient.parquet }
---
kind: flow
name: long
steps:
  - read: { name: rows, connection: here, item: long.csv }
  - map: { name: more, from: rows, columns: { id: id, hash: "sha256(concat(id, price))" } }
  - write: { from: more, connection: here, item: long.parquet }
"""


class Told(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Call ``sluice`` in this process, for somebody whose home is given."""
    from sluicegate.base import memory
    from sluicegate.cli import remote
    from sluicegate.cli.main import main

    made = []
    begin = remote.Server.__init__

    def init(self, *more):
        begin(self, *more)
        made.append(self)

    monkeypatch.setattr(remote.Server, "__init__", init)
    monkeypatch.setattr(memory, "close", lambda: None)  # this process goes on, and could not be opened again

    def run(*words: str, home: Path | None = None, told: str = "") -> Told:
        monkeypatch.setenv("SLUICE_HOME", str(home or tmp_path / "home"))
        monkeypatch.setattr(sys, "stdin", io.StringIO(told))
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main([str(each) for each in words])
            except SystemExit as fault:
                code = fault.code
        assert "Traceback" not in err.getvalue()
        return Told(code, out.getvalue(), err.getvalue())

    yield run
    for each in made:  # a process that ends closes its connection; this one goes on
        if each._client is not None:
            each._client.close()


class Place(NamedTuple):
    """A server with documents and data in it."""

    server: Served
    me: dict[str, Any]
    data: Path
    file: Path

    @property
    def editor(self) -> Path:
        return self.server.editor

    @property
    def root(self) -> Path:
        return self.server.folder / "root"

    def prove(self) -> None:
        """Let everybody have just proved who they are: a long run of tests is no long wait of a person (step-up)."""
        with contextlib.closing(sqlite3.connect(self.server.home / "store.db", timeout=10)) as store, store:
            store.execute("update grants set proved = strftime('%s', 'now')")

    def user(self, role: str) -> Path:
        """Add a user of a role and return the home where they are signed in."""
        self.prove()
        home = self.server.folder / role
        if not home.exists():
            made = sluice(self.root, "user", "create", f"{role}@example.org", "--role", role)
            first, password = self.server.folder / f"{role}.txt", self.server.folder / "password.txt"
            first.write_text(made["password"])
            sluice(
                home, "login", "--url", self.server.url, "--ca", str(self.server.ca), "--tenant", "acme",
                "--email", f"{role}@example.org", "--password-file", str(first), "--new-password-file", str(password),
            )  # fmt: skip
        return home


@pytest.fixture(scope="session")
def place():
    with tempfile.TemporaryDirectory(prefix="sluice-cli-") as folder:
        server = Served(Path(folder))
        with (server.home / "sluice.toml").open("a") as out:
            out.write('\n[limits]\npublic = "100000/minute"\n')
        server.start()
        try:
            me = server.settle()
            data = server.data(me)
            (data / "in.csv").write_text("id,price\n1,1\n2,2\n3,3\n")
            file = server.folder / "documents.yaml"
            file.write_text(DOCUMENTS)
            sluice(server.editor, "apply", str(file))
            yield Place(server, me, data, file)
        finally:
            server.stop()
            server.log.close()
            server.child.stdout.close()


@pytest.fixture(autouse=True)
def proved(request):
    if "place" in request.fixturenames:
        request.getfixturevalue("place").prove()


@pytest.fixture
def secret_file(tmp_path):
    """Give a file with the password of everybody here."""
    file = tmp_path / "password.txt"
    file.write_text(PASSWORD + "\n")
    return file
