"""What goes through the jail comes out as it was, or is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest

from sluicegate.base.errors import DataError, Failed
from tests.fixtures.jail import ask, one

pytestmark = pytest.mark.slow

KINDS = {
    "bool": (pa.bool_(), [True, False, None]),
    "int8": (pa.int8(), [-128, 127, None]),
    "int16": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "int64": (pa.int64(), [-(2**63), 2**63 - 1, None]),
    "uint8": (pa.uint8(), [0, 255, None]),
    "uint16": (pa.uint16(), [0, 2**16 - 1, None]),
    "uint32": (pa.uint32(), [0, 2**32 - 1, None]),
    "uint64": (pa.uint64(), [0, 2**64 - 1, None]),
    "float32": (pa.float32(), [1.5, float("inf"), None]),
    "float64": (pa.float64(), [0.1, float("-inf"), None]),
    "decimal": (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), Decimal("-0.0000000001"), None]),
    "decimal_small": (pa.decimal128(4, 2), [Decimal("99.99"), Decimal("-0.01"), None]),
    "text": (pa.string(), ["", "0012", None]),
    "odd": (pa.string(), ["a\x00b", "ß€𝄞\r\n\"'", None]),
    "bytes": (pa.binary(), [b"", b"\x00\xff", None]),
    "date": (pa.date32(), [date(1, 1, 1), date(9999, 12, 31), None]),
    "time": (pa.time64("us"), [datetime(2020, 1, 1, 23, 59, 59, 999999).time(), datetime(2020, 1, 1).time(), None]),
    "timestamp": (pa.timestamp("us"), [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), None]),
    "timestamptz": (pa.timestamp("us", "UTC"), [datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 20, 3, tzinfo=UTC), None]),
    "interval": (pa.month_day_nano_interval(), [pa.MonthDayNano([13, 40, 1_000_000]), pa.MonthDayNano([0, 0, 0]), None]),
    "uuid": (pa.uuid(), [UUID(int=0), UUID(int=2**128 - 1), None]),
    "json": (pa.json_(), ['{"a": [1, null]}', '"x"', None]),
    "list": (pa.list_(pa.string()), [[], ["", None, "x"], None]),
    "struct": (pa.struct([("a", pa.int64()), ("b", pa.list_(pa.decimal128(38, 2)))]),
               [{"a": 1, "b": [Decimal("0.01")]}, {"a": None, "b": []}, None]),
}  # fmt: skip


def test_every_type_comes_back_as_it_went_in():
    columns = {name: pa.array(values, kind) for name, (kind, values) in KINDS.items()}
    table = pa.table(columns)
    got = ask("SELECT * FROM t", t=table)
    for name, (kind, values) in KINDS.items():
        assert got.schema.field(name).type.equals(kind), name
        assert got[name].to_pylist() == pa.array(values, kind).to_pylist(), name


def test_not_a_number_and_negative_zero_stay():
    got = ask("SELECT * FROM t", t=pa.table({"x": [float("nan"), -0.0]})).column(0).to_pylist()
    assert str(got) == "[nan, -0.0]"


@pytest.mark.parametrize("kind", ["uhugeint", "bit", "bignum", "uhugeint[]", "struct(a bit)", "time with time zone"])
def test_a_type_that_arrow_would_change_is_refused(kind):
    with pytest.raises(Failed, match='the column "odd" is of type .* cannot be carried exactly; cast it'):
        ask(f"SELECT NULL::{kind} AS odd")


def test_a_sum_of_large_integers_is_exact():
    assert one("SELECT sum(a) FROM t", t=pa.table({"a": [2**63 - 1] * 3})) == Decimal(3 * (2**63 - 1))


@pytest.mark.parametrize(
    "value",
    ["", "'; DROP TABLE t --", 2**40, -1.5, float("inf"), True, None, date(2013, 1, 1), datetime(2013, 1, 1, 5, 6, 7, 8),
     datetime(2013, 1, 1, tzinfo=UTC), Decimal("-12345678901234567890.123456789"), Decimal(10) ** 37, Decimal("1E-20"), Decimal("0.001"), Decimal("-1E+5"), Decimal(0)],
)  # fmt: skip
def test_parameters_arrive_as_they_are(value):
    assert one("SELECT $p", params={"p": value}) == value


def test_a_parameter_the_query_does_not_name_is_left_out():
    assert one("SELECT $P + 1", params={"p": 1, "other": "x"}) == 2


@pytest.mark.parametrize(
    "value", [Decimal("1." + "1" * 40), Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+40"), Decimal("1E-40")]
)
def test_a_decimal_parameter_that_cannot_be_carried_is_refused(value):
    with pytest.raises(DataError, match="no number of at most 38 digits"):
        one("SELECT $p", params={"p": value})


def test_a_duration_between_years_is_exact():
    assert one("SELECT d - DATE '2000-01-01' FROM t", t=pa.table({"d": [date(2000, 1, 1) + timedelta(400)]})) == 400
