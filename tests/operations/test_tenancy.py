"""A tenant's policy, shown and set."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Corrupt, Denied, Unauthenticated
from sluicegate.base.principal import Role


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_everybody_sees_it_and_administrators_set_it(fresh):
    assert fresh.call("policy.get", {}, fresh.token(Role.VIEWER)).factor_required is False
    with pytest.raises(Denied):
        fresh.call("policy.set", {"factor_required": True}, fresh.token(Role.EDITOR))
    assert fresh.call("policy.set", {"factor_required": True}, fresh.token(Role.ADMINISTRATOR)).factor_required is True
    assert fresh.call("policy.get", {}, fresh.token(Role.VIEWER, "south")).factor_required is False


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_new_policy_holds_at_once_and_the_same_again_ends_nothing(fresh):
    viewer, admin = fresh.token(Role.VIEWER), fresh.token(Role.ADMINISTRATOR)
    fresh.call("policy.set", {"factor_required": False}, admin)
    assert fresh.call("session.whoami", {}, viewer)
    fresh.call("policy.set", {"factor_required": True}, admin)
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, viewer)


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_it_says_what_holds_where_it_comes_from_and_what_may_be_set(fresh):
    admin = fresh.token(Role.ADMINISTRATOR)
    told = {each.name: each for each in fresh.call("policy.get", {}, admin).items}
    assert {each.origin for each in told.values()} == {"installation"}
    assert (told["key_days"].value, told["key_days"].may) == (365, "stricter")
    with pytest.raises(Denied, match="365 or less") as why:
        fresh.call("policy.set", {"key_days": 400}, admin)
    assert why.value.where == "key_days"
    made = fresh.call("policy.set", {"key_days": 30}, admin)
    told = {each.name: each for each in made.items}
    assert (made.key_days, told["key_days"].origin, told["key_days"].installation) == (30, "tenant", 365)
    assert told["support_hours"].origin == "installation"
    fresh._tokens.clear()
    assert fresh.call("policy.get", {}, fresh.token(Role.VIEWER)) == made
    assert fresh.call("policy.get", {}, fresh.token(Role.VIEWER, "south")).key_days == 365


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_of_two_who_have_read_the_same_one_sets_it(fresh):
    admin = fresh.token(Role.ADMINISTRATOR)
    read = fresh.call("policy.get", {}, admin).revision
    assert read == fresh.call("policy.get", {}, fresh.token(Role.VIEWER)).revision
    made = fresh.call("policy.set", {"idle_minutes": 60, "revision": read}, admin)
    assert made.revision != read
    fresh._tokens.clear()
    admin = fresh.token(Role.ADMINISTRATOR)
    with pytest.raises(Conflict, match="not the one that you have read") as why:
        fresh.call("policy.set", {"key_days": 30, "revision": read}, admin)
    assert why.value.where == "revision"
    assert fresh.call("policy.get", {}, admin) == made
    assert (
        fresh.call("policy.set", {"idle_minutes": 60, "key_days": 30, "revision": made.revision}, admin).key_days == 30
    )


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_a_change_between_reading_and_writing_is_not_lost(fresh):
    tenants = fresh.app.services.system.tenants()
    was = tenants.get(fresh.tenants["north"])
    tenants.set_policy(was.id, {"factor_required": True})
    with pytest.raises(Conflict, match="meanwhile"):
        tenants.set_policy(was.id, {"key_days": 30}, was=was.policy)
    assert tenants.get(was.id).policy == {"factor_required": True}


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_a_refused_policy_sets_nothing(fresh):
    admin = fresh.token(Role.ADMINISTRATOR)
    with pytest.raises(Denied):
        fresh.call("policy.set", {"factor_required": True, "key_days": 400}, admin)
    assert fresh.call("policy.get", {}, admin).factor_required is False


def test_a_policy_that_cannot_be_read_is_mended_by_a_superadmin(fresh):
    root = fresh.sign_in(fresh.people["north", Role.SUPERADMIN])["access"]
    tenants = fresh.app.services.system.tenants()
    tenants.set_policy(fresh.tenants["north"], {"no": "policy"}, void=False)
    fresh.app.services.rules.forget(fresh.tenants["north"])
    with pytest.raises(Corrupt):
        fresh.call("policy.get", {}, root)
    assert fresh.call("policy.set", {"key_days": 30}, root).key_days == 30
    assert fresh.sign_in(fresh.people["north", Role.VIEWER])
