"""A journal that somebody else put beside a database makes SQLite remove files: the attack, and what stops it."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing

import pyarrow as pa
import pytest

from sluicegate.base.errors import Denied
from sluicegate.connectors.files import Files
from sluicegate.connectors.sqlite import Sqlite
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker

MAGIC = bytes.fromhex("d9d505f920a163d7")
ROWS = pa.table({"a": [1]})


def super_record(victim: str) -> bytes:
    """Return what SQLite writes at the end of a journal to name its super-journal."""
    name = victim.encode()
    return struct.pack(">I", 0x40000000 // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + MAGIC


def header() -> bytes:
    return (MAGIC + struct.pack(">IIIII", 0, 0, 2, 512, 4096)).ljust(512, b"\0")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "tenant").mkdir()
    (tmp_path / "root.key").write_text("the key of everything")
    with closing(sqlite3.connect(tmp_path / "tenant" / "x.db")) as link:
        link.execute("create table t (a integer)")
        link.commit()
    return tmp_path


@pytest.fixture
def ctx(place):
    with Root(place / "tenant") as root:
        yield Context(net=Net(Egress()), files=root)


def load(ctx, path="x.db"):
    database, mark = Sqlite(name="x", path=path), Marker("r", "w")
    with database.open(ctx) as session, session.stage("t", ROWS.schema, Append(), mark) as stage:
        stage.write(ROWS.to_batches()[0])
        return stage.commit()


def read(ctx, path="x.db"):
    with Sqlite(name="x", path=path).open(ctx) as session:
        return session.read(Read(item="t")).read_all().num_rows


def attacks(victim: str) -> dict[str, bytes]:
    return {
        "whole": header() + super_record(victim),
        "no header": b"x" * 512 + super_record(victim),
        "a database": b"SQLite format 3\0".ljust(4096, b"\0") + super_record(victim),
        "record alone": super_record(victim),
    }


def test_the_attack_is_real(place):
    """Plain SQLite removes the file: without this, the tests below would show nothing."""
    (place / "tenant" / "x.db-journal").write_bytes(attacks(str(place / "root.key"))["whole"])
    with closing(sqlite3.connect(place / "tenant" / "x.db")) as link:
        link.execute("select * from t").fetchall()
    assert not (place / "root.key").exists()


@pytest.mark.security
@pytest.mark.req("SEC-E07", "SEC-F06")
@pytest.mark.parametrize("kind", attacks(""))
@pytest.mark.parametrize("use", [load, read])
def test_a_journal_that_names_another_file_is_refused(place, ctx, kind, use):
    (place / "tenant" / "x.db-journal").write_bytes(attacks(str(place / "root.key"))[kind])
    with pytest.raises(Denied, match="journal that is not its own") as told:
        use(ctx)
    assert told.value.where == "x.db-journal"
    assert (place / "root.key").read_text() == "the key of everything"


@pytest.mark.security
@pytest.mark.req("SEC-E07", "SEC-F06")
@pytest.mark.parametrize("name", ["x.db-journal", "x.db-wal", "X.DB-SHM", "deep/x.db-journal", "x.db-ｊournal"])
def test_no_connection_makes_or_reads_a_journal(place, ctx, name):
    with Files(name="f").open(ctx) as files:
        for use in (lambda: files.put(name, Marker("r", "w")), lambda: files.fetch(name)):
            with pytest.raises(Denied, match="SQLite's own"):
                use()
    for use in (load, read):
        with pytest.raises(Denied, match="SQLite's own"):
            use(ctx, name)
    assert [each.name for each in (place / "tenant").iterdir()] == ["x.db"]


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_journals_are_not_listed(place, ctx):
    (place / "tenant" / "x.db-wal").touch()
    (place / "tenant" / "a-journal").mkdir()
    (place / "tenant" / "a-journal" / "in.csv").touch()
    with Files(name="f").open(ctx) as files:
        assert [each.name for each in files.items()] == ["a-journal", "a-journal/in.csv", "x.db"]


def test_a_crash_of_our_own_is_still_healed(place, ctx):
    """A hot journal of one database is what a power cut leaves: it is played back, as ever."""
    with closing(sqlite3.connect(place / "tenant" / "x.db", isolation_level=None)) as link:
        link.execute("pragma cache_size=1")
        link.execute("begin")
        link.executemany("insert into t values (?)", [(n,) for n in range(20_000)])
        cut = {each.name: each.read_bytes() for each in (place / "tenant").iterdir()}
        link.execute("rollback")
    assert cut["x.db-journal"][:8] == MAGIC
    for name, data in cut.items():
        (place / "tenant" / name).write_bytes(data)
    load(ctx)
    assert read(ctx) == 1


@pytest.mark.parametrize("mode", ["persist", "truncate"])
def test_a_journal_that_is_kept_between_writes_does_no_harm(place, ctx, mode):
    with closing(sqlite3.connect(place / "tenant" / "x.db", isolation_level=None)) as link:
        link.execute(f"pragma journal_mode={mode}")
        link.execute("insert into t values (1)")
    assert (place / "tenant" / "x.db-journal").exists()
    load(ctx)
    assert read(ctx) == 2
