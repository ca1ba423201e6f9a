from __future__ import annotations

import threading
from typing import ClassVar

import pyarrow as pa
import pytest

from sluicegate.base.errors import Constraint, DataError, Failed, Unreachable
from sluicegate.conformance.connection import Given, NetworkSuite
from sluicegate.conformance.rows import RowsSuite
from sluicegate.conformance.samples import table
from sluicegate.kit.connection import Read
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.rows import Marker
from sluicegate.kit.tables import spell_item
from sluicegate.kit.types import opened
from tests.connectors.warehouse import connection, context, load, query, read


class TestPostgres(NetworkSuite, RowsSuite):
    changed: ClassVar = {
        "int8": "int16", "uint8": "int16", "uint16": "int32", "uint32": "int64", "uint64": "decimal(20,0)",
        'struct("a" int64, "b" text)': "json",
    }  # fmt: skip

    @pytest.fixture
    def given(self, server, ctx):
        return Given(connection(server), ctx, lambda name: spell_item(None, name), server.execute)


def test_reading_sees_one_moment(server, ctx):
    server.execute("create table t as select v, repeat('x', 100) as w from generate_series(1, 50000) v")
    with connection(server).open(ctx) as session:
        rows = session.read(Read(item="t"))
        first = rows.read_next_batch()
        server.execute("delete from t")
        assert first.num_rows + sum(batch.num_rows for batch in rows) == 50_000


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("create table t (v int constraint small check (v < 10))", "check constraint 'small' of table 't'"),
        ("create table t (v int constraint one unique)", "unique constraint 'one' of table 't'"),
        ("create table t (v int, w int default 0, constraint w_set check (v < 10 or w > 0))", "'w_set'"),
        ("create table t (v int references p)", "foreign key constraint 't_v_fkey'"),
        ("create table t (v int not null check (v < 10))", "'t_v_check'"),
    ],
)
def test_constraint_is_named_and_the_target_unchanged(server, ctx, made, told):
    server.execute("create table p (id int primary key)")
    server.execute(made)
    for run, mode in (("1", Append()), ("2", Replace())):
        with pytest.raises(Constraint) as caught:
            load(server, ctx, {"v": [987654, 987654]}, mode, run=run)
        assert told in str(caught.value)
        assert "987654" not in str(caught.value)
    assert query(server, "select count(*) from t") == [(0,)]


def test_not_null_names_the_column(server, ctx):
    server.execute("create table t (v int not null)")
    with pytest.raises(Constraint, match=r"NOT NULL.*'t'") as caught:
        load(server, ctx, {"v": pa.array([1, None], pa.int64())})
    assert "column v" in str(caught.value)


def test_replace_keeps_the_table_itself(server, ctx):
    server.execute("create table t (v bigint constraint one unique)")
    server.execute("create view seen as select * from t")
    load(server, ctx, {"v": [1]}, run="1")
    oid = query(server, "select 't'::regclass::oid")
    load(server, ctx, {"v": [2]}, Replace(), run="2")
    assert query(server, "select * from seen") == [(2,)]
    assert query(server, "select 't'::regclass::oid") == oid
    with pytest.raises(Failed, match="depend"):
        load(server, ctx, {"w": [2]}, Replace(), run="3")
    assert query(server, "select * from seen") == [(2,)]


def test_replace_of_a_table_that_others_refer_to(server, ctx):
    server.execute("create table p (id bigint primary key)")
    server.execute("insert into p values (1)")
    server.execute("create table c (id bigint references p deferrable initially deferred)")
    server.execute("insert into c values (1)")
    load(server, ctx, {"id": [1, 2]}, Replace(), item="p")
    assert query(server, "select count(*) from p") == [(2,)]


def test_merge_finds_a_unique_index(server, ctx):
    server.execute("create table t (a int, b int, v text)")
    server.execute("create unique index on t (a, b) where v is not null")
    server.execute("create unique index on t (a, lower(v))")
    mode = Merge(keys=("b", "a"))
    with pytest.raises(Failed, match="unique index on b, a"):
        load(server, ctx, {"a": [1], "b": [1], "v": ["x"]}, mode)
    server.execute("create unique index on t (a, b) include (v)")
    assert load(server, ctx, {"a": [1], "b": [1], "v": ["x"]}, mode).rows == 1


