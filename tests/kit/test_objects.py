from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.conformance.samples import VALUES, column
from sluicegate.kit import objects
from sluicegate.kit.text import Unfit, wrap
from sluicegate.kit.types import to_arrow

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, database=None)
@given(_JSON, st.sampled_from([None, 2]), st.booleans())
def test_parses_what_the_standard_library_writes(value, indent, ascii_only):
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert objects.parse(written) == json.loads(written, parse_float=Decimal) or objects.parse(written) == value
    assert objects.parse(objects.dump(objects.parse(written))) == objects.parse(written)


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(_JSON, max_size=4))
def test_many_at_once_are_as_one_by_one(values):
    texts = [json.dumps(value).encode() for value in values]
    found = objects.parse_all(texts)
    assert found is None or found == [objects.parse(each) for each in texts]


def test_numbers_are_exact():
    found = objects.parse(b'{"a":12345678901234567.89,"b":18446744073709551617,"c":0.1,"d":1e400}')
    assert found["a"] == Decimal("12345678901234567.89")
    assert found["b"] == 18446744073709551617
    assert found["d"] == Decimal("1e400")
    assert objects.dump(found) == b'{"a":12345678901234567.89,"b":18446744073709551617,"c":0.1,"d":1E+400}'
    assert objects.parse_all([b'{"a":12345678901234567.89}']) is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None], "int64"), ([1, 2.5], "float64"), ([True], "bool"), (["2013-01-01", None], "text"), ([None], "text"),
        ([Decimal(18446744073709551616)], "decimal(38,0)"), ([Decimal("12345678901234567.89")], "json"),
        ([1, "a"], "json"),
        ([{"a": 1}], "json"), ([[1]], "json"), ([True, 1], "json"), ([Decimal("1e400")], "json"),
        ([0.1, Decimal("0.10000000000000001")], "float64"),
    ],
)  # fmt: skip
def test_proposals_change_nothing(values, kind):
    assert objects.propose(values) == kind
    objects.column(values, to_arrow(kind))


@pytest.mark.parametrize("kind", VALUES)
def test_columns_there_and_back(kind):
    sent = column(kind)
    written = [objects.dump(each) for each in objects.encoder(sent.type)(sent)]
    found = objects.column([objects.parse(each) for each in written], sent.type)
    if kind == "json":
        assert [each and objects.parse(each.encode()) for each in found.to_pylist()] == [
            each and objects.parse(each.encode()) for each in sent.to_pylist()
        ]
    else:
        assert found.equals(sent)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int64", "1"), ("int64", 1.5), ("int64", True), ("int8", 128), ("uint8", -1), ("bool", 1), ("bool", "true"),
        ("float64", "1"), ("float64", Decimal("12345678901234567.89")), ("float64", 9007199254740993),
        ("float32", 0.1 + 1e-12),
        ("text", 5), ("text", {}), ("date", "2013-02-30"), ("timestamp", "2013-01-01T00:00:00Z"),
        ("timestamptz", "2013-01-01T00:00:00"),
        ("time", "25:00"), ("uuid", "x"), ("bytes", "00"), ("interval", "P"), ("decimal(5,2)", 1.005),
        ("decimal(5,2)", [1]),
        ("list(int64)", {"a": 1}), ("list(int64)", [1, "x"]), ("struct(a int64)", {"b": 1}), ("struct(a int64)", [1]),
        ("int64", Decimal("1E+999999999")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(kind, value):
    with pytest.raises(Unfit) as caught:
        objects.column([None, value], to_arrow(kind))
    assert caught.value.row == 1
    assert set(objects.faults([None, value], to_arrow(kind))) == {1}


def test_whole_floats_are_whole_numbers():
    assert objects.column([1.0, 2], to_arrow("int64")).to_pylist() == [1, 2]


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}', b'{"a" :1,"a":2}', b'{"a":1,"\\u0061":2}', b'[{"b":{"a":1,"a":2}}]', b'{"a"\n:1,"a"\t:2}',
        b'{"x":"\\":","a":1,"a":2}', b'{"a":{"b":":"},"a":":"}',
    ],
)  # fmt: skip
def test_repeated_keys_are_refused(data):
    with pytest.raises(ValueError, match="repeated"):
        objects.parse(data)
    assert objects.parse_all([b'{"ok":1}', data]) is None


