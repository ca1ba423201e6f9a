from __future__ import annotations

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Peer
from sluicegate.guard.limits import Limits, Rates

HERE, THERE = Peer("10.0.0.1"), Peer("10.0.0.2")
FEW = Rates(address="3/minute", public="2/minute", failures="2/minute", account="2/minute")


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_an_address_has_so_many_requests_and_another_its_own():
    limits = Limits(FEW)
    for _ in range(3):
        limits.admit(HERE, knocks=False)
    with pytest.raises(Throttled) as told:
        limits.admit(HERE, knocks=False)
    assert told.value.after == 1
    limits.admit(THERE, knocks=False)


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_tries_are_counted_apart_from_requests():
    limits = Limits(FEW)
    limits.admit(HERE, knocks=True)
    limits.admit(HERE, knocks=True)
    with pytest.raises(Throttled) as told:
        limits.admit(HERE, knocks=True)
    assert told.value.after == 60
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
        limits.account_admit("a")
    limits.account_failed("a")
    limits.account_failed("a")
    with pytest.raises(Throttled):
        limits.account_admit("a")
    limits.account_admit("b")


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_nobody_is_locked_out_for_ever(monkeypatch):
    import time

    limits = Limits(FEW)
    limits.account_failed("a")
    limits.account_failed("a")
    later = time.time() + 61
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: later)
    limits.account_admit("a")


def test_the_rates_as_shipped_leave_room_for_work():
    limits = Limits(Rates())
    for _ in range(1000):
        limits.admit(HERE, knocks=False)
