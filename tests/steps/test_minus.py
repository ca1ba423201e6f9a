from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.minus import Minus
from tests.fixtures.transform import run


class TestMinus(TransformSuite):
    plugin = Minus
    whole = {"name": "m", "left": "a", "right": "b"}
    schemas = {"a": ("k", "v"), "b": ("v", "k")}

    def test_names_of_columns_never_reach_the_query(self) -> None:
        """Both sides have the same columns: the suite's own would be on one alone."""
        evil = 'x"; drop table victim; --'
        text = self.make().query(self.inputs({"a": (evil, "É"), "b": ("É", evil)}))
        assert "drop" not in text
        assert "É" not in text

    def test_a_lost_column_is_told_with_its_step(self) -> None:
        with pytest.raises(Invalid) as caught:
            self.make().query(self.inputs({"a": ("k",), "b": ("zap",)}))
        assert caught.value.where == "step m"


def minus(**more: object) -> Minus:
    return Minus.model_validate({"name": "m", "left": "a", "right": "b", **more})


PAIRS = st.lists(st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, "x"])), max_size=8)


def table(rows):
    return pa.table({"k": pa.array([k for k, _ in rows], pa.int64()), "v": pa.array([v for _, v in rows], pa.string())})


@settings(max_examples=20)
@given(a=PAIRS, b=PAIRS)
def test_rows_that_the_right_has_are_gone(a, b):
    tables = {"a": table(a), "b": table(b).select(["v", "k"])}
    once = run(minus(), **tables)
    assert Counter(tuple(row.values()) for row in once.to_pylist()) == Counter(set(a) - set(b))
    every = run(minus(rows="all"), **tables)
    assert Counter(tuple(row.values()) for row in every.to_pylist()) == Counter(a) - Counter(b)


def test_misuse_is_told():
    one, other = pa.table({"k": [1], "v": ["x"]}), pa.table({"k": ["1"], "v": ["x"]})
    with pytest.raises(Invalid, match="the column 'k' is int64 in 'a' and text in 'b'"):
        run(minus(), a=one, b=other)
    with pytest.raises(Invalid, match="'b' has no column 'v', which 'a' has"):
        run(minus(), a=one, b=other.select(["k"]))
    with pytest.raises(Invalid, match="two different inputs"):
        minus(right="a").check_text()