@pytest.mark.security
@pytest.mark.req("SEC-P09")
def test_depth_is_bounded():
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        inside = "" if opening == "[" else "1"
        assert objects.parse((opening * 64 + inside + closing * 64).encode()) is not None
        with pytest.raises(ValueError, match="64 deep"):
            objects.parse((opening * 65 + inside + closing * 65).encode())
        with pytest.raises(ValueError, match=r"64 deep|not JSON"):
            objects.parse((opening * 1_000_000).encode())
    assert objects.parse(b'["' + b"[" * 100 + b'\\""]') == ["[" * 100 + '"']
    assert objects.parse(json.dumps([[]] * 200).encode()) == [[]] * 200


@pytest.mark.security
@pytest.mark.req("SEC-P09")
@pytest.mark.parametrize(
    "data", [b"NaN", b"[Infinity]", b"1e999999999", b"-1E-999999999", b"9" * 100_000, b"0." + b"1" * 100_000, b'"\xff"', b"",
     b"{",
     b"[1,]"]
)  # fmt: skip
def test_hostile_numbers_and_texts_cost_little(data):
    start = time.perf_counter()
    try:
        found = objects.parse(data)
    except ValueError:
        pass
    else:
        assert len(objects.dump(found)) <= len(data) + 10
        for kind in ("int64", "float64", "decimal(38,10)", "uint64"):
            objects.faults([found], to_arrow(kind))
    assert time.perf_counter() - start < 10  # written out in full, one of them takes the memory and the day


_INNER = {
    "int64": st.integers(-(1 << 63), (1 << 63) - 1), "text": st.text(max_size=4),
    "decimal(9,2)": st.sampled_from([1, 2.5, 0.1, 1e5, 1.005, 99999999.0]), "bool": st.booleans(),
    "json": st.recursive(st.none() | st.integers(0, 9) | st.text(max_size=2),
                           lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    "uuid": st.uuids().map(str),
}  # fmt: skip


@st.composite
def _nested(draw):
    """Draw a type and a few values for it, some of which do not fit."""
    name = draw(st.sampled_from(sorted(_INNER)))
    value = st.none() | _INNER[name]
    form = draw(st.sampled_from(["{}", "list({})", "struct(a {}, b int64)", "list(struct(a {}, b int64))"]))
    if "struct" in form:
        keys = {"a": value, "b": st.none() | st.integers(0, 9)}
        odd = {"c": st.just(1)} if draw(st.integers(0, 5)) == 0 else {}
        value = st.none() | st.fixed_dictionaries({}, optional=keys | odd)
    if "list" in form:
        value = st.none() | st.lists(value, max_size=3)
    return form.format(name), draw(st.lists(value, max_size=6))


@settings(max_examples=100, deadline=None, database=None)
@given(_nested())
def test_a_column_built_at_once_is_the_one_built_value_by_value(drawn):
    name, values = drawn
    kind, wanted, fault = to_arrow(name), None, None
    try:
        wanted = wrap([objects.shape(value, kind) for value in values], kind)
    except ValueError as found:
        fault = found
    if fault is None:
        made = objects.column(values, kind)
        made.validate(full=True)
        assert made.type == kind
        assert made.equals(wanted)
    else:
        with pytest.raises(Unfit):
            objects.column(values, kind)


@pytest.mark.security
@pytest.mark.parametrize(
    "text",
    [b'{"a":{"b":1,"b":2}}', b'{"a":[{"b":1,"b":"\\":\\":"}]}', b'{"a":{"b":"\\u0022:","b":1}}', b'{"a":{"b" :1,"b":2}}'],
)  # fmt: skip
def test_no_repeated_key_of_a_nested_object_is_lost_among_many_texts(text):
    fine = [b'{"x":{"y":"says \\":\\""}}'] * 3
    assert objects.parse_all([*fine, text]) is None
    assert objects.parse_all(fine) == [{"x": {"y": 'says ":"'}}] * 3


@pytest.mark.parametrize("names", [["a", "b"], ["a"], ["a", "a"], []])
def test_only_objects_of_exactly_these_keys_are_taken_apart_at_once(names):
    found = objects.taken([{"b": 1, "a": 2}, {"a": None, "b": 4}], names)
    assert found == ([(2, None), (1, 4)] if names == ["a", "b"] else None)
    for odd in (None, {"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}, [1, 2]):
        assert objects.taken([{"a": 1, "b": 2}, odd], names) is None
