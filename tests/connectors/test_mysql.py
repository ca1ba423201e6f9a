from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import ClassVar

import pyarrow as pa
import pytest

from sluicegate.base.errors import Constraint, DataError, Failed, Unreachable
from sluicegate.conformance.connection import Given, NetworkSuite
from sluicegate.conformance.loading import ANY
from sluicegate.conformance.rows import RowsSuite
from sluicegate.conformance.samples import table
from sluicegate.connectors.mysql.stage import MysqlStage
from sluicegate.kit.connection import Read
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.rows import Marker
from sluicegate.kit.types import opened
from tests.connectors.store import connection, context, load, read, store, store_ctx
from tests.fixtures.mariadb import mariadb

__all__ = ["mariadb", "store", "store_ctx"]

MODES = pytest.mark.parametrize("mode", [Append(), Replace(), Merge(keys=("id",))], ids=lambda mode: mode.type)


class TestMysql(NetworkSuite, RowsSuite):
    changed: ClassVar = dict.fromkeys(
        ("list(int64)", "list(text)", "list(timestamptz)", 'struct("a" int64, "b" text)'), "json"
    )

    @pytest.fixture
    def given(self, store, store_ctx):
        return Given(connection(store), store_ctx, execute=store.execute)


@pytest.fixture(params=[True, False], ids=["load-data", "insert"])
def way(request, monkeypatch):
    """Both ways of sending rows: a server may have LOAD DATA LOCAL switched off."""
    before = MysqlStage._prepare

    def prepare(self, found):
        self._bulk = request.param
        before(self, found)

    monkeypatch.setattr(MysqlStage, "_prepare", prepare)


@pytest.mark.usefixtures("way")
@MODES
def test_both_ways_send_the_same(store, store_ctx, mode):
    words = ["", "NULL", None, '"', "'", "\\", "\\N", "\\'", "a,b\n(1),", "\x00\x1a", "0x41", "☃𝄞", '","', "'),('"]
    sent = table({"id": list(range(len(words))), "w": words, "b": [None if w is None else w.encode() for w in words]})
    assert load(store, store_ctx, sent, mode).rows == len(words)
    assert read(store, store_ctx).sort_by("id").to_pydict() == sent.to_pydict()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("create table t (id bigint, v int, constraint small check (v < 10))", "check constraint 'small'"),
        ("create table t (id bigint, v int, unique key one (v))", "unique key 'one'"),
        ("create table t (id bigint, v int, constraint f foreign key (v) references p (id))", "foreign key 'f'"),
        ("create table t (id bigint, v int not null, constraint small check (v < 10))", "'small'"),
    ],
)
def test_constraint_is_named_and_the_target_unchanged(store, store_ctx, made, told):
    store.execute("create table p (id int primary key) engine = innodb", f"{made} engine = innodb")
    store.execute("insert into t values (7, null)" if "not null" not in made else "insert into t values (7, 1)")
    for run, mode in (("1", Append()), ("2", Replace())):
        with pytest.raises(Constraint) as caught:
            load(store, store_ctx, {"id": [1, 2], "v": [987654, 987654]}, mode, run=run)
        assert told in str(caught.value)
        assert "987654" not in str(caught.value)
    assert store.execute("select id from t") == [(7,)]


@pytest.mark.security
def test_null_is_never_filled_in(store, store_ctx):
    store.execute(
        "create table t (id int auto_increment primary key, at timestamp not null default current_timestamp, w int)"
    )
    times = pa.array([None], pa.timestamp("us", "UTC"))
    with pytest.raises(Constraint, match="column id"):
        load(store, store_ctx, {"id": pa.array([None], pa.int32()), "w": [1]})
    with pytest.raises(Constraint, match="column at"):
        load(store, store_ctx, {"id": [1], "at": times, "w": [1]}, run="2")
    load(store, store_ctx, {"id": [0], "w": [1]}, run="3")
    assert store.execute("select id, w from t") == [(0, 1)]


def test_replace_keeps_the_table_itself(store, store_ctx):
    store.execute("create table t (v bigint, unique key one (v))", "create view seen as select * from t")
    made = "select create_time from information_schema.tables where table_schema = database() and table_name = 't'"
    load(store, store_ctx, {"v": [1]}, run="1")
    before = store.execute(made)
    load(store, store_ctx, {"v": [1]}, Replace(), run="2")
    assert (store.execute("select * from seen"), store.execute(made)) == ([(1,)], before)
    assert store.execute("show index from t")


