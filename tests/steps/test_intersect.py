from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from sluicegate.steps.intersect import Intersect
from tests.fixtures.comparison import PAIRS, ComparisonSuite, table
from tests.fixtures.transform import run


class TestIntersect(ComparisonSuite):
    plugin = Intersect


@settings(max_examples=20)
@given(a=PAIRS, b=PAIRS)
def test_rows_that_both_have_stay(a, b):
    tables = {"a": table(a), "b": table(b).select(["v", "k"])}
    once = run(TestIntersect.step(), **tables)
    assert Counter(tuple(row.values()) for row in once.to_pylist()) == Counter(set(a) & set(b))
    every = run(TestIntersect.step(rows="all"), **tables)
    assert Counter(tuple(row.values()) for row in every.to_pylist()) == Counter(a) & Counter(b)
