from __future__ import annotations

import sqlite3
from decimal import Decimal

import pyarrow as pa
import pytest

from sluicegate.base.errors import Constraint, Corrupt, DataError, Denied, Failed, NoSpace, SluiceError
from sluicegate.conformance.connection import Given
from sluicegate.conformance.loading import ANY
from sluicegate.conformance.rows import RowsSuite
from sluicegate.conformance.samples import table
from sluicegate.connectors.sqlite import Sqlite
from sluicegate.connectors.sqlite.link import connect
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker

DATABASE = Sqlite(name="shop", path="shop.db")


@pytest.fixture
def ctx(tmp_path):
    with Root(tmp_path) as root:
        yield Context(net=Net(Egress()), files=root)


@pytest.fixture
def db(tmp_path):
    link = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    yield link
    link.close()


class TestSqlite(RowsSuite):
    widens = False
    changed = dict.fromkeys(("list(int64)", "list(text)", "list(timestamptz)", 'struct("a" int64, "b" text)'), "json")
    unsorted = frozenset({"decimal(20,4)"})

    @pytest.fixture
    def given(self, ctx, db):
        return Given(DATABASE, ctx, execute=db.execute)


def load(ctx, columns, mode=None, *, item="t", run="r"):
    found = table(columns)
    with (
        DATABASE.open(ctx) as session,
        session.stage(item, found.schema, mode or Append(), Marker(run, "w"), ANY) as stage,
    ):
        for batch in found.to_batches():
            stage.write(batch)
        return stage.commit()


def read(ctx, item="t", **ask):
    with DATABASE.open(ctx) as session:
        return session.read(Read(item=item, **ask)).read_all()


@pytest.mark.parametrize(
    ("declared", "value", "kind", "found"),
    [
        ("bigint", 5, pa.int64(), 5),
        ("varchar(10)", "0012", pa.string(), "0012"),
        ("DECIMAL(10, 2)", "12.30", pa.decimal128(10, 2), Decimal("12.30")),
        ("numeric(5)", 7, pa.decimal128(5, 0), Decimal(7)),
        ("double precision", 1, pa.float64(), 1.0),
        ("boolean", 1, pa.bool_(), True),
        ("", "free", pa.string(), "free"),
        ("", 3, pa.int64(), 3),
        ("numeric", 2.5, pa.float64(), 2.5),
        ("json", '{"a":1}', pa.json_(), '{"a":1}'),
    ],
)
def test_declared_types(ctx, db, declared, value, kind, found):
    db.execute(f"create table t (v {declared})")
    db.execute("insert into t values (?), (null)", (value,))
    assert read(ctx).schema.field("v").type == kind
    assert read(ctx).column("v").to_pylist() == [found, None]


@pytest.mark.parametrize(
    ("declared", "value", "told"),
    [
        ("integer", "abc", "'abc' (text) is stored where int64"),
        ("integer", 1.5, "'1.5' (a real number) is stored where int64"),
        ("text", b"\x00", "(bytes) is stored where text"),
        ("real", "x", "'x' (text) is stored where float64"),
        ("decimal(5,2)", 1.005, "'1.005' does not fit decimal(5,2)"),
        ("date", "yesterday", "'yesterday' (text) is stored where date"),
        ("timestamp", 1700000000, "is stored where timestamp"),
        ("boolean", 2, "'2' (an integer) is stored where bool"),
        ("int_8", 300, "does not fit int8"),
        ("real", (1 << 53) + 1, None),
    ],
)
def test_stored_value_that_does_not_fit_is_named(ctx, db, declared, value, told):
    db.execute(f"create table t (v {declared})")
    db.execute("insert into t values (null), (?)", (value,))
    if told is None:  # REAL affinity has made a float of it already: nothing is left for us to see
        assert read(ctx).column("v").to_pylist() == [None, float(value)]
        return
    with pytest.raises(DataError) as caught:
        read(ctx)
    assert told in str(caught.value)
    assert "column v, row 2" in str(caught.value)


def test_column_of_several_kinds_is_refused(ctx, db):
    db.execute("create table t (v)")
    db.execute("insert into t values (1), ('a')")
    with pytest.raises(DataError, match="integer and text"):
        read(ctx)


def test_text_that_is_not_utf8_is_refused_without_showing_it(ctx, db):
    db.execute("create table t (v text)")
    db.execute("insert into t values (cast(x'ff73656372657400' as text))")
    with pytest.raises(DataError) as caught:
        read(ctx)
    assert "secret" not in str(caught.value)


