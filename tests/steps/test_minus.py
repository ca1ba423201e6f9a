from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from sluicegate.steps.minus import Minus
from tests.fixtures.comparison import PAIRS, ComparisonSuite, table
from tests.fixtures.transform import run


class TestMinus(ComparisonSuite):
    plugin = Minus


@settings(max_examples=20)
@given(a=PAIRS, b=PAIRS)
def test_rows_that_the_right_has_are_gone(a, b):
    tables = {"a": table(a), "b": table(b).select(["v", "k"])}
    once = run(TestMinus.step(), **tables)
    assert Counter(tuple(row.values()) for row in once.to_pylist()) == Counter(set(a) - set(b))
    every = run(TestMinus.step(rows="all"), **tables)
    assert Counter(tuple(row.values()) for row in every.to_pylist()) == Counter(a) - Counter(b)
