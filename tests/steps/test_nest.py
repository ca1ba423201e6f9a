from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.nest import Nest
from tests.fixtures.transform import run


class TestNest(TransformSuite):
    plugin = Nest
    whole = {
        "name": "n",
        "from": "rows",
        "by": ["k"],
        "into": "items",
        "fields": {"A": "a", 'odd"name': "b"},
        "order_by": [{"column": "c", "descending": True}],
    }
    schemas = {"rows": ("k", "a", "b", "c")}


def nest(**fields: object) -> Nest:
    whole = {"name": "n", "from": "rows", "by": ["k"], "into": "items", "fields": {"q": "q"}, **fields}
    return Nest.model_validate(whole)


ROWS = pa.table(
    {
        "k": [1, 1, None],
        "q": pa.array([Decimal("1.50"), None, Decimal("12345678901234567890.25")], pa.decimal128(38, 2)),
    }
)


def test_a_list_for_each_group_in_the_order_of_arrival():
    found = run(nest(), rows=ROWS)
    assert found.to_pylist() == [
        {"k": 1, "items": [{"q": Decimal("1.50")}, {"q": None}]},
        {"k": None, "items": [{"q": Decimal("12345678901234567890.25")}]},
    ]
    assert found.schema.field("items").type.value_type == pa.struct([("q", pa.decimal128(38, 2))])


def test_an_order_can_be_said():
    rows = pa.table({"k": [1, 1, 1], "q": [2, 3, 1]})
    found = run(nest(order_by=[{"column": "q", "descending": True}]), rows=rows)
    assert found["items"].to_pylist() == [[{"q": 3}, {"q": 2}, {"q": 1}]]


def test_json_keeps_every_digit():
    found = run(nest(**{"as": "json"}), rows=ROWS)
    assert found.schema.field("items").type == pa.json_()
    told = [json.loads(text, parse_float=Decimal) for text in found["items"].to_pylist()]
    assert told == [[{"q": Decimal("1.5")}, {"q": None}], [{"q": Decimal("12345678901234567890.25")}]]


@pytest.mark.parametrize(
    "fields", [{"into": "k"}, {"by": ["k", "k"]}, {"fields": {"a": "q", "A": "q"}}, {"fields": {}}, {"by": []}]
)
def test_what_cannot_be_is_refused(fields):
    with pytest.raises(ValidationError):
        nest(**fields)


@pytest.mark.parametrize(
    ("fields", "where"),
    [({"by": ["x"]}, "by"), ({"fields": {"a": "x"}}, "fields"), ({"order_by": ["x"]}, "order_by")],
)
def test_a_lost_column_is_told(fields, where):
    with pytest.raises(UnknownColumn, match="no column 'x'") as caught:
        run(nest(**fields), rows=ROWS)
    assert caught.value.where == f"step n, {where}"
