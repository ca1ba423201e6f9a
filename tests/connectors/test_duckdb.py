from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing

import _duckdb
import pyarrow as pa
import pytest

from sluicegate.base.errors import Cancelled, Constraint, Corrupt, DataError, Denied, Failed, MissingFile, SluiceError
from sluicegate.conformance.connection import Given
from sluicegate.conformance.loading import ANY
from sluicegate.conformance.rows import RowsSuite
from sluicegate.conformance.samples import table
from sluicegate.connectors.duckdb import Duckdb, link
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker
from sluicegate.kit.tables import spell_item
from sluicegate.kit.types import opened

DATABASE = Duckdb(name="shop", path="shop.duckdb")
READER = DATABASE.model_copy(update={"read_only": True})


@pytest.fixture
def ctx(tmp_path):
    with Root(tmp_path) as root:
        yield Context(net=Net(Egress()), files=root)


@pytest.fixture
def run(tmp_path):
    """Give a way to run SQL in the database as its owner would, with nothing locked."""

    def run(*statements):
        with closing(_duckdb.connect(str(tmp_path / "shop.duckdb"))) as owner:
            for sql in statements:
                found = owner.execute(sql).fetchall()
            return found

    return run


class TestDuckdb(RowsSuite):
    tells_indexes = False
    changed = {"decimal(50,20)": "text"}

    @pytest.fixture
    def given(self, ctx, tmp_path):
        """Give a database that stays open: opening is what takes time."""
        with closing(link.connect(tmp_path / "shop.duckdb", "shop.duckdb", lambda: False)) as owner:
            yield Given(DATABASE, ctx, lambda name: spell_item(None, name), owner.execute)


def load(ctx, columns, mode=None, *, item="t", marker="r"):
    found = columns if isinstance(columns, pa.Table) else table(columns)
    with (
        DATABASE.open(ctx) as session,
        session.stage(item, found.schema, mode or Append(), Marker(marker, "w"), ANY) as stage,
    ):
        if stage.done:
            return stage.done
        for batch in found.to_batches():
            stage.write(batch)
        return stage.commit()


def read(ctx, item="t", *, connection=DATABASE, **ask):
    with connection.open(ctx) as session:
        return session.read(Read(item=item, **ask)).read_all()


def test_a_load_makes_the_file_for_its_owner_alone(ctx, tmp_path, run):
    load(ctx, {"v": [1]})
    assert (tmp_path / "shop.duckdb").stat().st_mode & 0o777 == 0o600
    assert run("from t") == [(1,)]


@pytest.mark.parametrize("way", ["leave", "close"])
def test_an_abandoned_load_leaves_no_new_file(ctx, tmp_path, way):
    rows = table({"v": ["x" * 100] * 100_000})
    with DATABASE.open(ctx) as session:
        stage = session.stage("t", rows.schema, Append(), Marker("r", "w"))
        stage.write(rows.to_batches()[0])
        if way == "leave":
            with stage:
                pass
    assert list(tmp_path.iterdir()) == []


def test_missing_file_is_told(ctx, tmp_path):
    with pytest.raises(MissingFile), DATABASE.open(ctx) as session:
        session.test()
    assert list(tmp_path.iterdir()) == []


