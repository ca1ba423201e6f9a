from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.kit.columns import Columns
from sluicegate.steps.join import Join


class TestJoin(TransformSuite):
    plugin = Join
    whole = {"name": "j", "left": "l", "right": "r", "on": ["k"], "how": "full"}
    schemas = {"l": ("k", "a"), "r": ("k", "A")}


def join(**fields: object) -> Join:
    return Join.model_validate({"name": "j", "left": "l", "right": "r", "on": ["k"], **fields})


def inputs(left: tuple[str, ...], right: tuple[str, ...]) -> dict[str, Columns]:
    return {
        "l": Columns("s0", {name: f"c{place}" for place, name in enumerate(left)}),
        "r": Columns("s1", {name: f"c{place}" for place, name in enumerate(right, len(left))}),
    }


INPUTS = inputs(("k", "a"), ("k", "b"))


@pytest.mark.parametrize(
    ("how", "key"), [("inner", '"c0"'), ("left", '"c0"'), ("right", '"c2"'), ("full", 'coalesce("c0", "c2")')]
)
def test_join_columns_come_out_once(how, key):
    found = join(how=how)
    assert found.outputs(INPUTS) == ("k", "a", "b")
    assert found.query(INPUTS) == f'SELECT {key}, "c1", "c3" FROM "s0" {how.upper()} JOIN "s1" ON "c0" = "c2"'


def test_a_lost_join_column_is_told():
    with pytest.raises(UnknownColumn, match="no column 'k'"):
        join().query(inputs(("a",), ("k",)))


def test_a_name_on_both_sides_is_told():
    with pytest.raises(Invalid, match="both inputs have a column 'a'"):
        join().query(inputs(("k", "a"), ("k", "a")))


@pytest.mark.security
@pytest.mark.req("SEC-P01")
def test_names_of_columns_never_reach_the_query():
    evil = 'k") ; drop table x; --'
    assert "drop" not in join(on=[evil]).query(inputs((evil, "V"), (evil, "v")))
