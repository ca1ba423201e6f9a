from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from sluicegate.base.errors import DataError
from sluicegate.kit.mode import Replace
from tests.connectors.warehouse import load, query, read

ODD = {
    "numeric": "12345678901234567890.123456789", "inet": "10.0.0.1/8", "cidr": "10.0.0.0/8",
    "time with time zone": "10:00:00+02",
    "int4range": "[1,5)", "macaddr": "08:00:2b:01:02:03", "bit varying(5)": "10101", "xml": "<a/>",
    "money": "$1.50", "numeric(3,-2)": "12300", "numeric(2,4)": "0.0012",
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_types_without_counterpart_travel_as_their_own_text(server, ctx, kind):
    server.execute(f"create table t (v {kind})")
    server.execute(f"insert into t values ('{ODD[kind]}'), (null)")
    found = read(server, ctx)
    assert found.column("v").to_pylist() == [ODD[kind], None]
    load(server, ctx, found)
    load(server, ctx, found, item="made", run="2")
    assert query(server, "select count(*), count(distinct v::text) from t") == [(4, 1)]
    made = query(
        server, "select format_type(atttypid, -1) from pg_attribute where attrelid = 'made'::regclass and attnum = 1"
    )
    assert made == [(kind.split("(")[0],)]


def test_catalogue_types(server, ctx):
    server.execute("create type mood as enum ('ok', 'bad'); ")
    server.execute("create domain small as numeric(5,2) check (value < 100)")
    server.execute("create type pair as (a int, b text)")
    server.execute(
        "create table t (a small, b mood, c pair, d numeric(12,2)[], e jsonb, f char(4), g varchar(3), h text[], "
        "i mood[], j "
        "numeric[], k float8, l timestamptz)"
    )
    server.execute(
        """insert into t values (1.5, 'ok', (1, 'x'), '{1.5,null}', '{"b": 1.50}', 'ab', 'abc', '{"",null,"a,b"}', """
        """'{ok}', """
        """'{1.123456789012345678901}', 'NaN', '2013-01-01 10:00+02')"""
    )
    found = read(server, ctx)
    assert found.to_pylist() == [
        {
            "a": Decimal("1.50"), "b": "ok", "c": '{"a":1,"b":"x"}', "d": [Decimal("1.50"), None], "e": '{"b": 1.50}',
            "f": "ab  ", "g": "abc", "h": ["", None, "a,b"], "i": '["ok"]', "j": "[1.123456789012345678901]",
            "k": pytest.approx(float("nan"), nan_ok=True), "l": dt.datetime(2013, 1, 1, 8, tzinfo=dt.UTC),
        }
    ]  # fmt: skip
    load(server, ctx, found.drop_columns(["c"]), Replace(), item="copy")
    assert query(server, "select e::text, h[1] = '' from copy") == [('{"b": 1.50}', True)]


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("date", "infinity", "'infinity' cannot be carried as date"),
        ("timestamp", "-infinity", "'-infinity' cannot be carried as timestamp"),
        ("timestamptz", "infinity", "cannot be carried as timestamptz"),
        ("date", "0044-03-15 BC", "cannot be carried as date"),
        ("numeric(12,2)", "NaN", "'NaN' cannot be carried as decimal(12,2)"),
        ("time", "24:00:00", "'24:00:00' cannot be carried as time"),
        ("date[]", "{infinity}", "'infinity' is not date"),
        ("int[]", "{{1,2},{3,4}}", "is not a whole number"),
    ],
)
def test_value_that_cannot_be_carried_is_named(server, ctx, kind, value, told):
    server.execute(f"create table t (k int, v {kind})")
    server.execute(f"insert into t values (1, null), (2, '{value}')")
    with pytest.raises(DataError) as caught:
        read(server, ctx)
    assert told in str(caught.value)
    assert "column v, row 2" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "column", "told"),
    [
        ("smallint", pa.array([1, 70000]), "'70000' does not fit int16"),
        (
            "numeric(5,2)",
            pa.array([Decimal("1.5"), Decimal("1.005")], pa.decimal128(9, 3)),
            "does not fit decimal(5,2)",
        ),
        ("numeric(3,0)", pa.array([1, 1000]), "does not fit decimal(3,0)"),
        ("timestamp(0)", pa.array([0, 5], pa.timestamp("us")), "more places"),
        ("interval", pa.array([None, pa.MonthDayNano((0, 0, 5))]), "more places than microseconds"),
    ],
)
def test_server_never_rounds_in_silence(server, ctx, kind, column, told):
    server.execute(f"create table t (v {kind})")
    with pytest.raises(DataError) as caught:
        load(server, ctx, {"v": column})
    assert told in str(caught.value)
    assert "column v, row 2" in str(caught.value)
    load(server, ctx, {"v": column.slice(0, 1)})
    assert query(server, "select count(*) from t") == [(1,)]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("integer", pa.array(["0012"])), ("text", pa.array([1])), ("double precision", pa.array([1])),
        ("timestamptz", pa.array([0], pa.timestamp("us"))), ("numeric(50,2)", pa.array([Decimal("1.005")])),
        ("boolean", pa.array(["true"])), ("interval year to month", pa.array([pa.MonthDayNano((1, 0, 0))])),
    ],
)  # fmt: skip
def test_unlike_types_are_refused(server, ctx, kind, column):
    server.execute(f"create table t (v {kind})")
    with pytest.raises(DataError, match=r"column v.*unchanged"):
        load(server, ctx, {"v": column})


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [("varchar(3)", "long", "too long"), ("text", "a\0b", "NUL"), ("inet", "nowhere", "no value")],
)
def test_text_the_server_refuses(server, ctx, kind, value, told):
    server.execute(f"create table t (v {kind})")
    with pytest.raises(DataError, match=told):
        load(server, ctx, {"v": ["10.0.0.1" if kind == "inet" else "ok", value]})
    assert query(server, "select count(*) from t") == [(0,)]
