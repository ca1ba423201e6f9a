"""Which tenant a SuperAdmin works in: what the token says, on record in both places, and nothing a request says."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid, Missing, SluiceError, Unauthenticated
from sluicegate.base.principal import Peer, Principal, Role
from sluicegate.store.scope import TenantState
from tests.fixtures.server import Person


def switch(place, token, tenant):
    return place.call("session.switch", {"tenant": tenant}, token)


@pytest.fixture
def root(fresh):
    return fresh.sign_in(fresh.people[None, Role.SUPERADMIN])


def where(place, token):
    return place.call("session.whoami", {}, token).tenant_name


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-L02")
def test_a_switch_binds_the_token_and_is_on_record_with_the_installation_and_in_the_tenant(fresh, root):
    heads = {name: fresh.head(name) for name in (None, "north", "south")}
    with pytest.raises(Invalid, match="no tenant is chosen"):
        fresh.call("flow.list", {}, root["access"])
    first = switch(fresh, root["access"], "north")
    assert (first.tenant, where(fresh, first.access)) == ("north", "north")
    assert fresh.call("flow.list", {}, first.access).items == ()
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, root["access"])
    second = switch(fresh, first.access, "south")
    with pytest.raises(Unauthenticated):
        fresh.call("flow.list", {}, first.access)
    third = switch(fresh, second.access, None)
    assert (third.tenant, where(fresh, third.access)) == (None, None)
    told = {
        name: [(each["result"], each["about"]) for each in fresh.records(name, after=heads[name])]
        for name in (None, "north", "south")
    }
    me = {"email": "root@example.org"}
    assert told["north"] == told["south"] == [("ok", me), ("left", me)], "a tenant learns of no other"
    assert [about for _, about in told[None]] == [{**me, "tenant": "north"}, {**me, "tenant": "south"}, me]
    seen = fresh.call("audit.list", {"action": "session.switch"}, fresh.token(Role.ADMINISTRATOR)).items
    assert [(each.result, each.role) for each in seen] == [("left", "superadmin"), ("ok", "superadmin")]


@pytest.mark.security
@pytest.mark.req("SEC-T13")
def test_a_refresh_stays_where_the_sign_in_was_switched_to(fresh, root):
    switch(fresh, root["access"], "south")
    kept = fresh.call("session.refresh", {"refresh": root["refresh"]})
    assert where(fresh, kept.access) == "south"
    again = switch(fresh, kept.access, None)
    kept = fresh.call("session.refresh", {"refresh": kept.refresh})
    assert where(fresh, kept.access) is where(fresh, again.access) is None


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_nobody_comes_into_a_suspended_tenant_and_a_refresh_leaves_it(fresh, root):
    tenants = fresh.app.services.system.tenants()
    inside = switch(fresh, root["access"], "north")
    tenants.set_state(fresh.tenants["north"], TenantState.SUSPENDED)
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, inside.access)
    kept = fresh.call("session.refresh", {"refresh": root["refresh"]})
    assert where(fresh, kept.access) is None, "signed in still, and in there no more"
    with pytest.raises(Denied, match="suspended"):
        switch(fresh, kept.access, "north")
    with pytest.raises(Denied, match="suspended"):
        fresh.sign_in(Person("", "root@example.org", Role.SUPERADMIN, "north"))
    tenants.set_state(fresh.tenants["north"], TenantState.ACTIVE)
    kept = fresh.call("session.refresh", {"refresh": kept.refresh})
    assert where(fresh, kept.access) is None, "and does not come back by itself"


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-Z08")
@pytest.mark.parametrize("role", [each for each in Role if each is not Role.SUPERADMIN])
def test_nobody_else_switches_not_even_past_the_gate(place, role):
    who = place.people["north", role]
    for tenant in ("north", "south", None):
        with pytest.raises(Denied):
            switch(place, place.token(who), tenant)
    principal = Principal(who.id, place.tenants["north"], role)
    with pytest.raises(Denied):
        place.app.services.switch.to(principal, "south", Peer("10.0.0.1"))


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
def test_an_unknown_tenant_changes_nothing_and_nothing_but_the_token_chooses_one(fresh, root):
    before = fresh.head(None)
    with pytest.raises(Missing):
        switch(fresh, root["access"], "nowhere")
    assert fresh.head(None) == before
    for more in ({"headers": {"x-tenant": "north"}}, {"headers": {"x-tenant-id": fresh.tenants["north"]}}):
        answer = fresh.request("GET", "/api/v1/flows", root["access"], **more)
        assert answer.json()["title"] == "no tenant is chosen"
    with pytest.raises(SluiceError, match="unknown key"):
        fresh.call("flow.list", {"tenant": "north"}, root["access"])


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_sign_in_that_is_over_is_not_switched(fresh, root):
    who = Principal(fresh.people[None, Role.SUPERADMIN].id, None, Role.SUPERADMIN, grant="gone", token="t")
    before = fresh.head(), fresh.head(None)
    with pytest.raises(Missing):
        fresh.app.services.switch.to(who, "north", Peer("10.0.0.1"))
    assert (fresh.head(), fresh.head(None)) == before


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_a_superadmins_sign_in_to_a_tenant_is_on_record_in_both_places(fresh):
    heads = fresh.head(), fresh.head(None)
    fresh.sign_in(fresh.people["north", Role.SUPERADMIN])
    (here,), (above,) = fresh.records(after=heads[0]), fresh.records(None, after=heads[1])
    assert (here["action"], here["about"]) == ("session.login", {"email": "root@example.org"})
    assert (above["action"], above["about"]["tenant"]) == ("session.login", "north")


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-Z08")
def test_a_tenant_that_asks_for_a_second_factor_is_not_entered_without(fresh, root):
    tenants = fresh.app.services.system.tenants()
    tenants.set_policy(fresh.tenants["north"], {"factor_required": True})
    with pytest.raises(Denied, match="second factor"):
        switch(fresh, root["access"], "north")
    assert where(fresh, switch(fresh, root["access"], "south").access) == "south"
    again = fresh.sign_in(fresh.people[None, Role.SUPERADMIN])
    who = fresh.app.services.login.authenticate(fresh.credentials(again["access"]))
    fresh.app.services.login.proved(who, factor=True)  # as a code that was right does
    assert where(fresh, switch(fresh, again["access"], "north").access) == "north"


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-Z08")
def test_a_refresh_leaves_a_tenant_that_asks_for_a_second_factor_by_now(fresh, root):
    switch(fresh, root["access"], "north")
    fresh.set_policy(factor_required=True)
    left = fresh.call("session.refresh", {"refresh": root["refresh"]})
    assert (left.standing, where(fresh, left.access)) == ("signed in", None)
    with pytest.raises(Denied, match="second factor"):
        switch(fresh, left.access, "north")
    assert where(fresh, switch(fresh, left.access, "south").access) == "south"


@pytest.mark.security
@pytest.mark.req("SEC-T14")
def test_a_refresh_at_the_same_moment_is_bound_too(fresh, root, monkeypatch):
    """It rotates the token between our looking and our writing: the child is the one to bind."""
    services = fresh.app.services
    bind = type(services.system.grants()).bind
    seen = []

    def late(self, family, tenant):
        if not seen:
            seen.append(fresh.call("session.refresh", {"refresh": root["refresh"]}))
        return bind(self, family, tenant)

    monkeypatch.setattr(type(services.system.grants()), "bind", late)
    switched = switch(fresh, root["access"], "north")
    assert where(fresh, switched.access) == "north"
    kept = fresh.call("session.refresh", {"refresh": seen[0].refresh})
    assert where(fresh, kept.access) == "north"


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-Z02")
def test_all_that_a_sign_in_was_given_for_the_place_before_is_void_in_every_tab(fresh, root):
    tab = fresh.call("session.refresh", {"refresh": root["refresh"]})
    other = fresh.sign_in(fresh.people[None, Role.SUPERADMIN])
    inside = switch(fresh, root["access"], "north")
    late = fresh.call("session.refresh", {"refresh": tab.refresh})
    again = switch(fresh, inside.access, "south")
    for each in (root["access"], tab.access, inside.access, late.access):
        with pytest.raises(Unauthenticated):
            fresh.call("session.whoami", {}, each)
    assert where(fresh, again.access) == "south"
    kept = fresh.call("session.refresh", {"refresh": late.refresh})
    assert where(fresh, kept.access) == "south", "what the sign-in is given from then on holds"
    assert where(fresh, other["access"]) is None, "another sign-in of theirs goes on where it was"


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-T14")
def test_a_refresh_that_began_before_a_switch_gives_nothing_for_the_place_before(fresh, root, monkeypatch):
    grants, made = fresh.app.services.login.grants, []
    give = grants._grant

    def late(*words):
        if not made:
            made.append(switch(fresh, root["access"], "north"))
        return give(*words)

    monkeypatch.setattr(grants, "_grant", late)
    kept = fresh.call("session.refresh", {"refresh": root["refresh"]})
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, kept.access)
    assert where(fresh, made[0].access) == "north"
    assert where(fresh, fresh.call("session.refresh", {"refresh": kept.refresh}).access) == "north"


@pytest.mark.security
@pytest.mark.req("SEC-T09")
@pytest.mark.parametrize("what", ["deactivated", "suspended"])
def test_a_switch_hides_nothing_that_was_marked_meanwhile(fresh, root, monkeypatch, what):
    """The token it gives counts as made after its own mark: what came just before must not be passed over."""
    system, rules = fresh.app.services.system, fresh.app.services.rules
    me = fresh.people[None, Role.SUPERADMIN].id
    look = rules.fresh

    def late(tenant):
        if what == "deactivated":
            system.marks().raise_user(me)
        else:
            system.tenants().set_state(fresh.tenants["north"], TenantState.SUSPENDED)
        return look(tenant)

    monkeypatch.setattr(fresh.app.services.switch._rules, "fresh", late)
    before = fresh.head()
    with pytest.raises(Unauthenticated):
        switch(fresh, root["access"], "north")
    assert fresh.head() == before
    assert {each.tenant for each in system.grants().of(me)} == {None}
