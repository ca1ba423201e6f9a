"""Each kind of bad input gives one clear error that names its place, a non-zero exit, and an unchanged target.

Each case runs twice: with ``run --local``, and on a server, where it is refused when it is saved or ends its run.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.fixtures.commands import environment, sluice
from tests.fixtures.home import Served

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bad-input")]

CONNECTIONS = """
kind: connection
name: here
type: files
root: .
---
kind: connection
name: target
type: sqlite
path: target.db
---
"""
GOOD = "id,price\n2,1\n3,2\n"


class Folder:
    """A folder with a flow and a target that holds one row already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with sqlite3.connect(path / "target.db") as target:
            target.execute("CREATE TABLE fruit (id INTEGER PRIMARY KEY, price INTEGER CHECK (price < 100))")
            target.execute("INSERT INTO fruit VALUES (1, 99)")
        target.close()
        (path / "in.csv").write_text(GOOD)

    def flow(self, *steps: str, head: str = CONNECTIONS) -> None:
        (self.path / "flow.yaml").write_text(
            f"{head}kind: flow\nname: f\nsteps:\n" + "".join(f"  - {step}\n" for step in steps)
        )

    def run(self, *words: str, before: tuple[str, ...] = (), **variables: str) -> tuple[int, dict, str]:
        local, home = ("run", "--local", str(self.path / "flow.yaml"), *words), self.path / "home"
        if before:
            command = [*before, sys.executable, "-m", "sluicegate", *local, "--json"]
            env = environment(home, **variables)
            done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=100)
        else:
            done = sluice(home, *local, expect=None, **variables)
        assert "Traceback" not in done.stderr, done.stderr
        answer = json.loads(done.stdout)
        return done.returncode, answer["error"], done.stdout + done.stderr

    def refuses(
        self, *words: str, code: str, where: str = "", says: str = "", before: tuple[str, ...] = (), **variables: str
    ) -> None:
        exit_code, error, whole = self.run(*words, before=before, **variables)
        assert exit_code not in (0, 3), whole
        assert error["code"] == code, whole
        assert 400 <= error["status"] < 500, whole
        assert self.place(where) in error.get("where", ""), whole
        assert says in error["title"], whole
        self.unchanged()

    @staticmethod
    def place(where: str) -> str:
        return where

    def unchanged(self) -> None:
        with sqlite3.connect(self.path / "target.db") as target:
            rows = target.execute("SELECT id, price FROM fruit").fetchall()
            tables = {
                row[0]
                for row in target.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '_sluice%'"
                )
            }
        target.close()
        assert rows == [(1, 99)]
        assert tables == {"fruit"}
        assert not [each for each in self.path.iterdir() if each.name.startswith((".sluice", "out"))]


_count = itertools.count(1)


class Remote(Folder):
    """The same in a tenant of a server: its files, its target, its documents and secrets."""

    def __init__(self, server: Served, data: Path) -> None:
        for each in data.iterdir():
            each.unlink()
        super().__init__(data)
        self.server = server

    def run(self, *words: str, before: tuple[str, ...] = (), **variables: str) -> tuple[int, dict, str]:
        assert not before, "a case that is for one machine only"
        file = self.server.folder / "flow.yaml"
        flow = f"f{next(_count)}"  # a new one: a flow keeps the types of its first run
        file.write_text(
            (self.path / "flow.yaml").read_text().replace("kind: flow\nname: f\n", f"kind: flow\nname: {flow}\n")
        )
        (self.path / "flow.yaml").unlink()
        for name, value in variables.items():
            sluice(
                self.server.editor,
                "secret",
                "set",
                name.removeprefix("SLUICE_SECRET_").lower().replace("_", "-"),
                told=value,
            )
        saved = sluice(self.server.editor, "apply", str(file), expect=None)
        done = saved if saved.returncode else sluice(self.server.editor, "run", flow, "--wait", *words, expect=None)
        assert "Traceback" not in done.stderr, done.stderr
        answer = json.loads(done.stdout)
        if "state" in answer:
            assert answer["state"] == "failed"
            assert answer["finished"]
        return done.returncode, answer["error"], done.stdout + done.stderr

    @staticmethod
    def place(where: str) -> str:
        return "" if where == "flow.yaml" else where  # a server knows no file: it names the flow


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="sluice-bad-") as folder:
        made = Served(Path(folder))
        with (made.home / "sluice.toml").open("a") as out:
            out.write(
                '\n[[egress]]\nhost = "localhost"\n[[egress]]\nhost = "127.0.0.1"\n[limits]\npublic = "100000/minute"\n[tls]\nweakest = "disable"\n'
            )
        made.start()
        try:
            yield made, made.data(made.settle())
        finally:
            made.stop()
            made.close()


