from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from sluicegate.kit.rules import Rule, read_span


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"column": "n", "between": [0, 5], "not_null": True}, "n must have a value and must be between 0 and 5"),
        ({"column": "t", "matches": "a+"}, "t must match a+"),
        ({"column": "t", "in": ["a"]}, "t must be one of the values listed"),
        ({"columns": ["a", "b"], "unique": True}, "a, b must be unique"),
        ({"column": "c", "reference": {"from": "countries", "columns": ["code"]}}, "c must exist in countries"),
        ({"expression": "a > 0"}, "must hold: a > 0"),
    ],
)
def test_a_rule_says_what_a_row_has_done_wrong(rule, reason):
    assert Rule.model_validate(rule).reason() == reason


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"column": "n"}, "a rule needs not_null, between"),
        ({"not_null": True}, "a rule needs 'column'"),
        ({"column": "a", "columns": ["b"], "unique": True}, "a rule needs 'column'"),
        ({"columns": ["a", "b"], "not_null": True}, "a rule needs 'column'"),
        ({"column": "a", "unique": True, "not_null": True}, "'unique' is a rule of its own"),
        ({"column": "a", "expression": "a > 1"}, "is about no one column"),
        ({"column": "a", "row_count": {"min": 1}}, "is about no one column"),
        ({"row_count": {}}, "needs min or max"),
        ({"row_count": {"min": 2, "max": 1}}, "max is less than min"),
        ({"column": "a", "fresh_within": "soon"}, "must be a length of time"),
        ({"column": "a", "fresh_within": "0 days"}, "must be a length of time"),
        ({"columns": ["a", "b"], "reference": {"from": "x", "columns": ["c"]}}, "another number of columns"),
        ({"column": "a", "matches": "("}, "not a regular expression"),
    ],
)
def test_a_rule_that_makes_no_sense_is_told(rule, says):
    with pytest.raises(ValidationError, match=says):
        Rule.model_validate(rule)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90 minutes", 5400), ("1 hour", 3600), ("2 days", 172_800), ("1 week", 604_800)]
)
def test_lengths_of_time(text, seconds):
    assert read_span(text) == timedelta(seconds=seconds)