def test_schemas_are_respected(server, ctx):
    server.execute('create schema "my.own"')
    load(server, ctx, {"a": [1]}, item='"my.own"."t.x"')
    assert read(server, ctx, '"my.own"."t.x"').to_pydict() == {"a": [1]}
    with connection(server).open(ctx) as session:
        assert [entry.name for entry in session.items()] == ['"my.own"."t.x"']
    with pytest.raises(Failed, match="no such schema"):
        load(server, ctx, {"a": [1]}, item="gone.t")


def test_identity_default_and_generated_columns_may_be_left_out(server, ctx):
    server.execute(
        "create table t (id int generated always as identity, v int, w int generated always as (v * 2) stored, "
        "d text default 'x')"
    )
    load(server, ctx, {"v": [5]})
    assert query(server, "select * from t") == [(1, 5, 10, "x")]
    with pytest.raises(DataError, match="computes this column"):
        load(server, ctx, {"v": [5], "w": [1]}, run="2")


def test_rights_are_told(server, ctx):
    server.execute("create table t (v bigint)")
    server.execute("create role visitor login password 'pw-visitor'")
    visitor = server.as_user("visitor", "pw-visitor")
    try:
        mine = context(ctx.files, "pw-visitor")
        for attempt in (lambda: read(visitor, mine), lambda: load(visitor, mine, {"v": [1]})):
            with pytest.raises(Failed, match="no right"):
                attempt()
    finally:
        server.execute("drop role visitor")


def test_connection_that_breaks_is_told_and_lands_nothing(server, ctx):
    sent = table({"v": list(range(1000))})
    with connection(server).open(ctx) as session:
        stage = session.stage("t", sent.schema, Append(), Marker("r", "w"))
        stage.write(sent.to_batches()[0])
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluicegate'")
        with pytest.raises(Unreachable):
            stage.commit()
    assert query(server, "select to_regclass('t')") == [(None,)]
    assert load(server, ctx, sent).rows == 1000


def test_two_attempts_of_one_run_land_once(server, ctx):
    sent = table({"v": [1, 2]})
    found = []
    with connection(server).open(ctx) as session:
        stage = session.stage("t", sent.schema, Append(), Marker("r", "w"))
        other = threading.Thread(target=lambda: found.append(load(server, ctx, sent)))
        other.start()
        stage.write(sent.to_batches()[0])
        other.join(0.3)
        assert found == []
        stage.commit()
        other.join(10)
    assert [receipt.repeated for receipt in found] == [True]
    assert query(server, "select count(*) from t") == [(2,)]


@pytest.mark.parametrize("mode", [Append(), Replace(), Merge(keys=("id",))], ids=lambda mode: mode.type)
def test_no_row_contradicts_no_type(server, ctx, mode):
    server.execute("create table t (id int primary key, p numeric(9,2), at timestamptz, tags text[], ip inet)")
    server.execute("insert into t values (1, 2.5, now(), '{x}', '::1')")
    empty = opened(pa.schema([(name, pa.null()) for name in ("id", "p", "at", "tags", "ip")]))
    assert load(server, ctx, pa.Table.from_batches([], empty), mode).rows == 0
    assert query(server, "select count(*) from t") == [(0 if mode.type == "replace" else 1,)]
    assert query(server, "select pg_typeof(p)::text from t limit 1") in ([], [("numeric",)])


def test_a_merge_into_a_partitioned_table_does_not_guess_what_was_new(server, ctx):
    server.execute("create table t (id bigint primary key, v text) partition by range (id)")
    server.execute("create table low partition of t for values from (0) to (10)")
    server.execute("create table high (v text, id bigint not null)")
    server.execute("alter table t attach partition high for values from (10) to (20)")
    load(server, ctx, {"id": [1, 11], "v": ["a", "b"]}, Merge(keys=("id",)), run="1")
    done = load(server, ctx, {"id": [1, 2, 11, 12], "v": ["A", "c", "B", "d"]}, Merge(keys=("id",)), run="2")
    assert (done.rows, done.inserted, done.updated) == (4, None, None)
    assert sorted(query(server, "select id, v from t")) == [(1, "A"), (2, "c"), (11, "B"), (12, "d")]
