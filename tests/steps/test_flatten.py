from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.steps.flatten import Flatten
from sluicegate.steps.nest import Nest
from tests.fixtures.transform import run


class TestFlatten(TransformSuite):
    plugin = Flatten
    whole = {
        "name": "f",
        "from": "rows",
        "column": "items",
        "into": "item",
        "position": "n",
        "empty": "keep",
        "fields": {"sku": "item['sku'] || k", "half": "item['n'] / :by"},
    }
    schemas = {"rows": ("k", "items", "v")}


class TestFlattenJson(TransformSuite):
    plugin = Flatten
    whole = {"name": "f", "from": "rows", "column": "items", "as": "json"}
    schemas = {"rows": ("k", "items")}


def flatten(**fields: object) -> Flatten:
    return Flatten.model_validate({"name": "f", "from": "rows", "column": "items", **fields})


LISTS = pa.table({"k": [1, 2, 3], "items": pa.array([[{"s": "a", "q": Decimal("1.50")}, None], [], None])})
JSON = pa.table({"k": [1, 2, 3, 4], "items": pa.array(['[{"s":"a","q":1.50},null]', "[]", None, "null"], pa.json_())})
TAKEN = {
    "list": {"s": "items['s']", "q": "items['q']"},
    "json": {"s": "items->>'$.s'", "q": "cast(items->>'$.q' as decimal(3,2))"},
}


@pytest.mark.parametrize(("kind", "rows"), [("list", LISTS), ("json", JSON)])
def test_a_row_for_each_element(kind, rows):
    made = {"as": kind, "fields": TAKEN[kind], "position": "n"}
    elements = [{"k": 1, "n": 1, "s": "a", "q": Decimal("1.50")}, {"k": 1, "n": 2, "s": None, "q": None}]
    found = run(flatten(**made), rows=rows)
    assert found.to_pylist() == elements
    assert found.schema.field("q").type == pa.decimal128(3, 2)
    kept = run(flatten(**made, empty="keep"), rows=rows).to_pylist()
    assert kept == elements + [{"k": k, "n": None, "s": None, "q": None} for k in rows["k"].to_pylist()[1:]]


def test_an_element_comes_out_as_it_is():
    rows = pa.table({"items": [[1, None], [2]], "k": ["a", "b"]})
    assert run(flatten(into="item"), rows=rows).to_pylist() == [
        {"k": "a", "item": 1}, {"k": "a", "item": None}, {"k": "b", "item": 2},
    ]  # fmt: skip


@settings(max_examples=20)
@given(rows=st.lists(st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 9)), min_size=1, max_size=4), max_size=5))
def test_nest_puts_together_what_flatten_took_apart(rows):
    kind = pa.list_(pa.struct([("s", pa.string()), ("n", pa.int64())]))
    lists = [[{"s": s, "n": n} for s, n in row] for row in rows]
    table = pa.table({"k": pa.array(range(len(rows)), pa.int64()), "items": pa.array(lists, kind)})
    back = {"name": "n", "from": "f", "by": ["k"], "into": "items", "fields": {"s": "s", "n": "n"}, "order_by": ["p"]}
    taken = flatten(position="p", fields={"s": "items['s']", "n": "items['n']"})
    found = run(taken, Nest.model_validate(back), rows=table)
    assert sorted(found.to_pylist(), key=lambda row: row["k"]) == table.to_pylist()


@pytest.mark.parametrize(
    ("fields", "rows", "says"),
    [
        ({}, JSON, "'items' is json, not a list Say: as: json"),
        ({"as": "json"}, LISTS, r"'items' is list\(.*\), not a json Say: as: list"),
        ({"as": "json"}, pa.table({"items": ["[1]"]}), "'items' is text, not a json Cast it"),
        ({"into": "k"}, LISTS, "two columns would be called 'k'"),
        ({"into": "k", "fields": {"x": "k"}}, LISTS, "'rows' has another column 'k'"),
        ({"position": "k"}, LISTS, "two columns would be called 'k'"),
        ({"fields": {"x": "unnest(items)"}}, LISTS, "is not allowed"),
    ],
)
def test_misuse_is_told(fields, rows, says):
    with pytest.raises(Invalid, match=says) as caught:
        run(flatten(**fields), rows=rows)
    assert caught.value.where.startswith("step f")


def test_a_lost_column_is_told():
    with pytest.raises(UnknownColumn) as caught:
        run(flatten(column="Items"), rows=LISTS)
    assert caught.value.where == "step f, column"


def test_json_that_is_no_array_is_an_error_that_shows_it():
    rows = pa.table({"items": pa.array(['{"a": 1}'], pa.json_())})
    with pytest.raises(DataError, match=r"no array: the column 'items' = '\{\"a\": 1\}'"):
        run(flatten(**{"as": "json"}), rows=rows)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_fields_have_the_tags_of_the_list():
    known = {"rows": Facts.listed([("items", Fact(frozenset({"health"}), sure=True))])}
    found = flatten(into="it", position="n", fields={"x": "it['x']"}).trace(known)
    assert found.get("x").tags == found.get("n").tags == {"health"}