def test_replace_with_other_columns_swaps_and_is_not_repeated(store, store_ctx):
    """The marker is in the table's comment at the moment it is seen: a crash right after must not load again."""
    load(store, store_ctx, {"v": [1]}, run="1")
    load(store, store_ctx, {"w": ["x"]}, Replace(), run="2")
    store.execute("delete from _sluicegate_loads where run = '2'")
    again = load(store, store_ctx, {"w": ["x"]}, Replace(), run="2")
    assert (again.repeated, again.rows) == (True, 1)
    assert [row[0] for row in store.execute("show tables")] == ["_sluicegate_loads", "t"]


def test_reading_and_replacing_one_table_in_one_run(store, store_ctx):
    load(store, store_ctx, {"v": list(range(5000))}, run="1")
    with connection(store).open(store_ctx) as source, connection(store).open(store_ctx) as target:
        rows = source.read(Read(item="t"))
        schema = pa.schema([("w", pa.int64())])
        with target.stage("t", schema, Replace(), Marker("2", "w"), ANY) as stage:
            for batch in rows:
                stage.write(batch.rename_columns(["w"]))
            stage.commit()
    assert store.execute("select count(*), sum(w) from t") == [(5000, 5000 * 4999 // 2)]


def test_merge_looks_at_its_own_keys_alone(store, store_ctx):
    """ON DUPLICATE KEY UPDATE would take the other unique index for the key, and change row 1."""
    store.execute("create table t (id bigint primary key, mail varchar(20) unique, v int)")
    store.execute("insert into t values (1, 'a', 10)")
    with pytest.raises(Constraint, match="unique key 'mail'"):
        load(store, store_ctx, {"id": [2], "mail": ["a"], "v": [20]}, Merge(keys=("id",)))
    assert store.execute("select * from t") == [(1, "a", 10)]


@pytest.mark.security
@pytest.mark.parametrize("more", [{}, {"duplicates": "last", "order_by": ("v",)}], ids=["error", "last"])
def test_merge_that_fails_half_way_changes_nothing(store, store_ctx, more):
    """ALTER TABLE ends the transaction that it stands in, of a temporary table, too."""
    store.execute("create table t (id bigint primary key, mail varchar(20) unique, v int)")
    store.execute("insert into t values (1, 'a', 10), (2, 'b', 20)")
    with pytest.raises(Constraint, match="unique key 'mail'"):
        load(store, store_ctx, {"id": [1, 3], "mail": ["c", "b"], "v": [11, 30]}, Merge(keys=("id",), **more))
    assert store.execute("select * from t") == [(1, "a", 10), (2, "b", 20)]
    assert store.execute("select count(*) from _sluicegate_loads") == [(0,)]


def test_merge_needs_a_whole_unique_index(store, store_ctx):
    store.execute("create table t (a int, b int, v varchar(20), unique key (v(3)))", "create index i on t (a)")
    with pytest.raises(Failed, match="unique index on v"):
        load(store, store_ctx, {"a": [1], "b": [1], "v": ["x"]}, Merge(keys=("v",)))
    store.execute("create unique index j on t (a, b)")
    for run, word in (("1", "x"), ("2", "y")):
        load(store, store_ctx, {"a": [1], "b": [1], "v": [word]}, Merge(keys=("b", "a")), run=run)
    assert store.execute("select * from t") == [(1, 1, "y")]


def test_keys_are_told_apart_as_the_table_does(store, store_ctx):
    both = {"k": ["a", "A", "a "], "v": [1, 2, 3]}
    assert load(store, store_ctx, both, Merge(keys=("k",)), item="made").rows == 3
    store.execute(
        "create table t (k varchar(9) character set utf8mb4 collate utf8mb4_general_ci primary key, v bigint)"
    )
    with pytest.raises(DataError, match="same key"):
        load(store, store_ctx, both, Merge(keys=("k",)), run="2")


def test_generated_and_default_columns_may_be_left_out(store, store_ctx):
    store.execute(
        "create table t (id int auto_increment primary key, v int, w int as (v * 2) stored, x int as (v + 1) virtual, "
        "d varchar(9) default 'x')"
    )
    load(store, store_ctx, {"v": [5]})
    assert store.execute("select * from t") == [(1, 5, 10, 6, "x")]
    with pytest.raises(DataError, match="computes this column"):
        load(store, store_ctx, {"v": [5], "w": [1]}, run="2")


@pytest.mark.security
@pytest.mark.parametrize("engine", ["myisam", "aria transactional = 0", "memory"])
def test_tables_that_cannot_roll_back_are_refused(store, store_ctx, engine):
    store.execute(f"create table t (v int) engine = {engine}")
    with pytest.raises(Failed, match="InnoDB"):
        load(store, store_ctx, {"v": [1]})


def test_two_attempts_of_one_run_land_once(store, store_ctx):
    sent, found = table({"v": [1, 2]}), []
    with connection(store).open(store_ctx) as session:
        stage = session.stage("t", sent.schema, Append(), Marker("r", "w"))
        other = threading.Thread(target=lambda: found.append(load(store, store_ctx, sent)))
        other.start()
        stage.write(sent.to_batches()[0])
        other.join(0.3)
        assert found == []
        stage.commit()
        other.join(10)
    assert [receipt.repeated for receipt in found] == [True]
    assert store.execute("select count(*) from t") == [(2,)]


@pytest.mark.parametrize("exists", [True, False])
def test_connection_that_breaks_is_told_and_lands_nothing(store, store_ctx, exists):
    if exists:
        load(store, store_ctx, {"v": [0]}, run="0")
    sent = table({"v": list(range(1000))})
    with connection(store).open(store_ctx) as session:
        stage = session.stage("t", sent.schema, Append(), Marker("r", "w"))
        stage.write(sent.to_batches()[0])
        store.execute(f"kill {session._links[0].thread_id()}")
        with pytest.raises(Unreachable):
            stage.commit()
    with connection(store).open(store_ctx) as session:
        assert [entry.name for entry in session.items()] == ["t"] * exists
    assert load(store, store_ctx, sent).rows == 1000
    assert store.execute("select count(*) from t") == [(1000 + exists,)]


@pytest.mark.parametrize("mode", [Append(), Replace(), Merge(keys=("v",))], ids=lambda mode: mode.type)
@pytest.mark.parametrize("exists", [True, False])
def test_killed_load_changes_nothing(store, store_ctx, tmp_path, mode, exists):
    if exists:
        load(store, store_ctx, {"v": [-1]}, Merge(keys=("v",)), run="before")
    code = (
        "import os, signal, sys; sys.path[:0] = ['.', 'src']\n"
        "from pathlib import Path\n"
        "from tests.connectors.store import *\n"
        "from sluicegate.kit.mode import Merge, Replace\n"
        "from tests.fixtures.mariadb import MariadbServer\n"
        f"server = MariadbServer({store.host!r}, {store.port}, {store.user!r}, sys.argv[2], {store.dbname!r}, '')\n"
        "rows = table({'v': list(range(1000))})\n"
        "with Root(Path(sys.argv[1])) as root, connection(server).open(context(root, server.password)) as session:\n"
        f"    stage = session.stage('t', rows.schema, {type(mode).__name__}(**{mode.model_dump()!r}), Marker('r', 'w'), ANY)\n"
        "    stage.write(rows.to_batches()[0])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), store.password], check=False)
    assert done.returncode == -signal.SIGKILL
    with connection(store).open(store_ctx) as session:
        assert [entry.name for entry in session.items()] == ["t"] * exists
    if exists:
        assert store.execute("select v from t") == [(-1,)]
    for repeated in (False, True):
        assert load(store, store_ctx, {"v": list(range(1000))}, mode).repeated is repeated
    extra = exists and mode.type != "replace"
    assert store.execute("select count(*) from t") == [(1000 + extra,)]
    assert [row[0] for row in store.execute("show tables")] == ["_sluicegate_loads", "t"]


def test_reading_sees_one_moment(store, store_ctx):
    load(store, store_ctx, {"v": ["x" * 100] * 20_000})
    with connection(store).open(store_ctx) as session:
        rows = session.read(Read(item="t"))
        first = rows.read_next_batch()
        store.execute("delete from t")
        assert first.num_rows + sum(batch.num_rows for batch in rows) == 20_000


@MODES
def test_no_row_contradicts_no_type(store, store_ctx, mode):
    store.execute("create table t (id int primary key, p decimal(9,2), at timestamp(6) null, e enum('x'), b bit(3))")
    empty = opened(pa.schema([(name, pa.null()) for name in ("id", "p", "at", "e", "b")]))
    assert load(store, store_ctx, pa.Table.from_batches([], empty), mode).rows == 0


def test_rights_are_told(store, store_ctx):
    store.execute("create table t (v bigint)", "create user visitor@'127.0.0.1' identified by 'pw-visitor'")
    store.execute(f"grant select on {store.dbname}.* to visitor@'127.0.0.1'")
    visitor = store.as_user("visitor", "pw-visitor")
    try:
        with pytest.raises(Failed, match="no right"):
            load(visitor, context(store_ctx.files, "pw-visitor"), {"v": [1]})
    finally:
        store.execute("drop user visitor@'127.0.0.1'")
