from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.kit.columns import Columns
from sluicegate.steps.map import Map

INPUTS = {"in": Columns("s0", {"a": "c0", "b": "c1", "B": "c2"})}


class TestMap(TransformSuite):
    plugin = Map
    whole = {"name": "m", "from": "rows", "columns": {"x": "a + :more", "X": "upper(b)"}, "where": "a > 1"}
    schemas = {"rows": ("a", "b", "c")}


class TestMapOfAllColumns(TransformSuite):
    plugin = Map
    whole = {"name": "m", "from": "rows", "where": "a > 1"}
    schemas = {"rows": ("a", "b")}


def step(**fields: object) -> Map:
    return Map.model_validate({"name": "m", "from": "in", **fields})


def test_columns_and_where_become_one_query():
    found = step(columns={"x": "a + 1", 'we"ird': "upper(b)"}, where="a > :low")
    assert found.query(INPUTS) == 'SELECT ("c0" + 1), (UPPER("c1")) FROM "s0" WHERE ("c0" > $low)'
    assert found.params() == {"low": ("where",)}
    assert found.outputs(INPUTS) == ("x", 'we"ird')


def test_without_columns_all_come_through():
    found = step(where="a = 1")
    assert found.query(INPUTS).startswith('SELECT "c0", "c1", "c2" FROM')
    assert found.outputs(INPUTS) == ("a", "b", "B")


def test_errors_name_step_and_column():
    with pytest.raises(UnknownColumn) as caught:
        step(columns={"x": "nope"}).query(INPUTS)
    assert caught.value.where == "step m, columns.x"


@pytest.mark.security
def test_text_is_checked_before_any_column_is_known():
    with pytest.raises(Invalid) as caught:
        step(where="read_csv('/etc/passwd')").check_text()
    assert caught.value.where == "step m, where"