@pytest.fixture(params=["local", "server"])
def folder(request, tmp_path):
    if request.param == "local":
        return Folder(tmp_path)
    return Remote(*request.getfixturevalue("server"))


READ = "read: { name: rows, connection: here, item: in.csv }"
WRITE = "write: { from: rows, connection: target, item: fruit, mode: append }"


def test_unknown_key(folder):
    folder.flow(READ, "write: { from: rows, connection: target, item: fruit, mood: append }")
    folder.refuses(code="invalid", where="flow.yaml", says="mood: unknown key")


def test_unknown_column(folder):
    folder.flow(
        READ,
        "map: { name: m, from: rows, columns: { id: id, price: prize } }",
        "write: { from: m, connection: target, item: fruit }",
    )
    folder.refuses(code="unknown_column", where="step m, columns.price", says="'prize'")


def test_a_type_that_does_not_fit(folder):
    (folder.path / "in.csv").write_text("id,price\n1,15\nx,25\n")
    folder.flow(
        "read: { name: rows, connection: here, item: in.csv, format: { type: csv, columns: { id: int64 } } }", WRITE
    )
    folder.refuses(code="data", where="line 3, column id")


def test_a_value_that_an_expression_cannot_cast(folder):
    (folder.path / "in.csv").write_text("id,price\n2,70000\n")
    folder.flow(
        READ,
        "map: { name: m, from: rows, columns: { id: id, price: 'cast(price as smallint)' } }",
        "write: { from: m, connection: target, item: fruit }",
    )
    folder.refuses(code="data", where="step m")


def test_missing_connection(folder):
    folder.flow("read: { name: rows, connection: nowhere, item: in.csv }", WRITE)
    folder.refuses(code="invalid", says="no connection 'nowhere'")


def test_cycle(folder):
    folder.flow(
        "map: { name: a, from: b }", "map: { name: b, from: a }", "write: { from: a, connection: target, item: fruit }"
    )
    folder.refuses(code="invalid", where="flow.yaml", says="cycle")


def test_missing_file(folder):
    folder.flow("read: { name: rows, connection: here, item: gone.csv }", WRITE)
    folder.refuses(code="missing_file", where="step rows", says="gone.csv")


def test_truncated_gzip(folder):
    (folder.path / "in.csv.gz").write_bytes(
        gzip.compress(("id,price\n" + "".join(f"{n},15\n" for n in range(2, 90_000))).encode())[:-200]
    )
    folder.flow("read: { name: rows, connection: here, item: in.csv.gz }", WRITE)
    folder.refuses(code="data", where="in.csv.gz")


def test_invalid_utf8(folder):
    (folder.path / "in.csv").write_bytes(b"id,name\n2,plum\n3,\xff\xfe\n")
    folder.flow(READ, "write: { from: rows, connection: here, item: out.parquet }")
    folder.refuses(code="data", where="line 3", says="UTF-8")


def test_wrong_field_count(folder):
    (folder.path / "in.csv").write_text("id,price\n2,15\n3,15,extra\n4,1\n")
    folder.flow(READ, WRITE)
    folder.refuses(code="data", where="line 3")


def test_constraint_violation(folder):
    (folder.path / "in.csv").write_text("id,price\n2,15\n3,5000\n")
    folder.flow(READ, WRITE)
    folder.refuses(code="constraint", where="step write-2")


