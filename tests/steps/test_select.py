from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.steps.select import Select
from tests.fixtures.transform import run


class TestSelect(TransformSuite):
    plugin = Select
    whole = {"name": "s", "from": "rows", "drop": ["a"], "rename": {"x": "b"}, "set": {"c": "a + :more", "y": "b || d"}}
    schemas = {"rows": ("a", "b", "c", "d")}


def select(**fields: object) -> Select:
    return Select.model_validate({"name": "s", "from": "rows", **fields})


ROWS = pa.table({"id": [1, 2], "ID": [10, 20], "name": ["a", "b"]})


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({}, {"id": 1, "ID": 10, "name": "a"}),
        ({"keep": ["name", "id"]}, {"name": "a", "id": 1}),
        ({"drop": ["ID"]}, {"id": 1, "name": "a"}),
        ({"rename": {"key": "id", "id": "ID"}}, {"key": 1, "id": 10, "name": "a"}),
        ({"set": {"name": "upper(name)", "n": 'id + "ID"'}}, {"id": 1, "ID": 10, "name": "A", "n": 11}),
        ({"drop": ["name"], "rename": {"x": "id"}, "set": {"x": "id * 2", "y": "name"}}, {"x": 2, "ID": 10, "y": "a"}),
        ({"set": {"source": "'shop'", "n": ":n"}}, {"id": 1, "ID": 10, "name": "a", "source": "shop", "n": 5}),
    ],
)
def test_what_is_not_said_stays(fields, row):
    made = select(**fields)
    found = run(made, params={"n": 5}, rows=ROWS)
    assert found.to_pylist()[0] == row
    assert found.schema.names == list(row)


@pytest.mark.parametrize(
    ("fields", "kind", "says", "where"),
    [
        ({"drop": ["nope"]}, UnknownColumn, "no column 'nope'", "step s, drop"),
        ({"keep": ["Name"]}, UnknownColumn, "no column 'Name'", "step s, keep"),
        ({"rename": {"x": "nope"}}, UnknownColumn, "no column 'nope'", "step s, rename"),
        ({"set": {"x": "nope"}}, UnknownColumn, "no column 'nope'", "step s, set.x"),
        ({"set": {"x": "read_csv('y')"}}, Invalid, "'.*' is not allowed", "step s, set.x"),
        ({"rename": {"name": "id"}}, Invalid, "two columns would be called 'name'", "step s, rename"),
        ({"drop": ["id"], "rename": {"x": "id"}}, Invalid, "left out and renamed", "step s, rename"),
        ({"drop": ["id", "ID", "name"]}, Invalid, "no column is left", "step s"),
    ],
)
def test_misuse_is_told(fields, kind, says, where):
    with pytest.raises(kind, match=says) as caught:
        run(select(**fields), rows=ROWS)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "fields", [{"keep": ["a"], "drop": ["b"]}, {"keep": ["a", "a"]}, {"rename": {"x": "a", "y": "a"}}, {"keep": []}]
)
def test_contradictions_are_refused(fields):
    with pytest.raises(ValidationError):
        select(**fields)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_a_tag_goes_with_a_new_name_and_leaves_with_its_column():
    known = {"rows": Facts.listed([("email", Fact(frozenset({"personal"}), sure=True)), ("id", Fact(sure=True))])}
    renamed = select(rename={"contact": "email"}).trace(known)
    assert [name for name, _ in renamed.tagged()] == ["contact"]
    assert list(select(drop=["email"]).trace(known).tagged()) == []
    assert list(select(keep=["id"]).trace(known).tagged()) == []
    replaced = select(set={"email": "lower(email)"}).trace(known)
    assert dict(replaced.tagged())["email"].tags == {"personal"}
    # Another column can differ from the dropped one in case only; a run that finds it finds its tags, too.
    assert select(drop=["email"]).trace(known).get("EMAIL").tags == {"personal"}
