from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Throttled
from sluicegate.guard.limits import Rates
from sluicegate.guard.tries import FAR, NEAR, Known, Tries

OWNER = "ada@example.org"
WIDE = Rates(guesses="100000/second", tenant="100000/second", everybody="100000/second")
STRANGER, DEVICE, ADDRESS = Known(), Known(device=True), Known(address=True)


class Hand:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def hand():
    return Hand()


def knock(tries, address="10.0.0.9", known=STRANGER, account=OWNER, tenant="north", device="their-key"):
    return tries.begin(account, tenant, address, device, known)


def fail(tries, times, **more):
    """Fail so often; return how many got as far as the password."""
    passed = 0
    for _ in range(times):
        try:
            knock(tries, **more)
        except Throttled:
            continue
        passed += 1
    return passed


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_a_hundred_wrong_ones_of_one_address_stop_that_address_and_nobody_else(hand):
    tries = Tries(WIDE, hand)
    assert fail(tries, 100) == NEAR
    knock(tries, "10.0.0.1").worked()
    knock(tries, known=DEVICE, device="my-key").worked()  # even from that address
    assert fail(tries, 1) == 0


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_the_addresses_of_one_ipv6_network_are_one_address(hand):
    tries = Tries(WIDE, hand)
    assert sum(fail(tries, 1, address=f"2001:db8:0:1::{n}") for n in range(100)) == NEAR
    knock(tries, "2001:db8:0:2::1").worked()


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_many_addresses_stop_strangers_and_neither_a_known_device_nor_a_known_address(hand):
    tries = Tries(WIDE, hand)
    assert sum(fail(tries, 1, address=f"10.1.0.{n}") for n in range(100)) == FAR
    with pytest.raises(Throttled) as told:
        knock(tries, "10.0.0.1")
    knock(tries, "10.0.0.1", DEVICE, device="my-key").worked()
    knock(tries, "10.0.0.2", ADDRESS).worked()
    assert fail(tries, 1, address="10.1.1.1") == 0, "what an owner does opens nothing to strangers"
    hand.now += told.value.after
    knock(tries, "10.0.0.1").worked()


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour_and_the_wait_is_true(hand):
    tries, waits = Tries(WIDE, hand), []
    for _ in range(NEAR):
        knock(tries)
    for _ in range(14):
        with pytest.raises(Throttled) as told:
            knock(tries)
        waits.append(told.value.after)
        hand.now += told.value.after - 0.01
        with pytest.raises(Throttled):
            knock(tries)
        hand.now += 0.01
        knock(tries)
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == 900


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_a_known_device_that_was_stolen_is_slowed_too(hand):
    tries = Tries(WIDE, hand)
    assert fail(tries, 100, known=DEVICE) == NEAR
    knock(tries, known=DEVICE, device="another").worked()


@pytest.mark.security
@pytest.mark.req("SEC-A06")
@pytest.mark.parametrize("spelling", ["ADA@example.org", " ada@example.org ", "Ada@Example.ORG"])
def test_one_account_is_one_however_it_is_written_and_whatever_tenant_is_named(hand, spelling):
    tries = Tries(WIDE, hand)
    fail(tries, NEAR)
    assert fail(tries, 1, account=spelling, tenant="south") == 0


@pytest.mark.security
@pytest.mark.req("SEC-A06")
@pytest.mark.parametrize(
    ("rates", "same", "other"),
    [
        (Rates(guesses="3/hour"), {"address": "10.0.0.9"}, {"address": "10.0.0.1"}),
        (Rates(tenant="3/hour"), {"tenant": "north"}, {"tenant": "south"}),
        (Rates(everybody="3/hour"), {}, None),
    ],
)
def test_one_password_tried_at_many_accounts_is_slowed_by_address_tenant_and_in_all(hand, rates, same, other):
    tries = Tries(rates, hand)

    def ask(n, **more):
        given = {"address": f"10.2.0.{n}", "tenant": f"t{n}", **more}
        return fail(tries, 1, account=f"{n}@example.org", **given)

    assert sum(ask(n, **same) for n in range(20)) == 3
    assert fail(tries, 1, known=DEVICE, **same) == 1, "who is known is not among them"
    if other is not None:
        assert ask(99, **other) == 1
    with pytest.raises(Throttled) as told:
        knock(tries, account="x", **{"address": "10.2.1.1", "tenant": "x", **same})
    assert 1100 < told.value.after <= 1200.1
    hand.now += told.value.after
    knock(tries, account="x", **{"address": "10.2.1.1", "tenant": "x", **same})


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_what_is_refused_is_not_counted_and_what_is_right_is_taken_back(hand):
    tries = Tries(Rates(everybody="3/hour"), hand)
    for n in range(50):
        knock(tries, f"10.3.0.{n}", account=f"{n}").worked()
    fail(tries, 50)
    assert fail(tries, 5, address="10.0.0.7", account="other") == 0
    assert tries._near.wait("no such key") == 0
    assert len(tries._near._seen) == 1, "fifty right ones have left nothing behind"


@pytest.mark.security
@pytest.mark.req("SEC-A06", "SEC-A02")
def test_many_at_once_gain_nothing(hand):
    tries = Tries(WIDE, hand)
    held = [knock(tries) for _ in range(NEAR)]  # none of them has been looked at yet
    assert fail(tries, 20) == 0
    held[0].worked()
    knock(tries)


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_memory_is_bounded_and_the_busiest_are_kept(hand, monkeypatch):
    monkeypatch.setattr("sluicegate.guard.limits.KEYS_MAX", 100)
    tries = Tries(WIDE, hand)
    fail(tries, 50)
    for n in range(1000):
        knock(tries, account=f"{'x' * 200}{n}")
    assert len(tries._near._seen) <= 100
    assert max(map(len, tries._near._seen)) == 32, "a key is short whatever was given"
    assert fail(tries, 1) == 0


@pytest.mark.security
@pytest.mark.req("SEC-A06")
@given(st.lists(st.tuples(st.floats(0, 2000), st.booleans(), st.integers(0, 3)), max_size=80))
def test_whatever_strangers_do_no_wait_is_longer_than_its_end_and_the_owner_comes_in(steps):
    hand = Hand()
    tries = Tries(WIDE, hand)
    admitted = []
    for pause, right, address in steps:
        hand.now += pause
        try:
            made = knock(tries, f"10.4.0.{address}")
        except Throttled as fault:
            assert 0 < fault.after <= 900
        else:
            admitted.append(hand.now)
            if right:
                made.worked()
        knock(tries, "10.9.0.1", DEVICE, device="my-key").worked()


@pytest.mark.security
@pytest.mark.req("SEC-A06")
@given(st.lists(st.floats(0, 3), min_size=40, max_size=400))
def test_the_failures_that_get_through_in_a_time_grow_with_its_logarithm(pauses):
    hand = Hand()
    tries, passed, began = Tries(WIDE, hand), 0, 1000.0
    for pause in pauses:
        hand.now += pause
        passed += fail(tries, 1)
    spent = hand.now - began
    most = NEAR
    while 2.0 ** (most - NEAR + 1) - 1 <= spent:  # 1 + 2 + 4 + … seconds of waiting
        most += 1
    assert passed <= most + 1