def test_views_and_reading_from_one_moment(ctx, db):
    db.execute("pragma journal_mode=wal")
    db.execute("create table t (v integer)")
    db.execute(
        "insert into t select value from (with recursive s(value) as (select 1 union all select value + 1 from s "
        "where value < 5000) select value from s)"
    )
    db.execute("create view double as select v, v * 2 as w from t")
    with DATABASE.open(ctx) as session:
        rows = session.read(Read(item="double"))
        first = rows.read_next_batch()
        db.execute("delete from t")
        assert first.num_rows + sum(batch.num_rows for batch in rows) == 5000


def test_nan_is_refused(ctx):
    with pytest.raises(DataError, match="column v, row 2: SQLite cannot store NaN"):
        load(ctx, {"v": [1.0, float("nan")]})


def test_narrow_column_takes_what_fits(ctx, db):
    db.execute("create table t (a int_8, b decimal(5,2), c real)")
    load(ctx, {"a": [5], "b": pa.array([Decimal("1.5")], pa.decimal128(3, 1)), "c": pa.array([1.5], pa.float32())})
    assert read(ctx).to_pylist() == [{"a": 5, "b": Decimal("1.50"), "c": 1.5}]
    with pytest.raises(DataError, match="'300' does not fit int8"):
        load(ctx, {"a": [300], "b": pa.array([None], pa.decimal128(3, 1)), "c": [1.0]}, run="2")


def test_affinity_never_changes_a_value(ctx, db):
    db.execute("create table t (v integer)")
    db.execute("create table d (v decimal(20,10))")
    with pytest.raises(DataError, match="cannot hold text"):
        load(ctx, {"v": ["0012"]})
    with pytest.raises(DataError, match="cannot hold decimal"):
        load(ctx, {"v": pa.array([Decimal("1.0")], pa.decimal128(20, 10))}, item="d")


@pytest.mark.parametrize(
    ("table_sql", "told"),
    [
        ("create table t (v integer check (v < 10))", "CHECK constraint failed: v < 10"),
        ("create table t (v integer unique)", "UNIQUE constraint failed: t.v"),
        ("create table t (v integer, constraint small check (v < 10))", "small"),
        ("create table p (id integer primary key); create table t (v integer references p)", "FOREIGN KEY"),
    ],
)
def test_constraint_is_named_and_the_target_unchanged(ctx, db, table_sql, told):
    db.executescript(table_sql)
    with pytest.raises(Constraint) as caught:
        load(ctx, {"v": [77, 77]})
    assert told in str(caught.value)
    assert ": t:" in str(caught.value)
    assert read(ctx).num_rows == 0


def test_constraint_in_a_merge(ctx, db):
    db.execute("create table t (k integer primary key, v text not null)")
    db.execute("insert into t values (1, 'a')")
    with pytest.raises(Constraint, match=r"NOT NULL constraint failed: t\.v"):
        load(ctx, {"k": [1, 2], "v": ["b", None]}, Merge(keys=("k",)))
    assert read(ctx).to_pylist() == [{"k": 1, "v": "a"}]


def test_merge_finds_a_unique_index(ctx, db):
    db.execute("create table t (a integer, b integer, v text)")
    db.execute("create unique index part on t (a, b) where v is not null")
    with pytest.raises(Failed, match="unique index on b, a"):
        load(ctx, {"a": [1], "b": [1], "v": ["x"]}, Merge(keys=("b", "a")))
    db.execute("create unique index whole on t (a, b)")
    assert load(ctx, {"a": [1], "b": [1], "v": ["x"]}, Merge(keys=("b", "a"))).rows == 1


def test_row_number_and_generated_columns_may_be_left_out(ctx, db):
    db.execute("create table t (id integer primary key, v integer, w integer generated always as (v * 2))")
    load(ctx, {"v": [5]})
    assert read(ctx).to_pylist() == [{"id": 1, "v": 5, "w": 10}]


def test_replace_keeps_indexes_when_the_columns_fit(ctx, db):
    db.execute("create table t (v integer unique)")
    load(ctx, {"v": [1]}, Replace(), run="1")
    with pytest.raises(Constraint):
        load(ctx, {"v": [2, 2]}, Replace(), run="2")
    assert read(ctx).to_pylist() == [{"v": 1}]


def test_locked_database_is_told(ctx, db, monkeypatch):
    monkeypatch.setattr("sluicegate.connectors.sqlite.link._WAIT", 0.1)
    db.execute("begin immediate")
    with pytest.raises(Failed, match="locked"):
        load(ctx, {"v": [1]})


