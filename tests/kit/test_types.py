from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.kit import types

PLAIN = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "text", "bytes",
    "date", "time", "timestamp", "timestamptz", "interval", "uuid", "json",
]  # fmt: skip
NAMES = st.recursive(
    st.sampled_from(PLAIN)
    | st.builds(lambda p, s: f"decimal({p},{min(s, p)})", st.integers(1, 76), st.integers(0, 76)),
    lambda inner: st.builds("list({})".format, inner) | st.builds('struct("x y" {}, "b" {})'.format, inner, inner),
    max_leaves=5,
)


@settings(max_examples=100)
@given(NAMES)
def test_a_type_survives_its_arrow_form(name):
    assert types.to_name(types.to_arrow(name)) == types.check_type(name)


@pytest.mark.parametrize(
    "name", ["", "int", "decimal(0,0)", "decimal(77,0)", "decimal(5,6)", "list()", "struct(a)", "text text"]
)
def test_what_is_no_type_is_refused(name):
    with pytest.raises(ValueError, match="not a type"):
        types.check_type(name)


@pytest.mark.security
def test_deep_types_end_quickly():
    with pytest.raises(ValueError, match="too deeply"):
        types.check_type("list(" * 5000 + "text" + ")" * 5000)


def test_arrow_kinds_with_no_word_of_ours_are_told():
    assert types.to_name(pa.large_string()) == "text"
    assert types.to_name(pa.dictionary(pa.int32(), pa.string())) == "text"
    with pytest.raises(ValueError, match="no type name"):
        types.to_name(pa.union([pa.field("a", pa.int8())], "sparse"))
