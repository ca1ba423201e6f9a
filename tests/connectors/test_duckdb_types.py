from __future__ import annotations

import datetime as dt
import math
from contextlib import closing
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError
from sluicegate.conformance.samples import column, table
from sluicegate.connectors.duckdb import link
from sluicegate.kit.mode import Append, Merge
from sluicegate.kit.types import to_arrow
from tests.connectors.test_duckdb import ctx, load, read, run

__all__ = ["ctx", "run"]


@pytest.mark.parametrize(
    ("expression", "kind", "found"),
    [
        ("170141183460469231731687303715884105727::hugeint", "decimal(39,0)", Decimal(2**127 - 1)),
        ("340282366920938463463374607431768211455::uhugeint", "decimal(39,0)", Decimal(2**128 - 1)),
        ("'12345678901234567890123456789012345678901234567890'::bignum", "text", "1234567890" * 5),
        ("'0101'::bit", "text", "0101"),
        ("'12:00:00+02'::timetz", "text", "12:00:00+02"),
        ("'b'::enum('a', 'b')", "text", "b"),
        ("timestamp_s '2024-02-29 01:02:03'", "timestamp", dt.datetime(2024, 2, 29, 1, 2, 3)),
        ("timestamp_ms '2024-02-29 01:02:03.004'", "timestamp", dt.datetime(2024, 2, 29, 1, 2, 3, 4000)),
        ("timestamp_ns '2024-02-29 01:02:03.000004'", "timestamp", dt.datetime(2024, 2, 29, 1, 2, 3, 4)),
        ("[1, null, 3]::int[3]", "list(int32)", [1, None, 3]),
        ("[[1], null, []]", "list(list(int32))", [[1], None, []]),
        ("map {'a': 1, 'b': null}", 'list(struct("key" text, "value" int32))',
         [{"key": "a", "value": 1}, {"key": "b", "value": None}]),
        ("{'x': true, 'y': [date '2024-01-01']}", 'struct("x" bool, "y" list(date))',
         {"x": True, "y": [dt.date(2024, 1, 1)]}),
        ("'nan'::float", "float32", math.nan),
        ("'-inf'::double", "float64", -math.inf),
        ("json '{\"a\": 1.50}'", "json", '{"a": 1.50}'),
        ("'0012'", "text", "0012"),
    ],
)  # fmt: skip
def test_what_is_there_is_read(ctx, run, expression, kind, found):
    run(f"create table t as select null as n, {expression} as v union all select null, null")
    got = read(ctx, columns=("v",)).column("v")
    assert got.type == to_arrow(kind)
    assert [str(each) for each in got.to_pylist()] == [str(found), "None"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("'infinity'::date", "infinite"), ("'-infinity'::timestamp", "infinite"), ("'infinity'::timestamptz", "infinite"),
        ("date '10000-01-01'", "1 to 9999"), ("date '0044-03-15 (BC)'", "1 to 9999"), ("time '24:00:00'", "24:00"),
        ("timestamp_ns '2024-01-01 00:00:00.000000001'", "does not fit"), ("['infinity'::date]", "infinite"),
        ("{'a': {'b': timestamp '290000-01-01'}}", "1 to 9999"), ("map {1: 'infinity'::date}", "infinite"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named(ctx, run, expression, told):
    run(f"create table t as select null as v union all select {expression}")
    with pytest.raises(DataError, match=r"column v, row 2") as caught:
        read(ctx)
    assert told in str(caught.value)


@pytest.mark.security
@pytest.mark.parametrize("first", [0, 100_000])
@pytest.mark.parametrize("expression", ["{}", "[{}]", "{{'a': {}}}", "map {{'a': {}}}"])
@pytest.mark.parametrize("micros", [9_223_372_036_854_776, -(2**63) + 1])
def test_an_interval_that_nanoseconds_would_turn_over_is_an_error(ctx, run, expression, micros, first):
    fine, wrong = (expression.format(f"to_microseconds({each})") for each in (9_215_999_999_999_999, micros))
    run(f"""create table t as select {fine} as "it's" from range({first}) union all select {wrong}""")
    with pytest.raises(DataError, match="column it's: An interval is too long"):
        read(ctx)
    run(f"create or replace table t as select {fine} as v")
    assert "9215999999999999000" in str(read(ctx)["v"][0])


@pytest.mark.parametrize("declared", ["hugeint[]", "struct(a bit)", "union(a int)", "map(bignum, int)"])
def test_types_without_counterpart_are_refused(ctx, run, declared):
    run(f"create table t (v {declared})")
    with pytest.raises(DataError, match="column v: The column is"):
        read(ctx)
    with pytest.raises(DataError, match="cannot hold text"):
        load(ctx, {"v": ["x"]})


@pytest.mark.parametrize(
    ("declared", "sent", "found"),
    [
        ("hugeint", pa.array([-(1 << 63)]), -(1 << 63)),
        ("uhugeint", pa.array([Decimal(2**128 - 1)], pa.decimal256(39, 0)), 2**128 - 1),
        ("enum('x', 'y')", pa.array(["y"]), "y"),
        ("bit", pa.array(["0101"]), "0101"),
        ("varchar", pa.array([dt.datetime(2024, 1, 1)]), "2024-01-01T00:00:00"),
        ("decimal(9,2)", pa.array([7]), Decimal("7.00")),
        ("smallint", pa.array([7]), 7),
        ("double", pa.array([0.5], pa.float32()), 0.5),
        ("timestamp_s", pa.array([dt.datetime(2024, 1, 1)]), dt.datetime(2024, 1, 1)),
        ("timestamp_ns", pa.array([dt.datetime(2024, 1, 1, 0, 0, 0, 1)]), dt.datetime(2024, 1, 1, 0, 0, 0, 1)),
        ("json", pa.array([{"a": 1}]), '{"a":1}'),
        ("int[3]", pa.array([[1, 2, 3]], pa.list_(pa.int32())), (1, 2, 3)),
    ],
)
def test_what_fits_a_column_goes_in(ctx, run, declared, sent, found):
    run(f"create table t (v {declared})")
    load(ctx, {"v": sent})
    assert run("select v from t") == [(found,)]


@pytest.mark.security
@pytest.mark.parametrize(
    ("declared", "sent", "told"),
    [
        ("smallint", pa.array([0, 40_000]), "'40000' does not fit int16"),
        ("uhugeint", pa.array([0, -1]), "'-1' does not fit UHUGEINT"),
        ("bignum", pa.array([None, "1.9"]), "'1.9' does not fit BIGNUM"),
        ("timetz", pa.array(["10:00:00.1+02", "10:00:00.1234567+02"]), "does not fit TIME WITH TIME ZONE"),
        ("decimal(4,2)", pa.array([Decimal("1.00"), Decimal("1.005")]), "'1.005' does not fit"),
        ("enum('x', 'y')", pa.array(["x", "X"]), "'X' is none of the column's values"),
        ("timestamp_s", pa.array([None, dt.datetime(2024, 1, 1, 0, 0, 0, 1)]), "does not fit"),
        ("interval", column("interval", [None, (0, 0, 1)]), "microseconds"),
        ("interval[]", pa.array([None, [pa.MonthDayNano((0, 0, 1))]]), "microseconds"),
    ],
)
def test_value_that_would_change_is_named(ctx, run, declared, sent, told):
    run(f"create table t (v {declared})")
    with pytest.raises(DataError, match="column v") as caught:
        load(ctx, {"v": sent})
    assert told in str(caught.value)
    assert run("from t") == []


@pytest.mark.security
@pytest.mark.parametrize(
    ("declared", "sent"),
    [("float", pa.array([0.1])), ("int", pa.array(["1"])), ("date", pa.array(["x"])), ("varchar", pa.array([1])),
     ("uuid", pa.array(["x"])), ("bignum", pa.array([1])), ("int[]", pa.array([[1]]))],
)  # fmt: skip
def test_types_that_could_change_are_refused_before_a_row(ctx, run, declared, sent):
    run(f"create table t (v {declared})")
    with pytest.raises(DataError, match="unchanged"):
        load(ctx, {"v": sent.slice(0, 0)})


def test_odd_types_come_back_in_a_table_made_from_them(ctx, run):
    run("create table t as select '01'::bit as a, '1'::bignum as b, '12:00:00+00'::timetz as c")
    load(ctx, read(ctx), item="u")
    assert run("select typeof(a), typeof(b), typeof(c) from u") == [("BIT", "BIGNUM", "TIME WITH TIME ZONE")]


def test_wide_decimals_are_not_put_in_order_as_text(ctx):
    mode = Merge(keys=("k",), duplicates="last", order_by=("o",))
    with pytest.raises(DataError, match="ordered by decimal"):
        load(ctx, {"k": [1], "o": column("decimal(50,20)", [Decimal(1)])}, mode)


MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999))
FLOATS = st.floats(allow_nan=False)
VALUES = {
    "bool": st.booleans(),
    **{f"int{bits}": st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    "float32": st.floats(width=32, allow_nan=False),
    "float64": FLOATS,
    "decimal(38,10)": st.decimals(-(10**27), 10**27, places=10, allow_nan=False, allow_infinity=False),
    "text": st.text(),
    "bytes": st.binary(),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": MOMENTS,
    "timestamptz": MOMENTS.map(lambda each: each.replace(tzinfo=dt.UTC)),
    "interval": st.tuples(*[st.integers(-(1 << 31), (1 << 31) - 1)] * 2, st.integers(-(1 << 53), 1 << 53)).map(
        lambda each: (each[0], each[1], each[2] * 1000)
    ),
    "uuid": st.uuids().map(lambda each: each.bytes),
    "list(text)": st.lists(st.none() | st.text()),
    'struct("a" int64, "b" list(float64))': st.fixed_dictionaries(
        {"a": st.none() | st.integers(-5, 5), "b": st.none() | st.lists(FLOATS)}
    ),
}


ROWS = st.lists(st.fixed_dictionaries({kind: st.none() | each for kind, each in VALUES.items()}), max_size=6)


@pytest.mark.slow
def test_every_value_comes_back(ctx, tmp_path):
    with closing(link.connect(tmp_path / "shop.duckdb", "shop.duckdb", lambda: False)) as owner:

        @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
        @given(ROWS)
        def check(rows):
            owner.execute("drop table if exists t; drop table if exists _sluicegate_loads")
            sent = table({kind: column(kind, [row[kind] for row in rows]) for kind in VALUES})
            load(ctx, sent, Append())
            assert read(ctx).combine_chunks().equals(sent.combine_chunks())

        check()
