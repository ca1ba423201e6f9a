"""Rows from PostgreSQL to PostgreSQL unseen: the same as what the general path brings, or not at all."""

from __future__ import annotations

import itertools

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from sluicegate.base.errors import Cancelled
from sluicegate.conformance.loading import ANY
from sluicegate.connectors.postgres.catalogue import Column
from sluicegate.connectors.postgres.passage import obstacle
from sluicegate.kit.connection import Read
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.rows import Marker
from tests.connectors.warehouse import connection, context, query

pytestmark = pytest.mark.slow

KINDS = {
    "bool": ["true", "false"], "smallint": ["-32768", "7"], "int": ["0", "2147483647"], "bigint": ["-1", "9007199254740993"],
    "numeric(12,2)": ["0.01", "-9999999999.99"], "numeric(50,20)": ["123456789012345678901234567890.12345678901234567890"],
    "numeric": ["1.10", "1e-30"], "real": ["1.5", "-0"], "double precision": ["0.1", "1e300"], "text": ["", 'a,"b\n\\N'],
    "varchar(5)": ["äöü"], "char(4)": ["ab"], "bytea": ["\\x00ff", ""], "date": ["0044-03-15 BC", "2013-01-01"],
    "time": ["23:59:59.999999"], "timestamp": ["2013-01-01 00:00:00.000001"], "timestamptz": ["2013-01-01 10:00+02"],
    "interval": ["1 mon -2 days 03:04:05.000006"], "uuid": ["5e1b2f6e-8f0c-4a57-9d53-1f2f0a1b2c3d"],
    "json": ['{"a" : 1.0}'], "jsonb": ['{"b": 1.50}'], "inet": ["10.0.0.1/8"], "int[]": ["{1,NULL,3}", "{}"],
    "text[]": ['{"",NULL,"a,b"}'], "numeric(12,2)[]": ["{1.50}"],
}  # fmt: skip
GENERAL_TOO = [kind for kind in KINDS if kind != "date"]  # Arrow has no years before Christ


RUNS = itertools.count()


def carry(server, ctx, item, target, mode=None, *, straight, run, **ask):
    with connection(server).open(ctx) as source, connection(server).open(ctx) as sink:
        rows = source.read(Read(item=item, **ask))
        with sink.stage(target, rows.schema, mode or Append(), Marker(run, "w"), ANY) as stage:
            parcels = source.passage(Read(item=item, **ask), stage) if straight else None
            assert (parcels is not None) == straight
            for each in rows if parcels is None else parcels:
                stage.write(each)
            return stage.commit()


def printed(server, table):
    return query(server, f"select count(*), md5(string_agg(t::text, chr(10) order by t::text)) from {table} t")


@pytest.fixture(scope="module")
def shared(postgres, tmp_path_factory):
    from sluicegate.kit.paths import Root

    database = postgres.fresh()
    with Root(tmp_path_factory.mktemp("passage")) as root:
        yield database, context(root, database.password)
    database.drop()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.data())
def test_what_passes_is_what_the_general_path_brings(shared, data):
    server, ctx = shared
    kinds = data.draw(some.lists(some.sampled_from(GENERAL_TOO), min_size=1, max_size=6))
    values = [some.none() | some.sampled_from(KINDS[kind]) for kind in kinds]
    rows = data.draw(some.lists(some.tuples(*values), max_size=8))
    columns = ", ".join(f'"c{place}" {kind}' for place, kind in enumerate(kinds))
    words = [f"drop table if exists {table}" for table in ("s", "straight", "general")] + [
        f"create table s ({columns})"
    ]
    for row in rows:
        told = ", ".join("null" if value is None else "'" + value.replace("'", "''") + "'" for value in row)
        words.append(f"insert into s values ({told})")
    if data.draw(some.booleans()):  # into tables that are there, and not only into new ones
        words += ["create table straight (like s)", "create table general (like s)"]
    with psycopg.connect(server.url) as link:
        link.execute("; ".join(words))
    mode = data.draw(some.sampled_from([Append(), Replace()]))
    run = next(RUNS)
    made = [carry(server, ctx, "s", table, mode, straight=table == "straight", run=f"{table}{run}").rows
            for table in ("straight", "general")]  # fmt: skip
    assert made == [len(rows), len(rows)]
    assert printed(server, "straight") == printed(server, "general") == printed(server, "s")


def test_values_pass_that_the_general_path_must_refuse(server, ctx):
    server.execute("create table s as select '-infinity'::timestamptz a, 'NaN'::numeric b, '0044-03-15 BC'::date c, "
                   "'{{1,2},{3,4}}'::int[] d")  # fmt: skip
    server.execute("create table t (like s)")
    assert carry(server, ctx, "s", "t", straight=True, run="1").rows == 1
    assert printed(server, "t") == printed(server, "s")