def test_duplicate_keys_within_one_run(folder):
    (folder.path / "in.csv").write_text("id,price\n2,15\n2,25\n")
    folder.flow(READ, "write: { from: rows, connection: target, item: fruit, mode: { type: merge, keys: [id] } }")
    folder.refuses(code="data", where="step write-2", says="2")


def test_full_disk(tmp_path):
    folder = Folder(tmp_path)
    (folder.path / "in.csv").write_text("id,text\n" + "".join(f"{n},{os.urandom(300).hex()}\n" for n in range(5000)))
    small = folder.path / "small"
    small.mkdir()
    head = CONNECTIONS + "kind: connection\nname: small\ntype: files\nroot: small\n---\n"
    folder.flow(READ, "write: { from: rows, connection: small, item: out.csv }", head=head)
    bwrap = ("bwrap", "--dev-bind", "/", "/", "--size", "1000000", "--tmpfs", str(small))
    folder.refuses(code="no_space", where="step write-2", before=bwrap)


@pytest.mark.security
def test_wrong_password(folder, postgres):
    head = CONNECTIONS + (
        f"kind: connection\nname: pg\ntype: postgres\nhost: {postgres.host}\nport: {postgres.port}\ndatabase: {postgres.dbname}\n"
        f"user: {postgres.user}\npassword: {{ secret: pg-password }}\ntls: disable\n---\n"
    )
    folder.flow("read: { name: rows, connection: pg, item: pg_class }", WRITE, head=head)
    exit_code, error, whole = folder.run(SLUICE_SECRET_PG_PASSWORD="not-the-password-canary")
    assert (exit_code, error["code"]) == (1, "sign_in_refused")
    assert error["title"] == f"The database refuses user {postgres.user!r} or its password."
    assert error["where"].startswith("step rows")
    assert "not-the-password-canary" not in whole
    folder.unchanged()


@pytest.mark.security
@pytest.mark.req("SEC-N03")
@pytest.mark.parametrize("tls", ["verify-full", "verify-ca"])
def test_expired_certificate(folder, expired_postgres, tls):
    server, authority = expired_postgres
    head = CONNECTIONS + (
        f"kind: connection\nname: pg\ntype: postgres\nhost: localhost\nport: {server.port}\ndatabase: {server.dbname}\n"
        f"user: {server.user}\npassword: {{ secret: pg-expired-{tls} }}\ntls: {tls}\nca: {json.dumps(authority)}\n---\n"
    )
    folder.flow("read: { name: rows, connection: pg, item: pg_class }", WRITE, head=head)
    name = f"SLUICE_SECRET_PG_EXPIRED_{tls.upper().replace('-', '_')}"
    exit_code, error, whole = folder.run(**{name: server.password})
    assert (exit_code, error["code"]) == (1, "unreachable"), whole
    assert "expired" in error["title"], whole
    assert error["where"].startswith("step rows")
    assert server.password not in whole
    folder.unchanged()


def test_unreachable_database(folder):
    head = (
        CONNECTIONS
        + "kind: connection\nname: pg\ntype: postgres\nhost: 127.0.0.1\nport: 1\ndatabase: d\nuser: u\ntls: disable\n---\n"
    )
    folder.flow("read: { name: rows, connection: pg, item: t }", WRITE, head=head)
    folder.refuses(code="unreachable", where="step rows, 127.0.0.1:1", says="refuses")


def test_a_secret_that_is_not_given(folder):
    head = (
        CONNECTIONS
        + "kind: connection\nname: pg\ntype: postgres\nhost: h\ndatabase: d\nuser: u\npassword: { secret: a-b }\n---\n"
    )
    folder.flow("read: { name: rows, connection: pg, item: t }", WRITE, head=head)
    # A server may be given it until the run begins; run --local is given all of them with the command.
    folder.refuses(code="failed" if isinstance(folder, Remote) else "invalid", where="connection pg", says="'a-b'")


def test_missing_parameter(folder):
    folder.flow(READ, WRITE)
    folder.refuses("-p", "day=1", code="invalid", says="no parameter 'day'")
