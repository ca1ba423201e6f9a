from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.engine.plan import above, one_writer, plan, steps
from sluicegate.kit.flow import Flow


def flow(*each: dict) -> Flow:
    return Flow.model_validate({"name": "f", "steps": list(each)})


A = {"read": {"name": "a", "connection": "c", "item": "x.csv"}}
B = {"map": {"name": "b", "from": "a"}}


def write(source: str, name: str | None = None) -> dict:
    return {"write": {"from": source, "connection": "c", "item": "y.csv", **({"name": name} if name else {})}}


def test_writes_of_the_same_rows_are_one_segment():
    found = plan(flow(A, B, write("b"), write("b", "second"), write("a")))
    assert [(each.name, each.source, each.writes, each.jails) for each in found] == [
        ("write-3", "b", ("write-3", "second"), True),
        ("write-5", "a", ("write-5",), False),
    ]


def test_a_flow_that_writes_nothing_has_no_segment():
    assert plan(flow()) == ()
    assert plan(flow(A)) == ()


def test_above_gives_sources_first():
    found = flow(A, B, write("b"))
    assert [each.name for each in above(steps(found), "b")] == ["a", "b"]
    with pytest.raises(Invalid, match="no step"):
        above(steps(found), "zap")


def test_two_loads_into_a_single_writer_are_two_segments():
    found = plan(flow(A, write("a"), write("a"), write("a")), frozenset({"c"}))
    assert [each.writes for each in found] == [("write-2",), ("write-3",), ("write-4",)]


def test_single_writers_are_told_by_their_connectors():
    assert one_writer({"s": {"type": "sqlite"}, "f": {"type": "files"}}) == {"s"}