def test_killed_load_changes_nothing(ctx, tmp_path, run):
    """The process goes with all rows sent; the next attempt of the same run lands once."""
    load(ctx, {"v": [0]}, marker="before")
    code = (
        "import os, signal, sys; sys.path[:0] = ['.', 'src']\n"
        "from pathlib import Path\n"
        "from tests.connectors.test_duckdb import *\n"
        "rows = table({'v': list(range(300_000))})\n"
        "with Root(Path(sys.argv[1])) as root, DATABASE.open(Context(net=Net(Egress()), files=root)) as session:\n"
        "    stage = session.stage('t', rows.schema, Replace(), Marker('r', 'w'), ANY)\n"
        "    stage.write(rows.to_batches()[0])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert run("from t") == [(0,)]
    for repeated in (False, True):
        assert load(ctx, {"v": list(range(300_000))}, Replace()).repeated is repeated
    assert run("select count(*), sum(v) from t") == [(300_000, 300_000 * 299_999 // 2)]


def test_another_process_is_waited_for_and_named(ctx, tmp_path, monkeypatch):
    load(ctx, {"v": [1]})
    code = "import _duckdb, sys; link = _duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read(); link.close()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "shop.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout
    other.stdout.readline()
    monkeypatch.setattr(link, "_WAIT", 0.1)
    with pytest.raises(Failed, match="Another program holds"):
        read(ctx)
    with pytest.raises(Cancelled):
        read(Context(net=ctx.net, files=ctx.files, cancelled=lambda: True))
    monkeypatch.setattr(link, "_WAIT", 30)
    with other:
        other.communicate(b"")
    assert read(ctx).num_rows == 1


def test_several_can_read_what_is_read_only(ctx):
    load(ctx, {"v": [1]})
    with READER.open(ctx) as first, READER.open(ctx) as second:
        assert [each.read(Read(item="t")).read_all().num_rows for each in (first, second)] == [1, 1]
    with pytest.raises(Failed, match="read_only"), READER.open(ctx) as session:
        session.stage("t", pa.schema([("v", pa.int64())]), Append(), Marker("2", "w"))


def test_reading_and_writing_in_one_run(ctx, run):
    load(ctx, {"v": list(range(50_000))}, marker="1")
    with DATABASE.open(ctx) as source, DATABASE.open(ctx) as target:
        rows = source.read(Read(item="t"))
        with target.stage("t", rows.schema, Append(), Marker("2", "w")) as stage:
            for batch in rows:
                stage.write(batch)
            stage.commit()
    assert run("select count(*) from t") == [(100_000,)]


def test_schemas_and_views(ctx, run):
    run('create schema "my.own"', 'create table "my.own"."t.x" (a int)', "create view v as select 1 as one")
    load(ctx, {"a": [1]}, item='"my.own"."t.x"')
    assert read(ctx, '"my.own"."t.x"').to_pydict() == {"a": [1]}
    with DATABASE.open(ctx) as session:
        assert [entry[:2] for entry in session.items()] == [('"my.own"."t.x"', "table"), ("v", "view")]
    with pytest.raises(Failed, match="gone"):
        load(ctx, {"a": [1]}, item="gone.t", marker="2")


@pytest.mark.security
@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("create table t (v int, check (v < 10))", "CHECK constraint failed"),
        ("create table t (v int unique)", "unique"),
        ("create table p (id int primary key); create table t (v int references p)", "foreign key"),
    ],
)
def test_constraint_is_named_without_the_row(ctx, run, made, told):
    run(*made.split(";"))
    for marker, mode in (("1", Append()), ("2", Replace())):
        with pytest.raises(Constraint, match=told) as caught:
            load(ctx, {"v": [987654, 987654]}, mode, marker=marker)
        assert "987654" not in str(caught.value)
    assert run("select count(*) from t") == [(0,)]


def test_not_null_names_the_column(ctx, run):
    run("create table t (v int not null)")
    with pytest.raises(Constraint, match=r"NOT NULL constraint failed: t\.v"):
        load(ctx, {"v": pa.array([1, None])})


def test_replace_keeps_the_table_itself(ctx, run):
    run("create table t (id bigint primary key, w int default 7)", "insert into t values (1, 1)")
    load(ctx, {"id": [1, 2]}, Replace())
    assert run("select id, w from t order by id") == [(1, 7), (2, 7)]


def test_generated_columns_are_computed(ctx, run):
    run("create table t (v int, w int generated always as (v * 2))")
    load(ctx, {"v": [5]})
    assert read(ctx).to_pydict() == {"v": [5], "w": [10]}
    with pytest.raises(Failed, match="generated"):
        load(ctx, {"v": [5], "w": [1]}, marker="2")


def test_merge_finds_a_unique_index(ctx, run):
    run("create table t (a int, b int, v varchar)", "create unique index first on t (a, lower(v))")
    mode = Merge(keys=("b", "a"))
    with pytest.raises(Failed, match="unique index on b, a"):
        load(ctx, {"a": [1], "b": [1], "v": ["x"]}, mode)
    run("create unique index second on t (a, b)")
    for marker, word in (("1", "x"), ("2", "y")):
        load(ctx, {"a": [1], "b": [1], "v": [word]}, mode, marker=marker)
    assert run("from t") == [(1, 1, "y")]


@pytest.mark.parametrize("mode", [Append(), Replace(), Merge(keys=("id",))], ids=lambda mode: mode.type)
def test_no_row_contradicts_no_type(ctx, run, mode):
    run("create table t (id int primary key, p decimal(9,2), z timestamptz, h hugeint, e enum('x'))")
    empty = opened(pa.schema([(name, pa.null()) for name in ("id", "p", "z", "h", "e")]))
    assert load(ctx, pa.Table.from_batches([], empty), mode).rows == 0


@pytest.mark.security
@pytest.mark.req("SEC-E07")
@pytest.mark.parametrize(
    "body",
    [
        "select * from read_text('{secret}')", "select * from read_csv('{secret}')", "select * from glob('/etc/*')",
        "select * from read_blob('{secret}')", "select * from '{secret}'",
    ],
)  # fmt: skip
def test_a_view_reaches_no_file_and_no_network(ctx, run, tmp_path, body):
    """The owner of a file writes its views; whoever reads them lends them his rights."""
    secret = tmp_path / "secret.csv"
    secret.write_text("canary\n1\n")
    made = body.format(secret=secret)
    run(f"create view v as {made}")
    with pytest.raises(SluiceError) as caught:
        read(ctx, "v")
    assert "canary" not in str(caught.value)


@pytest.mark.security
@pytest.mark.req("SEC-E07")
def test_the_engine_is_shut_before_the_file_can_ask(tmp_path):
    with closing(link.connect(tmp_path / "x.duckdb", "x", lambda: False)) as engine:
        for sql in (
            "copy (select 1) to '/tmp/out.csv'", "attach '/tmp/other.duckdb'", "install httpfs", "load httpfs",
            "load '/tmp/evil.duckdb_extension'", "set enable_external_access = true", "reset temp_directory",
            "set lock_configuration = false", "create persistent secret s (type http)", "export database '/tmp/all'",
            "set allow_unsigned_extensions = true", "pragma enable_logging", "from ctx", "set memory_limit = '64GB'",
        ):  # fmt: skip
            with pytest.raises((_duckdb.Error, OSError)):
                engine.execute(sql)
        assert engine.execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]


