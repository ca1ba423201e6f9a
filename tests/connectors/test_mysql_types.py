from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError
from sluicegate.conformance.samples import column, table
from sluicegate.connectors.mysql.catalogue import columns
from sluicegate.connectors.mysql.wire import labels
from sluicegate.kit.connection import Read
from sluicegate.kit.mode import Append, Merge
from sluicegate.kit.rows import Marker
from sluicegate.kit.types import to_arrow
from tests.connectors.store import connection, load, read, store, store_ctx
from tests.fixtures.mariadb import mariadb

__all__ = ["mariadb", "store", "store_ctx"]

UTC = dt.UTC
BIG = Decimal("12345678901234567890123456789012345.123456789012345678901234567890")


@pytest.mark.parametrize(
    ("declared", "stored", "kind", "found"),
    [
        ("tinyint(1)", "7", "int8", 7),
        ("bit(1)", "1", "bool", True),
        ("bit(64)", "18446744073709551615", "uint64", (1 << 64) - 1),
        ("bigint unsigned zerofill", "18446744073709551615", "uint64", (1 << 64) - 1),
        ("mediumint unsigned", "16777215", "uint32", 16777215),
        ("year", "2155", "int16", 2155),
        ("float", "0.1", "float32", 0.10000000149011612),
        ("float", "16777217", "float32", 16777216.0),
        ("double", "0.1", "float64", 0.1),
        ("decimal(65,30)", f"'{BIG}'", "decimal(65,30)", BIG),
        ("char(4)", "'0012'", "text", "0012"),
        ("varchar(9) character set latin1", "'é'", "text", "é"),
        ("text character set utf16", "'é☃'", "text", "é☃"),
        ("varchar(9) character set utf8mb4", "'𝄞'", "text", "𝄞"),
        ("enum('a','b''c')", "'b''c'", "text", "b'c"),
        ("set('a','b','c')", "'c,a'", "text", "a,c"),
        ("binary(3)", "'a'", "bytes", b"a\0\0"),
        ("varbinary(9)", "x'00ff'", "bytes", b"\x00\xff"),
        ("date", "'0001-01-01'", "date", dt.date(1, 1, 1)),
        ("time(3)", "'23:59:59.999'", "time", dt.time(23, 59, 59, 999_000)),
        ("datetime(6)", "'9999-12-31 23:59:59.999999'", "timestamp", dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)),
        ("datetime", "'2024-01-01 00:00:00'", "timestamp", dt.datetime(2024, 1, 1)),
        ("timestamp(6) null", "'2024-03-31 01:30:00.000001'", "timestamptz",
         dt.datetime(2024, 3, 31, 1, 30, 0, 1, tzinfo=UTC)),
        ("json", "'{\"a\": 1.50}'", "json", '{"a": 1.50}'),
        ("uuid", "'12345678-1234-5678-1234-567812345678'", "uuid", "12345678-1234-5678-1234-567812345678"),
        ("inet6", "'::1'", "text", "::1"),
    ],
)  # fmt: skip
def test_what_is_there_is_read(store, store_ctx, declared, stored, kind, found):
    store.execute(f"create table t (v {declared})", f"insert into t values ({stored}), (null)")
    got = read(store, store_ctx).column("v")
    assert got.type == to_arrow(kind)
    values = got.to_pylist()
    assert [str(values[0]) if kind == "uuid" else values[0], values[1]] == [found, None]


