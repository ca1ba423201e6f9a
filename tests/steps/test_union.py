from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import Invalid
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.map import Map
from sluicegate.steps.union import Union
from tests.fixtures.transform import run


class TestUnion(TransformSuite):
    plugin = Union
    whole = {"name": "u", "from": ["a", "b"], "missing": "null"}
    schemas = {"a": ("k", "v"), "b": ("v", "w", "k")}

    def test_a_lost_column_is_told_with_its_step(self) -> None:
        made = self.make(missing="error")
        with pytest.raises(Invalid) as caught:
            made.query(self.inputs(self.schemas))
        assert caught.value.where == "step u"


def union(*inputs: str, **more: object) -> Union:
    return Union.model_validate({"name": "u", "from": inputs or ("a", "b"), **more})


PAIRS = st.lists(st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, "x"])), max_size=6)


def table(rows, names=("k", "v")):
    return pa.table([pa.array([k for k, _ in rows], pa.int64()), pa.array([v for _, v in rows], pa.string())], names)


@settings(max_examples=20)
@given(a=PAIRS, b=PAIRS, c=PAIRS)
def test_rows_of_all_inputs(a, b, c):
    tables = {"a": table(a), "b": table(b).select(["v", "k"]), "c": table(c)}
    every = run(union("a", "b", "c"), **tables)
    assert every.schema.names == ["k", "v"]
    assert Counter(tuple(row.values()) for row in every.to_pylist()) == Counter(a + b + c)
    once = run(union("a", "b", "c", rows="distinct"), **tables)
    assert Counter(tuple(row.values()) for row in once.to_pylist()) == Counter({*a, *b, *c})


def test_what_an_input_lacks_is_null_when_it_may_be():
    a, b = pa.table({"k": [1], "v": ["x"]}), pa.table({"w": pa.array([Decimal("1.50")]), "k": [2]})
    with pytest.raises(Invalid, match="'a' has no column 'w', which another input has"):
        run(union(), a=a, b=b)
    found = run(union(missing="null"), a=a, b=b)
    assert found.to_pylist() == [{"k": 1, "v": "x", "w": None}, {"k": 2, "v": None, "w": Decimal("1.50")}]
    assert found.schema.field("w").type == pa.decimal128(3, 2)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (pa.int64(), pa.string(), "int64 in 'a' and text in 'b'"),
        (pa.int32(), pa.float32(), "int32 in 'a' and float32 in 'b'"),
        (pa.decimal128(38, 2), pa.decimal128(10, 4), r"decimal\(38,2\) in 'a' and decimal\(10,4\) in 'b'"),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), "timestamp in 'a' and timestamptz in 'b'"),
        (pa.uuid(), pa.string(), "uuid in 'a' and text in 'b'"),
        (pa.json_(), pa.string(), "json in 'a' and text in 'b'"),
    ],
)
def test_types_that_do_not_meet_are_told_before_any_row(one, other, told):
    a, b = (pa.table([pa.array([], pa.int8()), pa.array([], kind)], ["n", "x"]) for kind in (one, other))
    with pytest.raises(Invalid, match=f"the column 'x' is {told}") as caught:
        run(union(), a=a, b=b)
    assert (caught.value.where, caught.value.hint[:4]) == ("step u", "Cast")


def test_types_that_meet_are_widened_without_loss():
    a = pa.table({"n": pa.array([-1], pa.int16()), "d": pa.array([1], pa.int32())})
    b = pa.table({"n": pa.array([2**32 - 1], pa.uint32()), "d": pa.array([Decimal("0.5")], pa.decimal128(2, 1))})
    found = run(union(), a=a, b=b)
    assert found.to_pydict() == {"n": [-1, 2**32 - 1], "d": [Decimal("1.0"), Decimal("0.5")]}
    assert found.schema.types == [pa.int64(), pa.decimal128(11, 1)]


def test_types_of_what_a_step_makes_are_known_too():
    made = Map.model_validate({"name": "m", "from": "b", "columns": {"x": "cast(x as text)"}})
    with pytest.raises(Invalid, match="'x' is int64 in 'a' and text in 'm'"):
        run(made, union("a", "m"), a=pa.table({"x": [1]}), b=pa.table({"x": [1]}))


@pytest.mark.parametrize("inputs", [("a",), ("a", "b", "a")])
def test_inputs_are_several_and_differ(inputs):
    with pytest.raises(ValidationError):
        union(*inputs)
