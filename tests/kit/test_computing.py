"""Expressions of a step: each is checked, bound and told at its place; what they compute keeps its tags."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.kit.columns import Columns
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.steps.aggregate import Aggregate
from sluicegate.steps.map import Map

KNOWN = Columns("t", {"a": "c0", "b": "c1"})


def step(**columns: str) -> Map:
    return Map.model_validate({"name": "m", "from": "rows", "columns": columns})


def test_an_error_says_where_its_expression_stands():
    with pytest.raises(Invalid) as caught:
        step(x="a", y="read_csv('/etc/passwd')").check_text()
    assert (caught.value.path, caught.value.where) == (("columns", "y"), "step m, columns.y")
    with pytest.raises(UnknownColumn) as lost:
        step(x="a + nothing").sql("a + nothing", KNOWN, ("columns", "x"))
    assert str(lost.value.where).startswith("step m, columns.x")


def test_a_parameter_is_known_by_where_it_is_used_first():
    assert step(x="a + :p", y=":q || :p").params() == {"p": ("columns", "x"), "q": ("columns", "y")}


@pytest.mark.security
def test_what_is_computed_keeps_the_tags_of_what_it_reads():
    known = Facts(
        {"a": Fact(frozenset({"personal"}), frozenset(), sure=True), "b": Fact(frozenset(), frozenset(), sure=True)}
    )
    assert step(x="upper(a)").fact("upper(a)", known).tags == {"personal"}
    assert step(x="b").fact("b", known).tags == frozenset()


@pytest.mark.security
def test_aggregate_functions_stand_only_where_a_step_has_them():
    with pytest.raises(Invalid):
        step(x="sum(a)").check_text()
    Aggregate.model_validate({"name": "g", "from": "rows", "columns": {"x": "sum(a)"}}).check_text()
