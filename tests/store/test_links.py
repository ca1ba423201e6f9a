"""One-time links in the store, on both databases."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.store.links import KEPT, Purpose
from sluicegate.store.people import UserState


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "h")


@pytest.fixture
def links(system):
    return system.links()


def test_a_link_comes_back_by_its_digest_and_purpose(links, user, clock):
    made = links.add(user, "reset", b"d", "a@b.c", clock.now + 60)
    assert links.find("reset", b"d") == made
    assert (made.user, made.tenant, made.purpose, made.created) == (user.id, user.tenant, Purpose.RESET, clock.now)


@pytest.mark.security
@pytest.mark.req("SEC-T17", "SEC-A08")
def test_a_link_is_good_for_one_purpose_until_its_time_and_once(links, user, clock):
    links.add(user, "reset", b"d", "a@b.c", clock.now + 60)
    assert links.find("invitation", b"d") is None
    assert not links.take("email", b"d")
    assert not links.take("reset", b"e")
    clock.now += 59
    assert links.find("reset", b"d")
    assert links.take("reset", b"d")
    assert not links.take("reset", b"d")
    links.add(user, "reset", b"f", "a@b.c", clock.now + 60)
    clock.now += 60
    assert links.find("reset", b"f") is None
    assert not links.take("reset", b"f")


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_a_new_link_ends_the_one_before_it(links, user, ours, clock):
    other = ours.people().create("d@e.f", "D", Role.EDITOR, "h")
    for digest, whose in ((b"1", user), (b"2", other), (b"3", user)):
        links.add(whose, "reset", digest, "x", clock.now + 60)
    links.add(user, "email", b"4", "x", clock.now + 60)
    assert [bool(links.find("reset", each)) for each in (b"1", b"2", b"3")] == [False, True, True]


@pytest.mark.security
@pytest.mark.req("SEC-A08")
@pytest.mark.parametrize(
    "change",
    [
        lambda people, user: people.set_password(user.id, "n"),
        lambda people, user: people.set_state(user.id, UserState.DISABLED),
        lambda people, user: people.set_role(user.id, Role.VIEWER),
    ],
    ids=["password", "state", "role"],
)
def test_what_makes_tokens_void_makes_links_void_too_but_no_invitation(links, user, ours, clock, change):
    for purpose in ("reset", "email", "invitation"):
        links.add(user, purpose, purpose.encode(), "x", clock.now + 60)
    change(ours.people(), user)
    assert links.find("reset", b"reset") is None
    assert not links.take("email", b"email")
    assert links.take("invitation", b"invitation")


@pytest.mark.security
def test_of_many_at_once_one_takes_a_link(links, user, clock):
    links.add(user, "invitation", b"d", "x", clock.now + 60)
    got, barrier = [], threading.Barrier(8)

    def take():
        barrier.wait()
        got.append(links.take("invitation", b"d"))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(got) == [False] * 7 + [True]


def test_who_waits_is_told_until_when(links, user, clock):
    assert links.waiting([user.id, new_id()], "invitation") == {}
    links.add(user, "invitation", b"1", "x", clock.now + 60)
    links.add(user, "invitation", b"2", "x", clock.now + 90)
    assert links.waiting([user.id], "invitation") == {user.id: clock.now + 90}
    assert links.end(user.id, "invitation") == 1
    assert links.waiting([user.id], "invitation") == {}


def test_what_is_long_over_is_forgotten(links, user, clock):
    links.add(user, "reset", b"1", "x", clock.now + 60)
    links.add(user, "email", b"2", "x", clock.now + 2 * KEPT)
    clock.now += KEPT + 61
    assert links.purge() == 1
    assert links.find("email", b"2")
