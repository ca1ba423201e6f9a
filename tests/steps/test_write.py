from __future__ import annotations

from sluicegate.kit.mode import Replace
from sluicegate.steps.write import Write


def test_a_write_takes_the_rows_of_one_step():
    found = Write.model_validate({"from": "a", "connection": "c", "item": "t", "mode": "replace"})
    assert found.inputs == ("a",)
    assert found.mode == Replace()
