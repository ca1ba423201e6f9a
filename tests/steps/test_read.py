from __future__ import annotations

import pytest
from pydantic import ValidationError

from sluicegate.conformance.step import ReadingSuite
from sluicegate.steps.read import Read


class TestRead(ReadingSuite):
    plugin = Read
    whole = {"name": "r", "connection": "c", "item": "x-{day}.csv", "format": {"type": "csv", "nulls": ["NA"]}}


def test_a_bare_word_is_a_format():
    found = Read.model_validate({"name": "a", "connection": "c", "item": "x", "format": "csv"})
    assert found.format is not None
    assert found.format.type == "csv"


@pytest.mark.parametrize("format_", ["zap", 5, {"type": "csv", "bogus": 1}, {"delimiter": ","}])
def test_formats_that_are_none_are_refused(format_):
    with pytest.raises(ValidationError):
        Read.model_validate({"name": "a", "connection": "c", "item": "x", "format": format_})
