from __future__ import annotations

import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Invalid
from sluicegate.kit.mode import Append, Delete, Merge, Replace, Truncate
from sluicegate.kit.target import PLAIN, WORDS, Table, Target, of
from sluicegate.steps.write import Write


@pytest.mark.security
def test_nothing_is_allowed_that_was_not_said():
    for mode in (Replace(), Truncate(), Delete(keys=("id",))):
        assert mode.needs == {mode.type}
        with pytest.raises(Invalid):
            PLAIN.check(mode)
        Target(allow=mode.needs).check(mode)
    for mode in (Append(), Merge(keys=("id",))):
        PLAIN.check(mode)


def test_the_error_says_what_to_add_to_what_is_there():
    with pytest.raises(Invalid) as caught:
        Target(allow=frozenset({"replace"})).require("drop", "the table has no column 'b'")
    assert "the table has no column 'b'" in caught.value.message
    assert caught.value.hint == "Add this to the writing step: allow: [drop, replace]"


def test_a_step_says_it():
    given = {"from": "a", "connection": "c", "item": "t"}
    assert of(Write.model_validate(given)) == PLAIN
    said = of(Write.model_validate(given | {"allow": ["drop"], "table": {"columns": "strict"}}))
    assert said == Target(Table(columns="strict"), frozenset({"drop"}))
    assert said.allow < WORDS
    for wrong in ({"allow": ["everything"]}, {"table": {"columns": "loose"}}, {"table": {"drop": True}}):
        with pytest.raises(ValidationError):
            Write.model_validate(given | wrong)
