"""One-time tickets in the store, on both databases."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Role
from sluicegate.store.tickets import KEPT, WAITING_MAX


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "h")


@pytest.fixture
def tickets(system):
    return system.tickets()


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_a_ticket_is_taken_once_and_known_as_used_after(tickets, user, clock):
    tickets.add(b"d", user.id, user.tenant, b"sealed", clock.now + 30)
    assert tickets.used(b"d") is None, "it is not used yet"
    found = tickets.take(b"d")
    assert (found.user, found.tenant, found.sealed, found.expires) == (user.id, user.tenant, b"sealed", clock.now + 30)
    assert tickets.take(b"d") is None
    assert tickets.used(b"d") == found
    assert (tickets.take(b"e"), tickets.used(b"e")) == (None, None)


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_of_many_takers_one_gets_it(tickets, user, clock):
    tickets.add(b"d", user.id, user.tenant, b"sealed", clock.now + 30)
    got, barrier = [], threading.Barrier(8)

    def take():
        barrier.wait()
        got.append(tickets.take(b"d") is not None)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(got) == [False] * 7 + [True]


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-T05")
def test_a_ticket_ends_and_is_forgotten_later(tickets, user, clock):
    tickets.add(b"d", user.id, user.tenant, b"sealed", clock.now + 30)
    clock.now += 30
    assert tickets.take(b"d") is None
    assert tickets.used(b"d") is None, "nobody has used it"
    clock.now += KEPT
    assert tickets.purge() == 0
    clock.now += 1
    assert tickets.purge() == 1


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_one_user_has_few_that_wait(tickets, user, ours, clock):
    other = ours.people().create("d@e.f", "D", Role.EDITOR, "h")
    for number in range(WAITING_MAX):
        tickets.add(bytes([number]), user.id, user.tenant, b"s", clock.now + 30)
    with pytest.raises(Throttled) as told:
        tickets.add(b"more", user.id, user.tenant, b"s", clock.now + 30)
    assert told.value.after == 30
    tickets.add(b"others", other.id, other.tenant, b"s", clock.now + 30)
    assert tickets.take(bytes([0])) is not None
    tickets.add(b"more", user.id, user.tenant, b"s", clock.now + 30)
