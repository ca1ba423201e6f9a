from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Denied, Invalid, Throttled
from sluicegate.base.principal import Peer
from sluicegate.guard.limits import FORGET, SENDING_MAX, Backoff, Limits, Meter, Rates

HERE, THERE = Peer("10.0.0.1"), Peer("10.0.0.2")


class Hand:
    """A clock that stands where a test puts it."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def fail(limits, account):
    with pytest.raises(Denied), limits.trying(account):
        raise Denied("wrong")


FEW = Rates(address="3/minute", public="2/minute", failures="2/minute", account="2/minute")


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_an_address_has_so_many_requests_and_another_its_own():
    limits = Limits(FEW)
    for _ in range(3):
        limits.admit(HERE, knocks=False)
    with pytest.raises(Throttled) as told:
        limits.admit(HERE, knocks=False)
    assert told.value.after == pytest.approx(20, abs=1)
    limits.admit(THERE, knocks=False)


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_tries_are_counted_apart_from_requests():
    limits = Limits(FEW)
    limits.admit(HERE, knocks=True)
    limits.admit(HERE, knocks=True)
    with pytest.raises(Throttled) as told:
        limits.admit(HERE, knocks=True)
    assert told.value.after == pytest.approx(30, abs=1)
    limits.admit(THERE, knocks=True)


@pytest.mark.security
@pytest.mark.req("SEC-A06", "SEC-Z10")
def test_failed_proofs_shut_the_door_to_everything_from_there():
    limits = Limits(FEW)
    limits.failed(HERE)
    limits.failed(HERE)
    with pytest.raises(Throttled):
        limits.admit(HERE, knocks=False)
    limits.admit(THERE, knocks=False)


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_an_account_is_slowed_by_failures_alone():
    limits = Limits(FEW)
    for _ in range(5):
        with limits.trying("a"):
            pass
    fail(limits, "a")
    fail(limits, "a")
    with pytest.raises(Throttled), limits.trying("a"):
        pass
    with limits.trying("b"):
        pass


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_tries_that_are_under_way_count_already():
    limits = Limits(FEW)
    with limits.trying("a"), limits.trying("a"):
        with pytest.raises(Throttled) as told, limits.trying("a"):
            pass
        assert told.value.after == pytest.approx(30, abs=1)
    with limits.trying("a"):
        pass


@pytest.mark.security
@pytest.mark.req("SEC-A06", "SEC-D03")
def test_who_has_a_network_of_ipv6_addresses_has_no_more_than_who_has_one():
    limits = Limits(FEW)
    for number in range(3):
        limits.admit(Peer(f"2001:db8:0:1::{number}"), knocks=False)
    with pytest.raises(Throttled):
        limits.admit(Peer("2001:db8:0:1:ffff::1"), knocks=False)
    limits.admit(Peer("2001:db8:0:2::1"), knocks=False)
    for number in range(2):
        limits.failed(Peer(f"2001:db8:0:3::{number}"))
    with pytest.raises(Throttled):
        limits.admit(Peer("2001:db8:0:3:ffff::1"), knocks=False)


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_nobody_is_locked_out_for_ever():
    clock = Hand(1000.0)
    limits = Limits(FEW, clock)
    fail(limits, "a")
    fail(limits, "a")
    clock.now += 31
    with limits.trying("a"):
        pass


@pytest.mark.security
@pytest.mark.req("SEC-D03")
@given(st.lists(st.floats(0, 40), max_size=60))
def test_a_meter_never_lets_more_through_than_burst_and_rate(pauses):
    clock = Hand(1000.0)
    meter = Meter("6/minute", clock)
    passed = []
    for pause in pauses:
        clock.now += pause
        room = meter.room("k")
        assert meter.count("k") is room
        if room:
            passed.append(clock.now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= 6 + (passed[last] - passed[first]) / 10 + 1e-3


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_a_flood_of_addresses_keeps_the_busiest_and_little_memory(monkeypatch):
    monkeypatch.setattr("sluicegate.guard.limits.KEYS_MAX", 100)
    clock = Hand(1000.0)
    meter = Meter("2/minute", clock)
    meter.count("attacker")
    meter.count("attacker")
    for number in range(99):
        meter.count(str(number))
    for number in range(99, 140):
        assert meter.count(str(number))
        assert len(meter._full) <= 100
    assert not meter.room("attacker"), "who is over the limit is forgotten last"
    clock.now += 120
    assert meter.room("attacker")


@pytest.mark.parametrize("rate", ["", "5", "0/second", "5/week", "-1/second", "5 per second", "9999999999/second"])
def test_a_rate_is_a_count_and_a_time(rate):
    with pytest.raises(Invalid, match="is not a rate"):
        Meter(rate)


def test_the_rates_as_shipped_leave_room_for_work():
    limits = Limits(Rates())
    for _ in range(1000):
        limits.admit(HERE, knocks=False)


@pytest.mark.security
@pytest.mark.req("SEC-A06", "SEC-D03")
@given(st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=60))
def test_the_wait_that_a_meter_tells_is_true(steps):
    clock = Hand(1000.0)
    meter = Meter("6/minute", clock)
    for pause, back in steps:
        clock.now += pause
        wait = meter.wait("k")
        assert (wait == 0) is meter.room("k")
        if wait:
            clock.now += wait - 0.001
            assert not meter.room("k"), "no second of it is too much"
            clock.now += 0.001
        assert meter.count("k")
        if back:
            meter.give_back("k")


@given(st.integers(1, 20))
def test_what_is_given_back_was_never_counted(times):
    clock = Hand(1000.0)
    meter = Meter("3/minute", clock)
    for _ in range(times):
        assert meter.count("k")
        meter.give_back("k")
    meter.give_back("another")
    assert [meter.count("k") for _ in range(4)] == [True, True, True, False]


@pytest.mark.security
@pytest.mark.req("SEC-A06")
@given(st.lists(st.tuples(st.integers(0, 5000), st.sampled_from(["count", "give_back", "clear"])), max_size=60))
def test_no_wait_is_for_ever_and_a_day_of_peace_forgets_all(steps):
    clock = Hand(1000.0)
    lane = Backoff(3, 60.0, clock)
    for pause, what in steps:
        clock.now += pause
        getattr(lane, what)("k")
        assert 0 <= lane.wait("k") <= 60
    clock.now += FORGET
    lane.count("k")
    assert lane.wait("k") == 0
    assert lane._seen["k"][0] == 1


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_a_thousand_failures_do_not_overflow():
    lane = Backoff(1, 60.0, Hand(1000.0))
    for _ in range(2000):
        lane.count("k")
    assert lane.wait("k") == 60


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_one_user_s_downloads_are_few_and_their_end_makes_room():
    limits = Limits(Rates())
    with ExitStack() as stack:
        for _ in range(SENDING_MAX):
            stack.enter_context(limits.sending("u1"))
        with pytest.raises(Throttled), limits.sending("u1"):
            raise AssertionError("one too many was let in")
        with limits.sending("u2"):
            """Others have theirs."""
    with limits.sending("u1"):
        assert limits._sending == {"u1": 1}
    assert limits._sending == {}
