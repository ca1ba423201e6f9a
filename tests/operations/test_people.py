from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from tests.fixtures.server import Person


@pytest.fixture
def administrator(place):
    return place.token(Role.ADMINISTRATOR)


@pytest.fixture
def root(place):
    return place.token(Role.SUPERADMIN, None)


def make(place, token, **more):
    ask = {"email": f"{new_id()}@example.org", "role": "viewer", **more}
    return place.call("user.create", ask, token)


def sign_in(place, made, password=None):
    return place.sign_in(Person(made.id, made.email, Role(made.role), "north"), password or made.password)


def test_a_tenant_is_made_active_and_listed(place, root):
    made = place.call("tenant.create", {"name": "people-a"}, root)
    assert (made.name, made.state, made.created[-1]) == ("people-a", "active", "Z")
    assert made in place.call("tenant.list", {}, root).items


def test_two_tenants_never_share_a_name(place, root):
    place.call("tenant.create", {"name": "people-b"}, root)
    with pytest.raises(Conflict):
        place.call("tenant.create", {"name": "people-b"}, root)


@pytest.mark.security
def test_a_new_tenant_is_empty(fresh):
    root = fresh.token(Role.SUPERADMIN, None)
    fresh.tenants["new"] = fresh.call("tenant.create", {"name": "new"}, root).id
    inside = fresh.sign_in(Person("", "root@example.org", Role.SUPERADMIN, "new"))["access"]
    for name in ("flow.list", "connection.list", "recipient.list", "secret.list", "run.list", "user.list"):
        assert fresh.call(name, {}, inside).items == ()


@pytest.mark.security
@pytest.mark.req("SEC-A17")
def test_a_new_user_gets_a_password_shown_once_that_must_be_changed(place, administrator):
    made = make(place, administrator, name="Ada Marsh")
    assert len(made.password) >= 15
    told = sign_in(place, made)
    assert told["must_change"] is True
    with pytest.raises(Unauthenticated):
        place.call("session.whoami", {}, told["access"])
    assert made.password not in place.call("user.list", {}, administrator).model_dump_json()


@pytest.mark.security
def test_no_two_new_users_get_the_same_password(place, administrator):
    assert len({make(place, administrator).password for _ in range(5)}) == 5


def test_a_user_without_a_name_is_called_after_the_address(place, administrator):
    made = make(place, administrator, email="grace.hopper@example.org")
    named = make(place, administrator, name="Ada Marsh")
    names = {each.id: each.name for each in place.call("user.list", {}, administrator).items}
    assert (names[made.id], names[named.id]) == ("grace.hopper", "Ada Marsh")


@pytest.mark.security
def test_one_address_is_one_user_however_it_is_written(place, administrator):
    make(place, administrator, email="Twice@Example.org")
    with pytest.raises(Conflict, match="this address already"):
        make(place, administrator, email="twice@example.ORG")


def test_the_answer_has_the_address_that_is_kept(place, administrator):
    made = make(place, administrator, email="Kept@Example.org")
    assert made.email in {each.email for each in place.call("user.list", {}, administrator).items}


@pytest.mark.parametrize("email", ["", "a", "a@", "@b", "a b@c.d", "a@b@c", "a@b\n", "x" * 251 + "@a.b"])
def test_what_is_no_address_is_refused(place, administrator, email):
    with pytest.raises(Invalid, match="email"):
        make(place, administrator, email=email)


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_a_role_above_ones_own_is_not_given_and_nobody_is_made(place, administrator):
    before = len(place.call("user.list", {}, administrator).items)
    with pytest.raises(Denied, match="above their own") as told:
        make(place, administrator, role="superadmin")
    assert told.value.where == "role"
    with pytest.raises(Invalid, match="belongs to no tenant"):
        make(place, place.token(Role.SUPERADMIN), role="superadmin")
    assert len(place.call("user.list", {}, administrator).items) == before


def test_the_list_says_when_somebody_was_last_here(place, administrator):
    made = make(place, administrator)

    def last():
        return next(
            each for each in place.call("user.list", {}, administrator).items if each.id == made.id
        ).last_sign_in

    assert last() is None
    sign_in(place, made)
    assert last().endswith("Z")


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_deactivated_user_is_shown_as_such_and_cannot_come_back_with_what_they_hold(place, administrator):
    made = make(place, administrator)
    held = sign_in(place, made)
    place.call("user.deactivate", {"id": made.id}, administrator)
    states = {each.id: each.state for each in place.call("user.list", {}, administrator).items}
    assert states[made.id] == "disabled"
    with pytest.raises(Unauthenticated):
        sign_in(place, made)
    with pytest.raises(Unauthenticated):
        place.call("session.refresh", {"refresh": held["refresh"]})


def test_deactivating_twice_is_the_same_and_a_stranger_is_missing(place, administrator):
    made = make(place, administrator)
    for _ in range(2):
        place.call("user.deactivate", {"id": made.id}, administrator)
    with pytest.raises(Missing, match="no such user"):
        place.call("user.deactivate", {"id": new_id()}, administrator)
