"""Second factors and recovery codes in the store, on both databases."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Missing
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "h")


@pytest.fixture
def factors(system):
    return system.factors()


@pytest.fixture
def app(factors, user):
    return factors.add(user.id, user.tenant, "phone", b"sealed")


def test_a_factor_comes_back_and_does_not_count_yet(factors, user, app, clock):
    assert factors.of(user.id) == (app,)
    assert (app.active, app.last_step, app.created, app.sealed) == (False, 0, clock.now, b"sealed")
    assert factors.owners([user.id, new_id()]) == frozenset()
    assert factors.use(app.id, 7, activate=True)
    assert factors.owners([user.id, new_id()]) == {user.id}


def test_what_was_begun_and_not_confirmed_is_replaced(factors, user, app):
    again = factors.add(user.id, user.tenant, "other", b"s2")
    assert factors.of(user.id) == (again,)
    factors.use(again.id, 1, activate=True)
    third = factors.add(user.id, user.tenant, "third", b"s3")
    assert [each.id for each in factors.of(user.id)] == [again.id, third.id]


@pytest.mark.security
@pytest.mark.req("SEC-A09")
def test_a_step_is_used_once_and_none_before_it_after(factors, app):
    assert factors.use(app.id, 10, activate=True)
    assert [factors.use(app.id, step) for step in (10, 9, 11, 11)] == [False, False, True, False]
    assert not factors.use(new_id(), 1)


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A10")
def test_of_many_at_once_one_uses_a_code(factors, user, app):
    factors.put_codes(user.id, user.tenant, [b"d1"])
    for work in (lambda: factors.use(app.id, 5), lambda: factors.use_code(user.id, b"d1")):
        got, barrier = [], threading.Barrier(8)

        def use(work=work, got=got, barrier=barrier):
            barrier.wait()
            got.append(work())

        threads = [threading.Thread(target=use) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(got) == [False] * 7 + [True]


@pytest.mark.security
@pytest.mark.req("SEC-A10")
def test_codes_are_their_owners_and_good_once(factors, user, ours):
    other = ours.people().create("d@e.f", "D", Role.EDITOR, "h")
    factors.put_codes(user.id, user.tenant, [b"1", b"2"])
    assert not factors.use_code(other.id, b"1")
    assert factors.use_code(user.id, b"1")
    assert not factors.use_code(user.id, b"1")
    assert factors.codes_left(user.id) == 1
    factors.put_codes(user.id, user.tenant, [b"3", b"4", b"5"])
    assert factors.codes_left(user.id) == 3
    assert not factors.use_code(user.id, b"2"), "the set before is void"


@pytest.mark.security
def test_with_the_last_factor_go_the_codes(factors, user, app, ours):
    factors.use(app.id, 1, activate=True)
    factors.put_codes(user.id, user.tenant, [b"1"])
    other = ours.people().create("d@e.f", "D", Role.EDITOR, "h")
    with pytest.raises(Missing):
        factors.remove(other.id, app.id)
    factors.remove(user.id, app.id)
    assert (factors.of(user.id), factors.codes_left(user.id)) == ((), 0)
    with pytest.raises(Missing):
        factors.remove(user.id, app.id)


def test_clearing_takes_all_of_one_user(factors, user, app):
    factors.put_codes(user.id, user.tenant, [b"1"])
    factors.clear(user.id)
    assert (factors.of(user.id), factors.codes_left(user.id)) == ((), 0)
