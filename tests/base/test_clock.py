from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base import clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000.5, "2026-09-21T14:13:20.500Z"),
        (-1, "1969-12-31T23:59:59.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
    ],
)
def test_a_moment_is_told_in_utc_to_the_millisecond(seconds, text):
    assert clock.iso(seconds) == text


@settings(max_examples=100, deadline=None)
@given(st.floats(min_value=0, max_value=4_000_000_000))
def test_what_is_told_can_be_read_back_to_the_millisecond(seconds):
    told = clock.iso(seconds)
    assert len(told) == len("1970-01-01T00:00:00.000Z")
    assert abs(datetime.fromisoformat(told).timestamp() - seconds) <= 0.001 + 1e-6


@settings(max_examples=100, deadline=None)
@given(st.floats(min_value=0, max_value=4_000_000_000), st.floats(min_value=0, max_value=4_000_000_000))
def test_texts_sort_as_moments_do(one, other):
    assert (clock.iso(min(one, other))) <= clock.iso(max(one, other))


def test_the_zone_of_the_machine_does_not_show(monkeypatch):
    before = clock.iso(1_790_000_000)
    try:
        monkeypatch.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        assert time.localtime(1_790_000_000).tm_hour != time.gmtime(1_790_000_000).tm_hour
        assert clock.iso(1_790_000_000) == before
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_system_clock_counts_from_1970():
    assert abs(clock.system() - datetime.now(UTC).timestamp()) < 5
