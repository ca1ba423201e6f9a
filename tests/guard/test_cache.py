from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Failed, Internal, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.guard import cache as module
from sluicegate.guard.cache import Cache


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Count:
    """Gives ``1``, ``2``, … and raises when told to."""

    def __init__(self):
        self.asked, self.fault = 0, None

    def __call__(self):
        self.asked += 1
        if self.fault:
            raise self.fault
        return Secret(str(self.asked))


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_nothing_is_given_out_past_its_time():
    clock, fetch = Clock(), Count()
    cache = Cache(60, clock)
    assert [cache.get("k", fetch).reveal() for _ in range(3)] == ["1", "1", "1"]
    clock.now += 59.9
    assert cache.get("k", fetch).reveal() == "1"
    clock.now += 0.1
    assert cache.get("k", fetch).reveal() == "2"
    assert cache.get("other", fetch).reveal() == "3"


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_its_time_begins_when_it_was_asked_for():
    clock = Clock()
    cache = Cache(60, clock)

    def slow():
        clock.now += 15
        return Secret("old")

    cache.get("k", slow)
    clock.now += 45
    assert cache.get("k", Count()).reveal() == "1"


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_a_failure_is_not_held_and_nothing_stale_stands_in_for_it():
    clock, fetch = Clock(), Count()
    cache = Cache(60, clock)
    cache.get("k", fetch)
    clock.now += 60
    fetch.fault = Unreachable("It is down.")
    for _ in range(2):
        with pytest.raises(Unreachable, match="It is down"):
            cache.get("k", fetch)
    assert fetch.asked == 3
    fetch.fault = None
    assert cache.get("k", fetch).reveal() == "4"


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_it_is_dropped_from_memory_by_itself():
    cache = Cache(0.05)
    cache.get("k", Count())
    assert len(cache) == 1
    until = time.monotonic() + 5
    while len(cache) and time.monotonic() < until:
        time.sleep(0.01)
    assert len(cache) == 0
    assert cache.get("k", Count()).reveal() == "1"  # and a sweeper comes again
    cache.clear()
    assert len(cache) == 0


def test_nothing_is_held_when_its_time_is_none():
    cache, fetch = Cache(0), Count()
    assert [cache.get("k", fetch).reveal() for _ in range(2)] == ["1", "2"]
    assert len(cache) == 0


def test_the_oldest_goes_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(module, "ENTRIES", 2)
    cache, fetch = Cache(60), Count()
    for key in "abc":
        cache.get(key, fetch)
    assert len(cache) == 2
    assert cache.get("c", fetch).reveal() == "3"
    assert cache.get("a", fetch).reveal() == "4"


def _at_once(cache, fetch, many=8):
    given: list[object] = []

    def ask():
        try:
            given.append(cache.get("k", fetch).reveal())
        except Failed as fault:
            given.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(many)]
    for each in threads:
        each.start()
    return threads, given


@pytest.mark.parametrize("fault", [None, Failed("It refuses.")])
def test_who_asks_at_once_shares_one_fetch_and_its_fault(fault):
    gate, count = threading.Event(), Count()
    count.fault = fault

    def fetch():
        gate.wait(5)
        return count()

    cache = Cache(60)
    threads, given = _at_once(cache, fetch)
    while not cache._flights:
        time.sleep(0.001)
    time.sleep(0.05)
    gate.set()
    for each in threads:
        each.join(5)
    assert len(given) == 8
    if fault is None:
        assert (set(given), count.asked) == ({"1"}, 1)
    else:
        assert {str(each) for each in given} == {"It refuses."}
        assert len({id(each) for each in given}) > 1, "each caller has a fault of its own to place"


@pytest.mark.security
@pytest.mark.req("SEC-V12")
@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (Failed("It refuses.", hint="Ask."), Failed, "It refuses. Ask."),
        (OSError("canary"), Internal, "Something went wrong on our side."),
        (KeyboardInterrupt("canary"), Internal, "Something went wrong on our side."),
    ],
)
def test_who_follows_hears_nothing_that_the_first_puts_into_its_fault(fault, kind, told):
    cache, kept = Cache(60), []

    def fetch():
        kept.append(cache._flights["k"])
        raise fault

    with pytest.raises(type(fault)) as first:
        cache.get("k", fetch)
    assert first.value is fault
    fault.message = "The secret 'another' does not come."
    cache._flights["k"] = kept[0]  # as for who came while it was fetched
    with pytest.raises(kind) as heard:
        cache.get("k", Count())
    assert str(heard.value) == told


def test_who_waits_for_another_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    gate, cache = threading.Event(), Cache(60)
    leader = threading.Thread(target=cache.get, args=("k", lambda: Secret(str(gate.wait(5)))))
    leader.start()
    while not cache._flights:
        time.sleep(0.001)
    with pytest.raises(Unreachable, match="in time"):
        cache.get("k", Count())
    gate.set()
    leader.join(5)


@pytest.mark.security
@pytest.mark.req("SEC-V12")
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 90), st.booleans()), max_size=30))
def test_whatever_happens_no_value_is_older_than_its_time(steps):
    clock = Clock()
    cache = Cache(60, clock)
    try:
        for key, pause, fails in steps:
            clock.now += pause

            def fetch(fails=fails):
                if fails:
                    raise Failed("no")
                return Secret(str(clock.now))

            try:
                got = float(cache.get(key, fetch).reveal())
            except Failed:
                continue
            assert 0 <= clock.now - got < 60
    finally:
        cache.clear()
