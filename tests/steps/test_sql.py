from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.steps.sql import Sql
from tests.fixtures.transform import run


class TestSql(TransformSuite):
    plugin = Sql
    whole = {
        "name": "q",
        "from": ["orders", "no-names"],
        "query": """
            with large as (select o.k, max(v) as most from orders o where v > :least group by o.k)
            select l.k, n.name, most, row_number() over (order by most desc) as place
            from large l left join "no-names" n using (k)
            union all
            select k, upper(name), 0, count(*) from "no-names" group by k, name
        """,
    }
    schemas = {"orders": ("k", "v"), "no-names": ("k", "name")}


def sql(query: str, *inputs: str) -> Sql:
    return Sql.model_validate({"name": "q", "from": inputs or ("a", "b"), "query": query})


A = pa.table({"k": [1, 2, 2, None], "v": ["w", "x", "y", "z"]})
B = pa.table({"k": [1, 2], "n": [10, 20]})


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select a.k, sum(b.n) as s from a join b on a.k = b.k group by a.k order by a.k", [(1, 10), (2, 40)]),
        ("select x.k, y.v from a x join a y using (k) where x.v = 'w'", [(1, "w")]),
        ("with t as (select k, v from a) select t.v, u.v as w from t join t u on t.k = u.k where t.v < u.v", [("x", "y")]),
        ("select v from a where k in (select k from b where n > :least)", [("x",), ("y",)]),
        ("select v from a where not exists (select 1 from b where b.k = a.k)", [("z",)]),
        ("select K as \"K\", (select count(*) from b) as c from A where v = 'w'", [(1, 2)]),
        ("select v from a qualify row_number() over (partition by k order by v desc) = 1 order by v", [("w",), ("y",), ("z",)]),
        ("select s from (select v || '!' as s, k from a) t where k = 1", [("w!",)]),
        ("select k from a except select k from b", [(None,)]),
        ("select distinct k from b order by k desc limit 1", [(2,)]),
    ],
)  # fmt: skip
def test_one_select_over_the_inputs(query, rows):
    found = run(sql(query), params={"least": 15}, a=A, b=B)
    assert [tuple(row.values()) for row in found.to_pylist()] == rows


def test_names_that_sql_cannot_tell_apart_are_told():
    rows = pa.table({"id": [1], "ID": [2], "x": [3]})
    assert run(sql("select x from a", "a"), a=rows).to_pylist() == [{"x": 3}]
    with pytest.raises(Invalid, match="'a' has two columns 'ID' that differ in case only") as caught:
        run(sql("select id from a", "a"), a=rows)
    assert caught.value.where == "step q, query"


def test_a_lost_column_is_told():
    with pytest.raises(UnknownColumn, match="there is no column 'zap'") as caught:
        run(sql("select zap from a", "a"), a=A)
    assert (caught.value.where, caught.value.hint) == ("step q, query", "There are: k, v.")


def test_a_query_that_is_not_allowed_is_told_with_its_field():
    with pytest.raises(Invalid) as caught:
        sql("select v from read_csv('x')").check_text()
    assert (caught.value.where, caught.value.path) == ("step q, query", ("query",))


def test_inputs_differ():
    with pytest.raises(ValidationError):
        sql("select v from a", "a", "a")


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize(
    "query",
    [
        "select v as x from a", "select count(v) as x from a", "select 1 as x from a order by v",
        "select 1 as x from a where v = 'y'", "with t as (select V as w from a) select w as x from t",
        "select (select max(v) from a) as x from b", "select x from (select v as x, k from a) t",
        "select b.n as x from b join a on a.v = 'w'", "select n as x from b union select v from a",
    ],
)  # fmt: skip
def test_no_query_washes_a_tag_off(query):
    known = {
        "a": Facts.listed([("v", Fact(frozenset({"personal"}), sure=True))]),
        "b": Facts.listed([("n", Fact(sure=True))]),
    }
    assert sql(query).trace(known).get("x").tags == {"personal"}


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_a_column_that_is_not_named_is_not_there():
    """A whole row is a value in DuckDB: it holds what the text names, and nothing of the others."""
    with pytest.raises(UnknownColumn):
        run(sql("select a from a where k = 1", "a"), a=A)
    named = pa.table({"k": [1], "v": ["w"], "a": [5]})
    assert run(sql("select a from a where k = 1", "a"), a=named).to_pylist() == [{"a": 5}]