@pytest.mark.security
@pytest.mark.parametrize(
    ("declared", "stored", "kind"),
    [
        ("date", "'0000-00-00'", "date"), ("date", "'2024-00-10'", "date"), ("datetime", "0", "timestamp"),
        ("timestamp null", "0", "timestamptz"), ("time", "'25:00:00'", "time"), ("time", "'-00:00:01'", "time"),
        ("time", "'838:59:59'", "time"), ("date", "'2024-02-31'", "date"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named(store, store_ctx, declared, stored, kind):
    store.execute(f"create table t (v {declared})")
    with store.link() as link, link.cursor() as cursor:
        cursor.execute("set session sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute(f"insert into t values (null), ({stored})")
    with pytest.raises(DataError, match=rf"column v, row 2: .* (cannot be carried as {kind}|is not a time of day)"):
        read(store, store_ctx)


def test_types_without_counterpart_are_named_and_can_be_left_out(store, store_ctx):
    store.execute("create table t (a int, g point)", "insert into t values (1, point(1, 2))")
    with pytest.raises(DataError, match="column g"):
        read(store, store_ctx)
    assert read(store, store_ctx, columns=("a",)).to_pydict() == {"a": [1]}


@pytest.mark.security
def test_the_year_zero_stays_zero(store, store_ctx):
    """The text '0' would be the year 2000."""
    store.execute("create table t (v year)")
    load(store, store_ctx, {"v": [0, None, 1999]})
    assert read(store, store_ctx).to_pydict() == {"v": [0, None, 1999]}


def moment(*parts):
    return pa.array([None, dt.datetime(2024, 1, 1, *parts)])


@pytest.mark.security
@pytest.mark.parametrize(
    ("declared", "sent", "told"),
    [
        ("tinyint", pa.array([0, 200]), "'200' does not fit int8"),
        ("int unsigned", pa.array([0, -1]), "'-1' does not fit uint32"),
        ("decimal(4,2)", pa.array([Decimal("1.00"), Decimal("1.005")]), "'1.005' does not fit"),
        ("year", pa.array([None, 70]), "'70' does not fit year"),
        ("bit(3)", pa.array([7, 8]), "'8' does not fit bit(3)"),
        ("double", pa.array([None, float("nan")]), "cannot store nan"),
        ("double", pa.array([0.0, float("-inf")]), "cannot store -inf"),
        ("float", pa.array([0.0, float("inf")], pa.float32()), "cannot store inf"),
        ("char(4)", pa.array(["a", "a "]), "'a ' does not fit char(4)"),
        ("binary(3)", pa.array([b"abc", b"a"]), "does not fit binary(3)"),
        ("enum('a','b')", pa.array(["a", "A"]), "'A' does not fit enum"),
        ("set('a','b')", pa.array(["a,b", "b,a"]), "'b,a' does not fit set"),
        ("datetime", moment(0, 0, 0, 1), "does not fit datetime"),
        ("time(2)", pa.array([None, dt.time(0, 0, 0, 1000)]), "does not fit time(2)"),
    ],
)
def test_value_that_would_change_is_named(store, store_ctx, declared, sent, told):
    store.execute(f"create table t (v {declared})")
    with pytest.raises(DataError, match="column v, row 2") as caught:
        load(store, store_ctx, {"v": sent})
    assert told in str(caught.value)
    assert store.execute("select * from t") == []


@pytest.mark.security
@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ("varchar(3)", pa.array(["abc", "abcd"])), ("varchar(3)", pa.array(["abc", "abc "])),
        ("varchar(3) character set latin1", pa.array(["é", "☃"])), ("varbinary(2)", pa.array([b"ab", b"abc"])),
        ("tinytext", pa.array(["a", "a" * 256])),
        ("timestamp(6) null", pa.array([None, dt.datetime(2040, 1, 1, tzinfo=UTC)])),
        ("inet6", pa.array(["::1", "nowhere"])),
    ],
)  # fmt: skip
def test_what_the_server_would_bend_is_refused(store, store_ctx, declared, sent, bulk):
    """LOAD DATA LOCAL turns errors into warnings, strict mode or not: a warning is an error to us."""
    store.execute(f"create table t (v {declared})")
    found = table({"v": sent})
    with (
        connection(store).open(store_ctx) as session,
        session.stage("t", found.schema, Append(), Marker("r", "w")) as stage,
    ):
        stage._bulk = bulk
        with pytest.raises(DataError, match="column v, row 2") as caught:
            stage.write(found.to_batches()[0])
    assert "nowhere" not in str(caught.value)
    assert store.execute("select * from t") == []


@pytest.mark.security
@pytest.mark.parametrize(
    ("declared", "sent"),
    [("float(7,2)", pa.array([0.5], pa.float32())), ("double(7,2)", pa.array([0.5])), ("float", pa.array([0.1])),
     ("int", pa.array(["1"])), ("date", pa.array(["x"])), ("varchar(9)", pa.array([1])), ("enum('1')", pa.array([1])),
     ("datetime(6)", pa.array([dt.datetime(2024, 1, 1, tzinfo=UTC)])), ("timestamp(6) null", moment()),
     ("point", pa.array([b"x"])), ("time(6)", column("interval"))],
)  # fmt: skip
def test_types_that_could_change_are_refused_before_a_row(store, store_ctx, declared, sent):
    store.execute(f"create table t (v {declared})")
    with pytest.raises(DataError, match="unchanged"):
        load(store, store_ctx, {"v": sent.slice(0, 0)})


def test_zone_of_the_server_changes_nothing(store, store_ctx):
    """TIMESTAMP is converted from and to the session's zone, which would have a gap at 02:30."""
    store.execute("set global time_zone = '-05:00'", "create table t (v timestamp(6) null)")
    try:
        sent = table({"v": column("timestamptz", [dt.datetime(2013, 3, 31, 1, 30, tzinfo=UTC)])})
        load(store, store_ctx, sent)
        assert read(store, store_ctx).column("v").to_pylist() == sent.column("v").to_pylist()
        assert store.execute("select unix_timestamp(v) from t")[0][0] == 1364693400
    finally:
        store.execute("set global time_zone = 'SYSTEM'")


@pytest.mark.security
def test_value_that_contradicts_the_comment_is_named(store, store_ctx):
    store.execute(
        "create table t (b tinyint(1) comment 'sluicegate: bool', i longtext comment 'sluicegate: interval', "
        "x longtext comment 'sluicegate: nothing', y int comment 'sluicegate: text')",
        "insert into t values (2, 'P1X', 'x', 1)",
    )
    for name, told in (("b", "'2' is stored where bool"), ("i", "P1X")):
        with pytest.raises(DataError, match=f"column {name}, row 1") as caught:
            read(store, store_ctx, columns=(name,))
        assert told in str(caught.value)
    assert read(store, store_ctx, columns=("x", "y")).to_pydict() == {"x": ["x"], "y": [1]}


def test_labels_are_taken_apart():
    assert labels("enum('a','b,c','d''e','')") == ["a", "b,c", "d'e", ""]


def test_texts_are_not_put_in_order_as_numbers(store, store_ctx):
    mode = Merge(keys=("k",), duplicates="last", order_by=("o",))
    with pytest.raises(DataError, match="ordered by decimal"):
        load(store, store_ctx, {"k": [1], "o": column("decimal(76,40)", [Decimal(1)])}, mode)


MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999))
VALUES = {
    "bool": st.booleans(),
    **{f"int{bits}": st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "decimal(65,30)": st.decimals(-(10**34), 10**34, places=20, allow_nan=False, allow_infinity=False),
    "decimal(76,40)": st.decimals(-(10**34), 10**34, places=20, allow_nan=False, allow_infinity=False),
    "text": st.text(),
    "bytes": st.binary(),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": MOMENTS,
    "timestamptz": MOMENTS.map(lambda each: each.replace(tzinfo=UTC)),
    "interval": st.tuples(*[st.integers(-(1 << 31), (1 << 31) - 1)] * 2, st.integers(-(1 << 62), 1 << 62)),
    "uuid": st.uuids().map(lambda each: each.bytes),
}
ROWS = st.lists(st.fixed_dictionaries({kind: st.none() | each for kind, each in VALUES.items()}), max_size=6)


@pytest.mark.parametrize("bulk", [True, False], ids=["load-data", "insert"])
def test_every_value_comes_back(store, store_ctx, bulk):
    with connection(store).open(store_ctx) as session:

        @settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
        @given(ROWS)
        def check(rows):
            sent = table({kind: column(kind, [row[kind] for row in rows]) for kind in VALUES})
            store.execute("drop table if exists t, _sluicegate_loads")
            with session.stage("t", sent.schema, Append(), Marker("r", "w")) as stage:
                stage._bulk = bulk
                for batch in sent.to_batches():
                    stage.write(batch)
                stage.commit()
            assert session.read(Read(item="t")).read_all().combine_chunks().equals(sent.combine_chunks())

        check()


def test_generated_columns_and_defaults_are_known(store, store_ctx):
    store.execute(
        "create table t (a int not null, b int null, c int default 3, d datetime default current_timestamp, "
        "e int as (a + 1) persistent, f int as (a + 1) virtual, g int auto_increment unique)"
    )
    with connection(store).open(store_ctx) as session:
        found = {each.name: (each.required, each.writable) for each in columns(session._links[0], "t")}
    assert found == {
        "a": (True, True), "b": (True, True), "c": (False, True), "d": (False, True), "e": (False, False),
        "f": (False, False), "g": (False, True),
    }  # fmt: skip
