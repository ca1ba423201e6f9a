from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError
from sluicegate.conformance.format import CompressedSuite
from sluicegate.formats.json import Json
from sluicegate.kit.format import Decoding


class TestJson(CompressedSuite):
    item = "x.json"
    json_is_reformed = True

    def make(self, **options):
        return Json(**options)


def decode(data, **how):
    data = data.encode() if isinstance(data, str) else data
    return Json().decode(io.BytesIO(data), Decoding(item="f.json", **how)).read_all()


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ("[]", []), (" [ ] \n", []), ('{"a":1}', [{"a": 1}]), ('[{"a":1}]', [{"a": 1}]),
        ('\n[\n{"a":1}\n,\n{"a":2}\n]\n', [{"a": 1}, {"a": 2}]),
        ('[{"a":"]"},{"a":"}\\""}]', [{"a": "]"}, {"a": '}"'}]),
        ('[{"a":{"b":["x",{"c":"}"}]}}]', [{"a": '{"b":["x",{"c":"}"}]}'}]),
    ],
)  # fmt: skip
def test_documents(data, rows):
    assert decode(data).to_pylist() == rows
    assert decode(b"\xef\xbb\xbf" + data.encode()).to_pylist() == rows


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "not an array"), ("5", "not an array"), ('"x"', "not an array"), ("[", "ends early"),
        ('[{"a":1}', "ends early"),
        ('[{"a":1},', "ends early"), ('[{"a":"', "ends early"), ('[{"a":1}]x', "more after the end"),
        ('[{"a":1}{"a":2}]', "comma is missing"),
        ('[{"a":1},]', "missing|ends early"), ("[,]", "missing|ends early"),
        ('\n\n[{"a":1} 5]', "line 3: Not JSON: a comma"), ("[}]", "not JSON"),
    ],
)  # fmt: skip
def test_documents_that_are_none(data, told):
    with pytest.raises(DataError, match=told):
        decode(data)


def test_elements_that_are_no_rows_are_rejected_with_their_line():
    found = []
    data = '[{"a":1},\n5,\n"x",\n[1,[2]],\nnull,\n{"a":1,"a":2},\n{"a":"x"},\n{"b":1},\n{"a":2}]'
    assert decode(data, on_reject=found.append, columns={"a": "int64"}).to_pylist() == [{"a": 1}, {"a": 2}]
    assert [each.line for each in found] == [2, 3, 4, 5, 6, 7, 8]
    assert found[4].reason == "not taken: a key is repeated in one object"
    assert (found[5].column, found[6].column) == ("a", "b")


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(st.sampled_from('a"\\{}[],: \n☃'), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab}", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.fixed_dictionaries({"v": _VALUE}), max_size=4), st.integers(1, 30), st.sampled_from([None, 1]))
def test_reads_what_the_standard_library_writes(rows, size, indent):
    import json

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluicegate.formats.json.BATCH_BYTES", size)
        found = decode(json.dumps(rows, indent=indent), columns={"v": "json"})
    assert [None if value is None else json.loads(value) for value in found.column("v").to_pylist()] == [
        row["v"] for row in rows
    ]


@pytest.mark.security
@pytest.mark.req("SEC-P09")
def test_depth_is_bounded():
    found = []
    deep = "[" * 100_000 + "]" * 100_000
    assert decode(f'[{{"a":{deep}}},{{"a":1}}]', on_reject=found.append).to_pylist() == [{"a": 1}]
    assert "nested more than 64 deep" in found[0].reason


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_endless_element_is_stopped():
    with pytest.raises(DataError, match="too long"):
        decode(b'[{"a":"' + b"x" * (20 << 20) + b'"}]')