@pytest.mark.security
def test_macros_of_the_file_do_not_stand_in_for_the_catalogue(ctx, run):
    run(
        "create table t (v int)", "insert into t values (1)",
        "create macro duckdb_columns() as table select 'x' as column_name, 'INTEGER' as data_type, true as is_nullable, "
        "null as column_default, 1 as column_index, 'shop' as database_name, 'main' as schema_name, 't' as table_name",
        "create macro current_setting(x) as true", "create macro version() as 'evil'",
    )  # fmt: skip
    assert read(ctx).to_pydict() == {"v": [1]}
    with DATABASE.open(ctx) as session:
        assert "evil" not in session.test()


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize("suffix", link.COMPANIONS)
def test_companion_files_are_checked_too(ctx, run, tmp_path, suffix):
    run("create table t (v int)")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_bytes(b"untouched")
    (tmp_path / f"shop.duckdb{suffix}").symlink_to(outside)
    for attempt in (lambda: read(ctx), lambda: load(ctx, {"v": [1]})):
        with pytest.raises(Denied):
            attempt()
    assert outside.read_bytes() == b"untouched"


@pytest.mark.security
@pytest.mark.parametrize("path", ["/etc/passwd", "../x.duckdb", "a/../../x.duckdb"])
def test_paths_lead_nowhere_else(ctx, path):
    with pytest.raises(SluiceError):
        read(ctx, connection=Duckdb(name="x", path=path))


@pytest.mark.security
def test_what_is_no_database_is_told(ctx, tmp_path, run):
    (tmp_path / "shop.duckdb").write_bytes(os.urandom(50_000))
    with pytest.raises(Corrupt):
        read(ctx)
    (tmp_path / "shop.duckdb").unlink()
    run("create table t as select range as v from range(100000)")
    whole = bytearray((tmp_path / "shop.duckdb").read_bytes())
    whole[20_000:40_000] = os.urandom(20_000)
    (tmp_path / "shop.duckdb").write_bytes(whole)
    with pytest.raises(SluiceError):
        read(ctx)


def test_column_without_counterpart_is_named_and_can_be_left_out(ctx, run):
    run("create table t (a int, u union(x int, y varchar))", "insert into t values (1, 'z')")
    with pytest.raises(DataError, match="column u"):
        read(ctx)
    assert read(ctx, columns=("a",)).to_pydict() == {"a": [1]}
