from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.conformance.samples import VALUES, column
from sluicegate.kit import text
from sluicegate.kit.types import to_arrow


@pytest.mark.parametrize("kind", [kind for kind in VALUES if text.special(to_arrow(kind))])
def test_special_types_there_and_back(kind):
    sent = column(kind)
    assert text.from_text(text.to_text(sent), sent.type).equals(sent)


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        ("float64", [1e22, -0.0, 5e-324], ["1e+22", "-0", "5e-324"]),
        ("decimal(12,8)", [Decimal("0.00000001"), Decimal(0), None], ["0.00000001", "0.00000000", None]),
        ("timestamptz", [datetime(2013, 1, 1, tzinfo=UTC)], ["2013-01-01T00:00:00Z"]),
        ("interval", [(1, -2, -3_500_000_000)], ["P1M-2DT-3.5S"]),
        ("bytes", [b"\x00a"], ["\\x0061"]),
        ("list(decimal(5,2))", [[Decimal("1.50"), None]], ["[1.50,null]"]),
    ],
)
def test_one_spelling(kind, values, texts):
    assert text.to_text(column(kind, values)).to_pylist() == texts


@settings(max_examples=100, deadline=None, database=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 30))
def test_every_dump_of_a_float_fits(value, digits):
    assert text.float_fits(repr(value))
    dump = f"{value:.{digits}e}"
    assert text.float_fits(dump) or float(dump) != value


@settings(max_examples=100, deadline=None, database=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(8, 20))
def test_every_dump_of_a_small_float_fits(value, digits):
    assert text.float_fits(f"{value:.{digits}e}", 32)


@settings(max_examples=100, deadline=None, database=None)
@given(st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True), st.sampled_from([32, 64]))
def test_quick_look_never_misses_a_loss(number, bits):
    if not text.float_fits(number, bits):
        assert text.may_lose(f'x,"{number}",y\n'.encode(), bits)
        kind = pa.float32() if bits == 32 else pa.float64()
        with pytest.raises(text.Unfit) as caught:
            text.check_floats(pa.array(["1.5", None, number]), kind)
        assert caught.value.row == 2
    elif Decimal(number):
        value = float(number)
        if bits == 32:
            value = struct.unpack("f", struct.pack("f", value))[0]
        assert abs(Decimal(value) / Decimal(number) - 1) < Decimal("1e-6")


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("1.50", True), ("999.99", True), ("1000", False), ("1.005", False), ("1.500", True), ("1E+2", True),
        ("1E+3", False),
        ("-0", True), ("nan", False), ("inf", False), ("x", False), ("1e-400", False), ("0E+999999999", True),
        ("1e999999999", False),
    ],
)  # fmt: skip
def test_decimals_fit_or_not(value, fits):
    if fits:
        assert text.parse_decimal(value, 5, 2) == Decimal(value)
        return
    with pytest.raises(ValueError, match=r"fit|number"):
        text.parse_decimal(value, 5, 2)


@pytest.mark.parametrize("value", ["P", "", "PT", "1D", "P1", "P1.5D", "PT1.S", "P1DT", "P-", "PT1.1234567891S"])
def test_intervals_that_are_none(value):
    if value == "P1DT":
        assert text.parse_interval(value) == (0, 1, 0)
        return
    with pytest.raises(ValueError, match="duration"):
        text.parse_interval(value)


@pytest.mark.parametrize(
    "value", ["P178956971Y", "P-2147483649M", "P2147483648D", "PT2562048H", "PT-9223372036.854775809S"]
)
def test_intervals_that_are_too_long(value):
    with pytest.raises(text.Unfit, match="too long"):
        text.from_text(pa.array([value]), pa.month_day_nano_interval())


@settings(max_examples=100, deadline=None, database=None)
@given(st.integers(-9999, 9999), st.integers(-9999, 9999), st.integers(-(10**15), 10**15))
def test_intervals_there_and_back(months, days, nanos):
    assert text.parse_interval(text.write_interval(months, days, nanos)) == (months, days, nanos)


@pytest.mark.parametrize("value", ["10", "24:00", "10:00:60", "10:00:00.1234567", "10:00Z", "1:00"])
def test_times_that_are_none(value):
    with pytest.raises(ValueError, match="time of day"):
        text.parse_time(value)


def test_exact_names_the_first_row_that_changes():
    found = pa.array([1, None, 5, 300, 2, 400])
    with pytest.raises(text.Unfit) as caught:
        text.exact(found, pa.int8())
    assert (caught.value.row, caught.value.reason) == (3, "'300' does not fit int8")
    assert text.exact(found.slice(0, 3), pa.int8()).to_pylist() == [1, None, 5]
    with pytest.raises(text.Unfit):
        text.exact(pa.array([1500], pa.timestamp("ns")), pa.timestamp("us"))


@pytest.mark.security
def test_shown_values_are_short_and_one_line():
    assert text.shown("x" * 1000) == "'" + "x" * 64 + "…'"
    assert "\n" not in text.shown("a\nb\x1b[2J")
    assert "\x1b" not in text.shown("a\nb\x1b[2J")