@pytest.mark.security
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("numeric(12,4)", "numeric(12,2)"), ("varchar(9)", "varchar(3)"), ("timestamp", "timestamp(0)"), ("money", "money"),
        ("int", "date"), ("bigint", "double precision"), ("json", "jsonb"), ("text", "char(3)"), ("oid", "int"),
        ("regclass", "regclass"), ("text", "bytea"), ("interval", "interval year"),
    ],
)  # fmt: skip
def test_a_column_that_a_target_would_change_or_misread_does_not_pass(server, ctx, source, target):
    server.execute(f"create table s (v {source})")
    server.execute(f"create table t (v {target})")
    with connection(server).open(ctx) as session:
        assert "'v'" in session.obstacle(Read(item="s"), session, "t", Append())
        ours, theirs = (session.columns(name) for name in ("s", "t"))
        assert obstacle(ours, theirs)


@pytest.mark.security
def test_types_of_a_catalogue_of_its_own_do_not_pass(server, ctx):
    server.execute("create type mood as enum ('ok')")
    server.execute("create table s (v mood)")
    server.execute("create table t (v mood)")
    with connection(server).open(ctx) as session:
        assert "no binary form" in session.obstacle(Read(item="s"), session, "t", Append())


def test_what_is_foretold_is_what_happens(server, ctx):
    server.execute("create table s (a int, b varchar(5), c numeric(12,2), d text[], e timestamptz, f jsonb)")
    server.execute("create table other (a bigint)")
    with connection(server).open(ctx) as session:
        assert session.obstacle(Read(item="s"), session, "new", Append()) == ""
        assert session.obstacle(Read(item="s"), object(), "new", Append())
        assert session.obstacle(Read(item="s"), session, "new", Merge(keys=("a",)))
        assert "other columns" in session.obstacle(Read(item="s"), session, "other", Append())
        assert "'a' is integer" in session.obstacle(Read(item="s", columns=("a",)), session, "other", Append())
    assert carry(server, ctx, "s", "new", straight=True, run="1").rows == 0
    with connection(server).open(ctx) as session:
        assert session.columns("gone") is None
        assert session.obstacle(Read(item="s"), session, "new", Replace()) == ""


def test_chosen_columns_pass_in_the_order_they_are_named(server, ctx):
    server.execute("create table s as select n a, n::text b, -n c from generate_series(1, 5) n")
    server.execute("create table t (c int, b text)")
    assert carry(server, ctx, "s", "t", straight=True, run="1", columns=("b", "c")).rows == 5
    assert query(server, "select min(c), max(b) from t") == [(-5, "5")]


@pytest.mark.security
@pytest.mark.parametrize("columns", ["b int, a int", "a int, b int, c int"])
def test_a_source_that_has_changed_since_it_was_looked_at_does_not_pass(server, ctx, columns):
    """Values go by their place: these would land in the wrong columns."""
    server.execute("create table s (a int, b int)")
    with connection(server).open(ctx) as session:
        rows = session.read(Read(item="s"))
        server.execute("drop table s")
        server.execute(f"create table s ({columns})")
        with session.stage("t", rows.schema, Append(), Marker("r", "w")) as stage:
            assert session.passage(Read(item="s"), stage) is None


@pytest.mark.security
def test_a_stage_that_looks_at_keys_takes_no_parcels(server, ctx):
    server.execute("create table s (id int)")
    server.execute("create table t (id int primary key)")
    with connection(server).open(ctx) as session:
        rows = session.read(Read(item="s"))
        with session.stage("t", rows.schema, Merge(keys=("id",)), Marker("r", "w")) as stage:
            assert session.passage(Read(item="s"), stage) is None


def test_nothing_lands_of_a_passage_that_is_cancelled(server, ctx, tmp_path):
    from dataclasses import replace

    server.execute("create table s as select n, repeat('x', 100) t from generate_series(1, 50000) n")
    server.execute("create table t (like s)")
    with connection(server).open(replace(ctx, cancelled=lambda: True)) as session, pytest.raises(Cancelled):
        rows = session.read(Read(item="s"))
        with session.stage("t", rows.schema, Append(), Marker("r", "w")) as stage:
            for each in session.passage(Read(item="s"), stage):
                stage.write(each)
    assert query(server, "select count(*) from t") == [(0,)]


def test_a_domain_is_checked_by_the_target(server, ctx):
    server.execute("create domain small as int check (value < 5)")
    server.execute("create table s (v int)")
    server.execute("create table t (v small)")
    server.execute("insert into s values (7)")
    with pytest.raises(Exception, match="refuses a row"):
        carry(server, ctx, "s", "t", straight=True, run="1")
    assert query(server, "select count(*) from t") == [(0,)]


def test_columns_are_compared_by_base_and_modifier():
    def column(base, mod=-1):
        return Column("v", base, base, None, False, False, "", True, False, mod, "")

    assert obstacle([column("varchar", 9)], [column("text")]) == ""
    assert obstacle([column("numeric", 9)], [column("numeric")]) == ""
    assert obstacle([column("numeric")], [column("numeric", 9)])
    assert obstacle([column("_int4")], [column("_int4")]) == ""
    assert obstacle([column("")], [column("")]), "a type that is not built in"
