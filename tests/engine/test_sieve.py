"""What the sieve lets through and keeps, against plain Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError, Failed, UnknownColumn
from sluicegate.engine.sieve import Sieve
from sluicegate.kit.watermark import Since

KINDS = {
    "int64": (pa.int64(), st.integers(-50, 50), 7, "7"),
    "decimal": (pa.decimal128(10, 2), st.integers(-5000, 5000).map(lambda n: Decimal(n).scaleb(-2)), Decimal("0.5"), "0.5"),
    "date": (pa.date32(), st.dates(date(2024, 1, 1), date(2024, 3, 1)), timedelta(days=7), "1 week"),
    "timestamp": (
        pa.timestamp("us"), st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 2)), timedelta(minutes=90), "90 minutes",
    ),
    "timestamptz": (
        pa.timestamp("us", "Europe/Berlin"), st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 2)).map(lambda at: at.replace(tzinfo=UTC)),
        timedelta(hours=3), "3 hours",
    ),
}  # fmt: skip


def rows_of(kind, *batches):
    schema = pa.schema([("at", kind)])
    made = [pa.record_batch([pa.array(each, kind)], schema=schema) for each in batches]
    return pa.RecordBatchReader.from_batches(schema, made)


def sift(since, kind, state, *batches, held=None):
    rows = rows_of(kind, *batches)
    sieve = Sieve("a", since.bound(state), rows.schema)
    if held is not None:
        sieve.hold(held)
    return sieve.sift(rows).read_all().column("at").to_pylist(), sieve.state


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_run_after_run_each_row_comes_once_and_late_ones_within_the_overlap(name, data):
    kind, values, back, overlap = KINDS[name]
    with_overlap = data.draw(st.booleans())
    since = Since(
        column="at", overlap=overlap if with_overlap else None, nulls=data.draw(st.sampled_from(["read", "skip"]))
    )
    state, top = None, None
    for batches in data.draw(
        st.lists(st.lists(st.lists(st.none() | values, max_size=6), max_size=3), min_size=1, max_size=4)
    ):
        found, state = sift(since, kind, state, *batches)
        flat = [each for batch in batches for each in batch]

        def is_new(each, top=top):
            if each is None:
                return since.nulls == "read"
            return top is None or (each >= top - back if with_overlap else each > top)

        assert found == [each for each in flat if is_new(each)]
        seen = [each for each in flat if each is not None and is_new(each)]
        if seen:
            top = max(seen) if top is None else max(top, *seen)
        if state["value"] is None:
            state = None if top is None else {"type": name_of(kind), "value": spelled(top)}
        else:
            assert top is not None
            assert state == {"column": "at", "type": name_of(kind), "value": state["value"]}
            (_, again) = sift(since, kind, state, [top])
            assert again["value"] in (state["value"], None), "what is kept is the highest value"


def name_of(kind):
    from sluicegate.kit.types import to_name

    return to_name(kind)


def spelled(value):
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + ("Z" if value.tzinfo else "")
    return value.isoformat() if isinstance(value, date) else str(value)


@pytest.mark.security
def test_a_row_without_a_value_stops_the_run_unless_it_is_said():
    with pytest.raises(DataError, match="NULL") as told:
        sift(Since(column="at"), pa.int64(), None, [1, 2], [3, None])
    assert told.value.where == "step a, column at, row 4"
    assert sift(Since(column="at", nulls="skip"), pa.int64(), None, [1, None])[0] == [1]
    assert sift(Since(column="at", nulls="read"), pa.int64(), {"type": "int64", "value": "9"}, [1, None])[0] == [None]


def test_what_was_seen_never_falls():
    state = {"type": "int64", "value": "9"}
    found, seen = sift(Since(column="at", overlap=5), pa.int64(), state, [3, 4, 6])
    assert (found, seen["value"]) == ([4, 6], "9")
    assert sift(Since(column="at"), pa.int64(), state, [3, 4])[1]["value"] is None


def test_a_second_attempt_reads_no_further_than_the_first():
    state, seen = {"type": "int64", "value": "2"}, {"column": "at", "type": "int64", "value": "5"}
    assert sift(Since(column="at"), pa.int64(), state, [1, 3, 5, 7], held=seen) == ([3, 5], seen)
    nothing = {**seen, "value": None}
    assert sift(Since(column="at", nulls="read"), pa.int64(), state, [3, None], held=nothing) == ([None], nothing)


def test_start_is_where_the_first_run_begins():
    assert sift(Since(column="at", start=3), pa.int64(), None, [2, 3, 4])[0] == [3, 4]
    assert sift(Since(column="at", start=3), pa.int64(), {"type": "int64", "value": "3"}, [2, 3, 4])[0] == [4]


@pytest.mark.security
@pytest.mark.parametrize(
    ("since", "kind", "state", "told"),
    [
        ({"column": "gone"}, pa.int64(), None, "no column 'gone'"),
        ({}, pa.float64(), None, "float64 can be no watermark"),
        ({}, pa.string(), None, "text can be no watermark"),
        ({"start": "1.5"}, pa.int64(), None, "no value of type int64"),
        ({"start": 300}, pa.int8(), None, "no value of type int8"),
        ({"start": "2024-01-01T00:00:00Z"}, pa.timestamp("us"), None, "no value of type timestamp"),
        ({"overlap": "2 hours"}, pa.date32(), {"type": "date", "value": "2024-01-01"}, "does not go with this column"),
        ({"overlap": "1 day"}, pa.int64(), {"type": "int64", "value": "4"}, "does not go with this column"),
        ({}, pa.timestamp("us"), {"type": "date", "value": "2024-01-01"}, "was date and is timestamp now"),
    ],
)
def test_what_cannot_be_compared_exactly_is_refused_before_a_row(since, kind, state, told):
    with pytest.raises((Failed, UnknownColumn), match=told):
        sift(Since(**{"column": "at", **since}), kind, state, [])


def test_an_input_of_which_no_type_is_known_has_no_rows():
    assert sift(Since(column="at"), pa.null(), {"type": "int64", "value": "4"}) == (
        [], {"column": "at", "type": "text", "value": None},
    )  # fmt: skip
