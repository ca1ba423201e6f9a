from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Malformed
from sluicegate.web import body

DEEPEST = 64


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@pytest.mark.parametrize(("depth", "taken"), [(DEEPEST, True), (DEEPEST + 1, False)])
@pytest.mark.parametrize(("open_", "shut"), [("[", "]"), ('{"a":', "}")])
def test_the_deepest_body_is_64_levels(depth, taken, open_, shut):
    raw = ('{"a":' + open_ * (depth - 1) + "1" + shut * (depth - 1) + "}").encode()
    if taken:
        assert body.parse(raw)["a"]
    else:
        with pytest.raises(Malformed, match="nested too deeply"):
            body.parse(raw)


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@pytest.mark.parametrize(
    "raw", [b'{"a":1,"a":1}', b'{"b":{"a":1,"a":2}}', b'{"b":[{"a":1},{"a":1,"a":1}]}', b'{"a":1,"\\u0061":2}']
)
def test_a_key_stands_once(raw):
    with pytest.raises(Malformed, match="not JSON"):
        body.parse(raw)


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_counting_levels_takes_time_in_proportion():
    began = time.perf_counter()
    body.nesting(b'{"a":"' + b"[" * (1 << 20) + b'"}')
    assert time.perf_counter() - began < 5


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=9), max_size=5)
)
def test_one_object_is_read_as_it_stands(value):
    assert body.parse(json.dumps(value).encode()) == value
    assert body.parse(json.dumps(value, ensure_ascii=False).encode()) == value
