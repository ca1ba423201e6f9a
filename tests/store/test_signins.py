"""Sign-ins as their owner sees them, on both databases."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Missing
from sluicegate.base.principal import Role
from sluicegate.store.marks import Kind


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "h")


@pytest.fixture
def open_(system, clock):
    def make(user, digest, key="key", address="10.0.0.1"):
        return system.grants().open(
            user.id,
            user.tenant,
            digest,
            key,
            expires=clock.now + 900,
            absolute=clock.now + 9000,
            client="c",
            address=address,
        )

    return make


def test_one_sign_in_for_each_client_with_when_it_began_and_was_used(system, user, open_, clock):
    began = clock.now
    first = open_(user, b"1")
    clock.now += 100
    assert system.grants().rotate(b"1", b"2", "key", expires=clock.now + 900, client="d", address="10.0.0.2").grant
    second = open_(user, b"3")
    found = {each.id: each for each in system.signins().of(user.id)}
    assert set(found) == {first.family, second.family}
    mine = found[first.family]
    assert (mine.created, mine.used, mine.client, mine.address) == (began, clock.now, "d", "10.0.0.2")


@pytest.mark.security
@pytest.mark.req("SEC-A18", "SEC-Z03")
def test_only_ones_own_is_ended(system, user, ours, open_):
    other = ours.people().create("d@e.f", "D", Role.EDITOR, "h")
    mine, theirs = open_(user, b"1"), open_(other, b"2")
    with pytest.raises(Missing):
        system.signins().end(user.id, theirs.family)
    assert len(system.signins().of(other.id)) == 1
    system.signins().end(user.id, mine.family)
    assert system.signins().of(user.id) == []
    assert system.marks().revoked(mine.family, Kind.FAMILY)
    with pytest.raises(Missing):
        system.signins().end(user.id, mine.family)


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_all_others_end_and_the_one_that_asks_stays(system, user, open_):
    kept = [open_(user, bytes([number])) for number in range(3)][1]
    assert system.signins().end_others(user.id, kept.family) == 2
    assert [each.id for each in system.signins().of(user.id)] == [kept.family]
    assert system.signins().end_others(user.id, kept.family) == 0


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_a_device_is_new_when_neither_its_key_nor_its_address_has_been_seen(system, user, open_):
    new = system.signins().is_new
    assert not new(user.id, "key", "10.0.0.1"), "the very first"
    open_(user, b"1")
    assert not new(user.id, "key", "10.0.0.1")
    assert not new(user.id, "key", "10.0.0.9"), "a laptop travels"
    assert not new(user.id, "other", "10.0.0.1"), "a browser makes a key for each sign-in"
    assert new(user.id, "other", "10.0.0.9")
    system.grants().kill_user(user.id)
    assert new(user.id, "other", "10.0.0.9"), "signing out makes nobody new"