def test_full_disk_is_told_and_changes_nothing(ctx, db, monkeypatch):
    load(ctx, {"v": ["first"]}, run="1")
    big = {"v": ["x" * 10_000] * 2000}
    real = connect

    def small(*args, **kw):
        link = real(*args, **kw)
        link.set_authorizer(None)
        link.execute("pragma max_page_count = 50")
        return link

    monkeypatch.setattr("sluicegate.connectors.sqlite.connect", small)
    with pytest.raises(NoSpace):
        load(ctx, big, run="2")
    monkeypatch.undo()
    assert read(ctx).to_pylist() == [{"v": "first"}]


def test_refused_load_leaves_no_file_behind(ctx, tmp_path):
    with pytest.raises(DataError):
        load(ctx, {"v": [1]}, Merge(keys=("k",)))
    assert list(tmp_path.iterdir()) == []


def test_missing_and_foreign_files_are_told(ctx, tmp_path):
    with pytest.raises(Failed, match="no such database file"):
        read(ctx)
    (tmp_path / "shop.db").write_text("this is not a database, it is only some text of enough length" * 50)
    with pytest.raises(Corrupt):
        read(ctx)


@pytest.mark.security
@pytest.mark.req("SEC-E07")
@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "sql",
    [
        "attach 'other.db' as o", "attach ':memory:' as o", "vacuum into 'other.db'", "select load_extension('x')",
        "pragma writable_schema=on", "pragma trusted_schema=on", "pragma journal_mode=off", "pragma query_only=off",
        "create virtual table v using fts5(a)", "select fts3_tokenizer('x')", "pragma temp_store_directory='/tmp'",
    ],
)  # fmt: skip
def test_side_channels_are_shut(tmp_path, db, sql, write):
    db.execute("create table t (v)")
    link = connect(tmp_path / "shop.db", "shop.db", write=write)
    try:
        with pytest.raises(sqlite3.DatabaseError):
            link.execute(sql)
    finally:
        link.close()
    assert not (tmp_path / "other.db").exists()


@pytest.mark.security
@pytest.mark.req("SEC-E07")
def test_schema_of_the_file_cannot_call_dangerous_functions(ctx, db):
    """A view or trigger in a file from elsewhere is that file's code, not ours."""
    db.execute("create view t as select load_extension('./evil') as v")
    with pytest.raises(SluiceError):
        read(ctx)


@pytest.mark.security
def test_reading_cannot_write(tmp_path, db):
    db.execute("create table t (v)")
    link = connect(tmp_path / "shop.db", "shop.db")
    with pytest.raises(sqlite3.OperationalError, match=r"readonly|query_only"):
        link.execute("insert into t values (1)")
    link.close()


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize(
    "path", ["../shop.db", "/srv/shop.db", "a/../../shop.db", "shop.db?mode=memory", "link.db", "file:x"]
)
def test_path_cannot_lead_out(tmp_path, path):
    inside = tmp_path / "in"
    inside.mkdir()
    outside = tmp_path / "shop.db"
    sqlite3.connect(outside).close()
    (inside / "link.db").symlink_to(outside)
    with Root(inside) as root:
        ctx = Context(net=Net(Egress()), files=root)
        database = Sqlite(name="x", path=path)
        if path in ("shop.db?mode=memory", "file:x"):  # odd, but a name in the folder like any other
            with (
                database.open(ctx) as session,
                session.stage("t", pa.schema([("a", pa.int64())]), Append(), Marker("r", "w")) as stage,
            ):
                stage.commit()
            assert (inside / path).stat().st_size > 0
            return
        with database.open(ctx) as session, pytest.raises(Denied):
            session.test()
        with database.open(ctx) as session, pytest.raises(Denied):
            session.stage("t", pa.schema([("a", pa.int64())]), Append(), Marker("r", "w"))


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_companion_files_are_checked_too(ctx, tmp_path, db, suffix):
    db.execute("create table t (v)")
    (tmp_path / f"shop.db{suffix}").symlink_to(tmp_path.parent / "elsewhere")
    with pytest.raises(Denied):
        load(ctx, {"v": [1]})
    assert not (tmp_path.parent / "elsewhere").exists()


@pytest.mark.security
def test_each_lock_on_reading_holds_alone(tmp_path, db):
    db.execute("create table t (v)")
    link = connect(tmp_path / "shop.db", "shop.db")
    link.set_authorizer(None)
    assert link.execute("pragma query_only").fetchone() == (1,)
    link.execute("pragma query_only=off")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        link.execute("insert into t values (1)")
    link.close()
    with pytest.raises(Failed):
        connect(tmp_path / "missing.db", "missing.db")
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.security
@pytest.mark.req("SEC-E07")
def test_schema_of_the_file_is_not_trusted(ctx, db):
    """With a trusted schema this view could reach into virtual tables and functions that have effects."""
    db.execute("create view t as select name from pragma_table_list")
    with pytest.raises(SluiceError, match="unsafe use"):
        read(ctx)
