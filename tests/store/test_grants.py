"""Refresh tokens and marks."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.principal import Role
from sluicegate.store.grants import LEEWAY, REMEMBERED, Outcome
from sluicegate.store.marks import Kind

HOUR = 3600.0


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "h")


@pytest.fixture
def grants(system):
    return system.grants()


@pytest.fixture
def first(grants, user, clock):
    return grants.open(user.id, user.tenant, b"d0", "key", expires=clock.now + HOUR, absolute=clock.now + 12 * HOUR,
                       client="browser", address="192.0.2.1")  # fmt: skip


def rotate(grants, clock, parent, child, key="key", **options):
    return grants.rotate(parent, child, key, expires=clock.now + HOUR, client="browser", address="192.0.2.2", **options)


def rows(place):
    with place.raw() as raw:
        return raw.execute("select digest, consumed_at, killed_at from grants order by id").fetchall()


def test_a_grant_comes_back_as_it_was_opened(grants, first, user, clock):
    assert grants.find(b"d0") == first
    assert (first.user, first.tenant, first.issued, first.client) == (user.id, user.tenant, clock.now, "browser")
    assert grants.of(user.id) == [first]
    assert grants.find(b"d1") is None


@pytest.mark.security
def test_a_child_stays_in_its_family_and_within_its_life(grants, first, clock):
    clock.now += 11.5 * HOUR - 10
    assert rotate(grants, clock, b"d0", b"d1").outcome is Outcome.UNKNOWN  # idle for too long
    clock.now -= 11 * HOUR
    outcome, child = rotate(grants, clock, b"d0", b"d1")
    assert outcome is Outcome.ROTATED
    assert (child.family, child.parent, child.user, child.tenant) == (first.family, first.id, first.user, first.tenant)
    assert (child.absolute, child.expires) == (first.absolute, clock.now + HOUR)
    assert grants.find(b"d1") == child
    assert grants.rotate(b"d1", b"d2", "key", expires=clock.now + 99 * HOUR).grant.expires == first.absolute
    assert [grant.parent for grant in grants.of(first.user)] == [child.id]


@pytest.mark.security
@pytest.mark.req("SEC-T15")
@pytest.mark.parametrize(("after", "outcome"), [(HOUR - 1, "rotated"), (HOUR, "unknown"), (13 * HOUR, "unknown")])
def test_an_idle_token_ends(grants, first, clock, after, outcome):
    clock.now += after
    assert rotate(grants, clock, b"d0", b"d1").outcome == outcome


@pytest.mark.security
@pytest.mark.req("SEC-T12")
def test_a_token_presented_with_another_key_does_nothing(grants, first, clock, place):
    assert rotate(grants, clock, b"d0", b"d1", key="thief").outcome is Outcome.UNKNOWN
    assert rotate(grants, clock, b"nobody", b"d1").outcome is Outcome.UNKNOWN
    assert [row[1:] for row in rows(place)] == [(None, None)]


@pytest.mark.security
@pytest.mark.req("SEC-T13")
@pytest.mark.parametrize(
    ("after", "key", "used"),
    [(LEEWAY + 1, "key", False), (1, "thief", False), (1, "key", True)],
    ids=["late", "another key", "after the child was used"],
)
def test_a_parent_used_again_kills_the_family(grants, first, user, system, clock, after, key, used):
    rotate(grants, clock, b"d0", b"d1")
    if used:
        rotate(grants, clock, b"d1", b"d2")
    clock.now += after
    outcome, parent = rotate(grants, clock, b"d0", b"dx", key=key)
    assert (outcome, parent.id) == (Outcome.REUSED, first.id)
    for token in (b"d0", b"d1", b"d2"):
        assert grants.find(token) is None
        assert rotate(grants, clock, token, b"dy").outcome is Outcome.UNKNOWN
    assert grants.of(user.id) == []
    # and the access tokens of the family are void until the last of them would have ended
    assert [(m.kind, m.subject, m.value) for m in system.marks().since(0)] == [
        (Kind.FAMILY, first.family, first.absolute)
    ]
    assert system.marks().revoked(first.family, Kind.FAMILY)


@pytest.mark.security
@pytest.mark.req("SEC-T14")
def test_the_same_client_asking_twice_is_given_the_same_child(grants, first, clock):
    child = rotate(grants, clock, b"d0", b"d1").grant
    clock.now += LEEWAY
    assert rotate(grants, clock, b"d0", b"d1") == (Outcome.RACE, child)
    assert rotate(grants, clock, b"d0", b"other") == (Outcome.RACE, child)
    assert grants.find(b"other") is None


@pytest.mark.security
@pytest.mark.req("SEC-T14")
def test_fifty_at_once_make_one_child(grants, first, clock, place):
    outcomes, gate = [], threading.Barrier(50)

    def refresh(number):
        gate.wait()
        outcomes.append(rotate(grants, clock, b"d0", f"child-{number}".encode()))

    threads = [threading.Thread(target=refresh, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome for outcome, _ in outcomes) == ["race"] * 49 + ["rotated"]
    assert len({grant.id for _, grant in outcomes}) == 1
    assert len(rows(place)) == 2


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_families_are_ended(grants, user, system, clock):
    for number in range(3):
        grants.open(user.id, user.tenant, f"d{number}".encode(), "k", expires=clock.now + 9, absolute=clock.now + 9)
    alive = grants.of(user.id)
    assert grants.kill(alive[0].family) is True
    assert grants.kill(alive[0].family) is False
    assert [grant.id for grant in grants.of(user.id)] == [grant.id for grant in alive[1:]]
    assert grants.kill_user(user.id) == 2
    assert grants.of(user.id) == []
    assert {mark.subject for mark in system.marks().since(0)} == {grant.family for grant in alive}


def test_purging(grants, first, user, clock):
    grants.open(user.id, user.tenant, b"e", "k", expires=clock.now + 99 * HOUR, absolute=clock.now + 99 * HOUR)
    rotate(grants, clock, b"d0", b"d1")
    assert grants.purge() == 0
    clock.now = first.absolute
    assert grants.purge() == 1, "the first of a family stays for a while"
    assert grants.find(b"e") is not None
    clock.now = first.issued + REMEMBERED
    assert grants.purge() == 2


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_a_device_and_an_address_are_known_again_by_the_user_they_signed_in_as(grants, first, user, ours, clock):
    other = ours.people().create("b@b.c", "B", Role.EDITOR, "h")
    here = "192.0.2.1"
    assert grants.known(user.id, "key", here) == (True, True)
    assert grants.known(user.id, "key", "192.0.2.9") == (True, False)
    assert grants.known(user.id, "another", here) == (False, True)
    for who, key, address in ((other.id, "key", here), (user.id, "another", "192.0.2.9"), ("", "key", here)):
        assert grants.known(who, key, address) == (False, False)
    grants.kill(first.family)
    assert grants.known(user.id, "key", here) == (True, True), "who signed out is no stranger"
    clock.now = first.absolute + 1
    grants.purge()
    assert grants.known(user.id, "key", here) == (True, True), "nor is who comes back tomorrow"
    clock.now = first.issued + REMEMBERED
    assert grants.known(user.id, "key", here) == (False, False)


# --- marks
