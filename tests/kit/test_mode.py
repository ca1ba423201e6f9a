from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from sluicegate.kit.mode import Append, Merge, Mode

MODE = TypeAdapter(Mode)


def test_a_bare_word_is_a_mode():
    assert MODE.validate_python("append") == Append()
    assert MODE.validate_python({"type": "merge", "keys": ["id"]}) == Merge(keys=("id",))


@pytest.mark.parametrize(
    "value",
    ["merge", "upsert", {"type": "merge", "keys": []}, {"type": "merge", "keys": ["a"], "duplicates": "last"},
     {"type": "merge", "keys": ["a"], "order_by": ["b"]}, {"type": "append", "keys": ["a"]}],
)  # fmt: skip
def test_modes_that_make_no_sense_are_refused(value):
    with pytest.raises(ValidationError):
        MODE.validate_python(value)
