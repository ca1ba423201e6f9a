"""What may stand in ``since``, how values are spelled and compared, and which flows can be."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import Invalid
from sluicegate.kit import document, watermark
from sluicegate.kit.watermark import Bound, Since

ANY = {
    "int64": (pa.int64(), st.integers(-(1 << 63), (1 << 63) - 1)),
    "uint64": (pa.uint64(), st.integers(0, (1 << 64) - 1)),
    "decimal(76,30)": (pa.decimal256(76, 30), st.integers(-(10**76) + 1, 10**76 - 1).map(lambda n: Decimal((n < 0, tuple(map(int, str(abs(n)))), -30)))),
    "date": (pa.date32(), st.dates()),
    "timestamp": (pa.timestamp("us"), st.datetimes()),
    "timestamptz": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
}  # fmt: skip


@pytest.mark.parametrize("name", ANY)
@settings(max_examples=40)
@given(data=st.data())
def test_a_value_is_kept_exactly_and_in_order(name, data):
    kind, values = ANY[name]
    one, two = data.draw(values), data.draw(values)
    texts = [watermark.spell(pa.array([each], kind)) for each in (one, two)]
    for value, text in zip((one, two), texts, strict=True):
        assert len(text) <= watermark.VALUE_MAX
        assert watermark.check_value(text) == text
        low = Bound(column="c", value=text, type=name).lowest(kind)
        assert low == text
        assert watermark.read(low, kind).as_py() == value
    assert watermark.is_above(*texts, name) == (one > two)


@pytest.mark.security
@given(st.text(max_size=140) | st.from_regex(r"[-0-9T:. Z+]{0,40}"))
def test_no_text_is_more_than_a_value(text):
    try:
        found = Since(column="c", start=text).start
    except ValidationError:
        return
    assert found == text
    assert not set(text) - set("0123456789-+:.TZ ")


def test_what_a_document_says_bare_means_itself():
    assert Since(column="c", start=date(2024, 1, 31)).start == "2024-01-31"
    assert Since(column="c", start=datetime(2024, 1, 31, 12, tzinfo=UTC)).start == "2024-01-31 12:00:00+00:00"
    assert Since(column="c", start=1.5, overlap=100).model_dump(exclude_unset=True) == {
        "column": "c", "start": "1.5", "overlap": "100",
    }  # fmt: skip


@pytest.mark.parametrize("field", ["start", "overlap"])
@pytest.mark.parametrize(
    "value", [True, [], {}, "", "soon", "1e5", "0", "0 days", "1.5 days", "-1 day", "1 year", "9" * 200]
)
def test_what_means_nothing_is_refused(field, value):
    if (field, value) == ("start", "0"):
        return
    with pytest.raises(ValidationError):
        Since(**{"column": "c", field: value})


def test_an_instant_without_a_zone_is_of_utc():
    bound = Bound(column="c", value="2024-01-31", inclusive=True)
    assert bound.lowest(pa.timestamp("us", "UTC")) == "2024-01-31T00:00:00Z"
    offset = Bound(column="c", value="2024-01-31T01:00:00+02:00")
    assert offset.lowest(pa.timestamp("us", "UTC")) == "2024-01-30T23:00:00Z"


def test_an_overlap_over_the_end_of_a_type_reads_all():
    for value, overlap, kind in (("1", "2", pa.uint8()), ("0001-01-02", "1 week", pa.date32())):
        assert Bound(column="c", value=value, overlap=overlap).lowest(kind) is None


def test_rows_with_null_are_told_of_unless_they_are_skipped():
    assert Bound(column="c").where("c", "?") == "(c > ? or c is null)"
    assert Bound(column="c", inclusive=True, nulls="skip").where("c", "?") == "c >= ?"


READ = {"read": {"name": "a", "connection": "x", "item": "t", "since": {"column": "at"}}}
KEYED = {"type": "merge", "keys": ["k"]}


def flow(*steps, **since):
    read = {"read": {**READ["read"], "since": {"column": "at", **since}}}
    return document.parse_definition({"kind": "flow", "name": "f", "steps": [read, *steps]})


def write(from_="a", **more):
    return {"write": {"from": from_, "connection": "x", "item": "u", **more}}


def test_rows_that_are_read_again_need_a_key():
    flow(write())
    flow(write(mode=KEYED), overlap="1 day")
    for mode in ({}, {"mode": "append"}):
        with pytest.raises(Invalid, match="merge them by a key"):
            flow(write(**mode), overlap="1 day")
    with pytest.raises(Invalid, match="replace all that is there"):
        flow(write(mode="replace"))


def test_rows_go_one_way():
    flow(write(), write(mode=KEYED))
    half = {"map": {"name": "b", "from": "a", "where": "k > 1", "columns": {"k": "k"}}}
    flow(half, write("b"))
    with pytest.raises(Invalid, match="go two ways"):
        flow(half, write(), write("b"))
