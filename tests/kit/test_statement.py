"""No query reads anything but its inputs. Each hostile text is one way to try."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.kit import statement
from sluicegate.kit.columns import Columns

INPUTS = {"a": Columns("s0", {"k": "c0", "v": "c1"}), "b": Columns("s1", {"k": "c2", "n": "c3"})}


def write(text: str) -> str:
    found = statement.parse(text)
    found.check_tables([*INPUTS])
    return found.sql(INPUTS)


HOSTILE = [
    # files, functions and catalogues in place of a table
    "select k from read_csv('/etc/passwd')", "select k from '/etc/passwd'", 'select k from "x.parquet"',
    "select content as c from read_text('/etc/passwd')", "select k from glob('*')", "select k from range(10)",
    "select k from generate_series(1, 10)", "select k from unnest([1])", "select k from query('select 1')",
    "select k from query_table('a')", "select k from duckdb_settings()", "select k from duckdb_views",
    "select k from duckdb_tables", "select k from sqlite_master", "select k from pragma_database_list",
    "select k from information_schema.tables", "select k from main.a", "select k from memory.main.a",
    "select k from system.main.duckdb_tables", "select k from pg_catalog.pg_class", "select k from s0",
    "select k from t0", "select k from a, duckdb_views", "select k from a join duckdb_views on true",
    "select k from a where k in (select view_oid from duckdb_views)",
    "select (select max(view_name) from duckdb_views) as k from a",
    "select k from a union select view_oid from duckdb_views",
    # a name that is made later, or elsewhere, is not there yet
    "with c as (select k from duckdb_views), duckdb_views as (select k from a) select k from c",
    "with duckdb_views as (select k from duckdb_views) select k from duckdb_views",
    "select k from (with duckdb_views as (select k from a) select k from duckdb_views) t, duckdb_views",
    "with recursive t as (select k from a union all select k from t) select k from t",
    "with a as (select 1 as k) select k from a", "with x as (select k from a), X as (select k from b) select k from x",
    # statements
    "", "select", "drop table a", "select k from a; drop table a", "select k from a; select k from a",
    "copy a to 'x'", "attach 'x'", "install httpfs", "load httpfs", "pragma show_tables", "set threads = 4",
    "call pragma_version()", "create table x as select k from a", "insert into a values (1)", "update a set k = 1",
    "delete from a", "explain select k from a", "describe a", "summarize a", "show tables", "export database 'x'",
    "from a", "table a", "values (1)", "pivot a on k", "select k into x from a", "checkpoint", "vacuum",
    # functions
    "select getenv('HOME') as k from a", "select current_setting('x') as k from a", "select nextval('s') as k from a",
    "select error('x') as k from a", "select random() as k from a", "select now() as k from a", "select uuid() as k from a",
    "select unnest([1]) as k from a", "select list_transform([1], x -> x) as k from a", "select columns('k') as k from a",
    "select sniff_csv('x') as k from a", "select read_text(v) as k from a", "select v.getenv() as k from a",
    "select repeat('x', 1000000000) as k from a", "select histogram(k) as k from a", 'select cast(v as "x y") as k from a',
    # whatever else a SELECT can hold
    "select * from a", "select a.* from a", "select * exclude (k) from a", "select count(a.*) as n from a, b",
    "select k + 1 from a", "select k, k from a", "select k from a natural join b", "select k from a positional join b",
    "select k from a asof join b on a.k >= b.k", "select k from a, lateral (select 1 as x) t", "select k from a tablesample 1",
    "select k from a using sample 1", "select k from a for update", "select k from a group by grouping sets ((k))",
    "select k from a group by cube (k)", "select k from a union all by name select k from b",
    "select distinct on (k) k from a", "select sum(k) over w as s from a window w as (order by k)",
    "select k from a where k = ?", "select k from a where k = $1", "select k from a limit 10%",
    "select x.k as k from a x join b", "select x.k as k from a x left join b y", "select x from a t(x)",
    "select t.x as x, v from a as t(x)", "select k from a at (version => 1)", "select x.k from a x(k, v) pivot (sum(v) for k in (1))",
]  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_on_the_list_is_refused(text):
    with pytest.raises(SluiceError) as caught:
        write(text)
    assert caught.value.message


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@pytest.mark.parametrize(
    "text", ["(" * 200 + "select k from a" + ")" * 200, "select k from a where " + "k = 1 or " * 3000 + "true", "x" * 20_000,
             "select k from (" * 150 + "select k from a" + ") t" * 150]
)  # fmt: skip
def test_what_is_too_large_is_refused_quickly(text):
    began = time.monotonic()
    with pytest.raises(Invalid):
        write(text)
    assert time.monotonic() - began < 5


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@settings(max_examples=60, deadline=None)
@given(st.text("select from a b k v n ()'\",;*.-/ with as join on where :x 1 \n", max_size=80))
def test_any_text_is_one_query_or_an_error(text):
    try:
        found = write(text)
    except SluiceError:
        return
    assert found.startswith("SELECT")


def test_inputs_come_first_with_the_columns_that_are_named():
    assert (
        write("select v from a")
        == 'SELECT "o0" FROM (WITH "a"("v") AS (SELECT "c1" FROM "s0") SELECT "v" FROM "a") AS "q"("o0")'
    )


@pytest.mark.parametrize(
    "text",
    [
        "select sum(k) over (partition by v) as s from a", "select rank() over (partition by k, v order by k) as r from a",
        "select sum(k) over (order by k rows (1) preceding) as s from a", "select k from a limit (1)",
    ],
)  # fmt: skip
def test_a_word_before_a_bracket_is_no_function(text):
    assert write(text)


def test_a_query_over_no_input_is_one():
    assert write("select 1 as x") == 'SELECT "o0" FROM (SELECT 1 AS "x") AS "q"("o0")'


@pytest.mark.security
def test_no_comment_is_written_out():
    assert "/*" not in write("select k /* one */ from a -- two")


def test_an_input_that_is_read_twice_is_held():
    assert '"a"("k") AS MATERIALIZED (' in write("select x.k from a x join a y on x.k = y.k")
    assert '"a"("k") AS MATERIALIZED (' in write(
        "with t as (select k from a) select x.k from t x join t y on x.k = y.k"
    )


def test_what_it_needs_is_told():
    found = statement.parse("select a.K as x, :least as y from a where n > :least and v is null")
    assert (found.outputs, found.params) == (("x", "y"), ("least",))
    assert found.columns == {"k", "n", "v"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("select k + 1 from a", "the column 1 has no name"),
        ("select k, n as k from a, b", "two columns are called 'k'"),
        ("select k frm a", "not an SQL query|no input|no column"),
        ("select nope from a", "there is no column 'nope'"),
        ("select k from c", "there is no input 'c'"),
        ("select k from range(5)", "a function in place of a table"),
        ("select k from (with t as (select k from a) select k from t) u", "'with' inside of a query"),
    ],
)
def test_misuse_is_told(text, says):
    with pytest.raises(SluiceError, match=says):
        write(text)
