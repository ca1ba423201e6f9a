"""API keys in the store, on both databases."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Missing
from sluicegate.base.model import new_id
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.store.apikeys import family
from sluicegate.store.marks import Kind
from sluicegate.store.people import UserKind, UserState
from sluicegate.store.scope import TenantState

FLOWS = frozenset({Permission.FLOW_READ, Permission.RUN_READ})


def add(scope, user, digest=b"d", **more):
    given = {"scopes": FLOWS, "addresses": ("10.0.0.0/8",), "expires": scope.database.clock() + 100, **more}
    return scope.api_keys().create(new_id(), user, "a-key", digest, **given)


@pytest.fixture
def user(ours):
    return ours.people().create_service("robot", Role.EDITOR).id


def test_a_key_is_found_by_its_digest_with_its_owner(ours, user, system, clock):
    made = add(ours, user)
    assert (made.created, made.created_by, made.uses, made.seen) == (clock.now, ours.author, 0, clock.now)
    assert ours.api_keys().get(made.id) == made
    assert ours.api_keys().list() == ours.api_keys().list(user) == [made]
    assert ours.api_keys().list("another") == []
    found = system.api_keys().find(b"d")
    assert (found.key, found.role, found.active) == (made, Role.EDITOR, True)
    assert system.api_keys().find(b"e") is None
    assert ours.people().get(user).kind is UserKind.SERVICE


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z03")
def test_a_key_belongs_to_a_user_of_its_own_tenant(ours, theirs, user, system):
    root = system.accounts().create("root@example.org", "Root", Role.SUPERADMIN, "hash").id
    for scope, owner in ((theirs, user), (ours, root), (ours, new_id())):
        with pytest.raises(Missing, match="no such user"):
            add(scope, owner)
    assert ours.api_keys().list() == theirs.api_keys().list() == []


@pytest.mark.security
@pytest.mark.req("SEC-K04")
def test_a_use_is_counted_and_only_of_a_key_that_lives(ours, user, system, clock):
    made, over = add(ours, user), add(ours, user, b"e", expires=clock.now)
    clock.now += 5
    assert system.api_keys().use(made.id, "192.0.2.1") is True
    assert system.api_keys().use(over.id, "192.0.2.1") is False
    assert system.api_keys().use(new_id(), "192.0.2.1") is False
    found = ours.api_keys().get(made.id)
    assert (found.last_used, found.last_address, found.uses, found.seen) == (clock.now, "192.0.2.1", 1, clock.now)
    ours.api_keys().end(made.id, "revoked")
    assert system.api_keys().use(made.id, "192.0.2.2") is False
    assert ours.api_keys().get(made.id).uses == 1


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T09")
def test_a_key_ends_once_and_its_tokens_are_marked(ours, user, system, clock):
    made = add(ours, user)
    assert ours.api_keys().end(made.id, "revoked") is True
    clock.now += 5
    assert ours.api_keys().end(made.id, "leaked") is False
    found = ours.api_keys().get(made.id)
    assert (found.ended, found.ended_why) == (clock.now - 5, "revoked")
    assert system.marks().revoked(family(made.id), Kind.FAMILY)
    with pytest.raises(Missing):
        ours.api_keys().end(new_id(), "revoked")


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T09")
@pytest.mark.parametrize("by", ["scope", "system"])
def test_keys_end_with_a_new_role_or_a_deactivation_and_not_with_a_password(ours, user, system, by):
    people = ours.people() if by == "scope" else system.accounts()
    first, others = add(ours, user), add(ours, ours.people().create_service("other", Role.VIEWER).id, b"o")
    people.set_password(user, "hash")
    people.touch_sign_in(user)
    people.set_addresses(user, ("10.0.0.0/8",))
    assert ours.api_keys().get(first.id).ended is None
    people.set_role(user, Role.VIEWER)
    second = add(ours, user, b"2")
    people.set_state(user, UserState.DISABLED)
    assert [ours.api_keys().get(each.id).ended_why for each in (first, second)] == ["role changed", "owner disabled"]
    assert ours.api_keys().get(others.id).ended is None
    assert system.api_keys().find(b"2").active is False
    people.set_state(user, UserState.ACTIVE)
    assert ours.api_keys().get(second.id).ended_why == "owner disabled", "it does not come back"


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_the_owner_of_a_suspended_tenant_is_not_active(ours, user, system):
    add(ours, user)
    system.tenants().set_state(ours.tenant, TenantState.SUSPENDED)
    assert system.api_keys().find(b"d").active is False


@pytest.mark.security
@pytest.mark.req("SEC-K04")
def test_unused_keys_are_ended_by_exactly_one_of_many(ours, theirs, user, system, clock):
    other = theirs.people().create_service("robot", Role.EDITOR).id
    old, used, foreign = add(ours, user), add(ours, user, b"u"), add(theirs, other, b"f")
    clock.now += 50
    system.api_keys().use(used.id, "192.0.2.1")
    found, gate = [], threading.Barrier(4)

    def sweep():
        gate.wait()
        found.extend(system.api_keys().end_unused(clock.now - 50))

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.id for each in found) == sorted([old.id, foreign.id])
    assert ours.api_keys().get(used.id).ended is None
    assert {each.ended_why for each in found} == {"unused"}
