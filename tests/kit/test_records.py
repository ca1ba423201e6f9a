from __future__ import annotations

import pytest

from sluicegate.base.errors import DataError
from sluicegate.kit import records
from sluicegate.kit.format import Decoding
from sluicegate.kit.types import to_name


def decode(texts, columns=None, **how):
    found = (records.Found(line, text.encode()) for line, text in enumerate(texts, 1))
    return records.decode(records.gather(found), columns, Decoding(item="f", **how)).read_all()


def test_columns_come_in_order_of_appearance():
    found = decode(['{"b":1}', '{"a":"x","b":2}', '{"c":{"d":1}}'])
    assert [(field.name, to_name(field.type)) for field in found.schema] == [
        ("b", "int64"),
        ("a", "text"),
        ("c", "json"),
    ]
    assert found.to_pylist()[2] == {"b": None, "a": None, "c": '{"d":1}'}


def test_declared_types_win_and_others_are_proposed():
    found = decode(['{"a":1,"b":1}'], {"a": "decimal(9,2)"})
    assert [to_name(kind) for kind in found.schema.types] == ["decimal(9,2)", "int64"]


def test_snapshot_says_all_the_columns():
    bad = []
    found = decode(['{"a":1,"b":1}', '{"a":2}'], columns=None, on_reject=bad.append)
    assert found.schema.names == ["a", "b"]
    found = records.decode(
        iter([records.Texts([1, 2, 3], [b'{"a":1,"b":1}', b'{"a":2}', b'{"a":3,"z":1}'])]),
        {"a": "int8"},
        Decoding(columns={"a": "int64"}, on_reject=bad.append),
    ).read_all()
    assert found.to_pylist() == [{"a": 2}]
    assert to_name(found.schema.field("a").type) == "int8"
    assert [(each.line, each.column, each.reason) for each in bad] == [
        (1, "b", "the key 'b' is not a column"),
        (3, "z", "the key 'z' is not a column"),
    ]


def test_key_that_comes_later_is_rejected_not_dropped(monkeypatch):
    monkeypatch.setattr(records, "_SAMPLE", 1)
    monkeypatch.setattr(records, "_MAX_ROWS", 2)
    bad = []
    found = decode(
        ['{"a":1,"b":1}', '{"b":2,"a":2}', '{"a":3,"c":3}', '{"b":4}', '{"a":"x","b":5}'], on_reject=bad.append
    )
    assert found.to_pylist() == [{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": None, "b": 4}]
    assert [(each.line, each.column, each.raw) for each in bad] == [
        (3, "c", '{"a":3,"c":3}'),
        (5, "a", '{"a":"x","b":5}'),
    ]


def test_first_reject_stops():
    with pytest.raises(DataError, match=r"line 2, column a: '1\.5' is not a whole number"):
        decode(['{"a":1}', '{"a":1.5}'], columns={"a": "int64"})


@pytest.mark.security
@pytest.mark.req("SEC-P09")
def test_one_line_is_one_row():
    """Lines that are no JSON alone must not become rows by being joined."""
    bad = []
    texts = ['{"a":1},{"a":2}', '{"a":[1', "2]}", '{"a":3}']
    assert decode(texts, on_reject=bad.append, columns={"a": "int64"}).to_pylist() == [{"a": 3}]
    assert [each.line for each in bad] == [1, 2, 3]
