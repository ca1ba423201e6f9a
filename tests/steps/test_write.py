from __future__ import annotations

from sluicegate.conformance.step import WritingSuite
from sluicegate.kit.mode import Replace
from sluicegate.steps.write import Write


class TestWrite(WritingSuite):
    plugin = Write
    whole = {"name": "w", "from": "rows", "connection": "c", "item": "t", "mode": {"type": "merge", "keys": ["k"]}}


def test_a_write_takes_the_rows_of_one_step():
    found = Write.model_validate({"from": "a", "connection": "c", "item": "t", "mode": "replace"})
    assert found.inputs == ("a",)
    assert found.mode == Replace()
