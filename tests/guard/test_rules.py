"""From where one may come: the lists of installation, tenant, user and key, at the gate and at sign-in."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.principal import Peer, Principal, Role
from sluicegate.base.settings import Limits, Passwords, Server
from sluicegate.guard.revocation import Revocation
from sluicegate.guard.rules import KEPT, Rules
from tests.fixtures.server import PASSWORD, Place

HOME, AWAY = "192.0.2.7", "198.51.100.7"
OWN = "10.0.0.0/8"  # where the people of the tests sign in from
LIST = ["192.0.2.0/24", OWN]


def refused(place, operation, token, peer, ask=None):
    """Ask; return the list that refused, as the newest record says it."""
    before = place.head(), place.head(None)
    try:
        place.call(operation, ask or {}, token, peer)
    except Denied:
        found = place.records(after=before[0]) + place.records(None, after=before[1])
        told = [each for each in found if each["result"] == "denied" and "list" in each.get("about", {})]
        assert [each["address"] for each in told] == [peer]
        return told[0]["about"]["list"]
    return ""


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-L02")
def test_a_tenants_list_holds_for_all_of_its_people_and_for_nobody_else(fresh):
    south = fresh.token(Role.VIEWER, "south")
    fresh.set_policy(HOME, addresses=LIST)
    admin, viewer = fresh.token(Role.ADMINISTRATOR), fresh.token(Role.VIEWER)
    assert fresh.call("policy.get", {}, admin, HOME).addresses == tuple(LIST)
    for token in (admin, viewer):
        assert refused(fresh, "flow.list", token, AWAY) == "tenant"
        assert refused(fresh, "flow.list", token, HOME) == ""
        assert refused(fresh, "flow.list", token, f"::ffff:{HOME}") == ""
    assert refused(fresh, "flow.list", south, AWAY) == ""
    assert refused(fresh, "flow.list", fresh.token(Role.SUPERADMIN), AWAY) == "", "who can mend it is not locked out"
    fresh.set_policy(HOME)
    assert refused(fresh, "flow.list", fresh.token(Role.VIEWER), AWAY) == ""


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-L02")
def test_sign_in_and_refresh_are_held_to_the_lists_once_the_password_was_right(fresh):
    who = fresh.people["north", Role.VIEWER]
    first = fresh.sign_in(who)
    fresh.set_policy(HOME, addresses=LIST)
    ask = {"tenant": "north", "email": who.email, "password": PASSWORD}
    assert refused(fresh, "session.login", None, AWAY, ask) == "tenant"
    assert refused(fresh, "session.refresh", None, AWAY, {"refresh": first["refresh"]}) == "tenant"
    assert refused(fresh, "session.login", None, HOME, ask) == ""
    with pytest.raises(Exception, match="Wrong tenant, email or password"):  # a stranger learns nothing of the list
        fresh.call("session.login", {**ask, "password": "wrong"}, None, AWAY)


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_users_list_holds_for_that_user_and_for_their_keys(fresh):
    admin, who = fresh.token(Role.ADMINISTRATOR), fresh.people["north", Role.EDITOR]
    token, key = fresh.token(who), fresh.new_key(who, ["flow:read"])
    fresh.call("user.addresses", {"id": who.id, "addresses": LIST}, admin)
    assert refused(fresh, "flow.list", token, AWAY) == "user"
    assert refused(fresh, "flow.list", token, HOME) == ""
    assert refused(fresh, "flow.list", fresh.token(Role.VIEWER), AWAY) == ""
    assert refused(fresh, "flow.list", fresh.exchange(key.key, HOME), AWAY) == "user"
    shown = {each.id: each.addresses for each in fresh.call("user.list", {}, admin).items}
    assert shown[who.id] == tuple(LIST)


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_key_is_used_from_its_own_networks_only(place):
    key = place.new_key(place.people["north", Role.EDITOR], ["flow:read"], addresses=LIST)
    token = place.exchange(key.key, HOME)
    assert refused(place, "flow.list", token, HOME) == ""
    assert refused(place, "flow.list", token, AWAY) == "key"


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-N08")
def test_the_installations_list_holds_for_everybody_and_before_a_password_is_looked_at(tmp_path):
    cheap = {"passwords": Passwords(memory=19456, rounds=2), "limits": Limits(public="1000/minute")}
    place = Place(tmp_path / "home", server=Server(access_log=False, addresses=("10.0.0.0/8", HOME)), **cheap).settle()
    try:
        for role in (Role.SUPERADMIN, Role.VIEWER):
            assert refused(place, "flow.list", place.token(role), AWAY) == "system"
            assert refused(place, "flow.list", place.token(role), HOME) == ""
        who = place.people["north", Role.VIEWER]
        for password in (PASSWORD, "wrong"):
            ask = {"tenant": "north", "email": who.email, "password": password}
            assert refused(place, "session.login", None, AWAY, ask) == "system"
        assert place.call("system.health", {}, None, AWAY).status == "ok"
    finally:
        place.close()


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_nobody_locks_themselves_out(fresh):
    me = fresh.people["north", Role.ADMINISTRATOR]
    for operation, ask in (("policy.set", {}), ("user.addresses", {"id": me.id})):
        fresh._tokens.clear()
        admin = fresh.token(Role.ADMINISTRATOR)
        with pytest.raises(Invalid, match=f"{AWAY} is not in it"):
            fresh.call(operation, {**ask, "addresses": LIST}, admin, AWAY)
        assert refused(fresh, "flow.list", admin, AWAY) == ""
        fresh.call(operation, {**ask, "addresses": [*LIST, AWAY]}, admin, AWAY)
        fresh._tokens.clear()
        assert refused(fresh, "flow.list", fresh.token(Role.ADMINISTRATOR), AWAY) == ""


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_nobody_sets_the_list_of_somebody_above(fresh):
    from sluicegate.store.people import UserState

    root = fresh.token(Role.SUPERADMIN)
    above = fresh.add("north", Role.ADMINISTRATOR, "above@north.example")
    fresh.call("user.addresses", {"id": above.id, "addresses": LIST}, root)
    assert fresh.scope("north").people().get(above.id).addresses == tuple(LIST)
    assert fresh.scope("north").people().get(above.id).state is UserState.ACTIVE
    with pytest.raises(Exception, match="no such user"):
        fresh.call("user.addresses", {"id": fresh.people[None, Role.SUPERADMIN].id}, fresh.token(Role.ADMINISTRATOR))


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_change_reaches_other_nodes_by_its_mark_and_a_lost_one_within_a_minute(fresh):
    services, now = fresh.app.services, [1000.0]
    node = Rules(services.system, services.audit, services.rules.bounds, (), lambda: now[0])
    tenant = fresh.tenants["north"]
    assert node.policy(tenant).addresses == ()
    services.system.tenants().set_policy(tenant, {"addresses": LIST})
    assert node.policy(tenant).addresses == (), "kept in memory"
    now[0] += KEPT + 1
    assert node.policy(tenant).addresses == tuple(LIST)
    feed = Revocation(services.system)
    feed.on_rules = node.forget
    feed.pull()
    assert node.policy(tenant).addresses == tuple(LIST)
    services.system.tenants().set_policy(tenant, {})
    who = fresh.people["north", Role.VIEWER].id
    assert node.refused_by(Principal(who, tenant, Role.VIEWER), AWAY) == "tenant"
    fresh.scope("north").people().set_addresses(who, (HOME,))
    feed.pull()
    assert node.policy(tenant).addresses == ()
    assert node.refused_by(Principal(who, tenant, Role.VIEWER), AWAY) == "user"
    fresh.scope("north").people().set_addresses(who, ())
    feed.pull()
    assert node.refused_by(Principal(who, tenant, Role.VIEWER), AWAY) == ""


@pytest.mark.security
def test_what_was_read_before_a_change_is_not_kept_after_it(fresh, monkeypatch):
    services, tenant = fresh.app.services, fresh.tenants["north"]
    node = Rules(services.system, services.audit, services.rules.bounds)
    read = node._read_tenant

    def slow(subject):
        found = read(subject)
        services.system.tenants().set_policy(tenant, {"addresses": LIST})
        node.forget(subject)  # the mark comes while the old list is on its way
        return found

    monkeypatch.setattr(node, "_read_tenant", slow)
    assert node.policy(tenant).addresses == ()
    monkeypatch.setattr(node, "_read_tenant", read)
    assert node.policy(tenant).addresses == tuple(LIST)


@pytest.mark.security
def test_what_is_no_address_is_on_no_list(fresh):
    rules, who = fresh.app.services.rules, fresh.people["north", Role.VIEWER]
    fresh.set_policy(HOME, addresses=LIST)
    viewer = Principal(who.id, fresh.tenants["north"], Role.VIEWER)
    for nowhere in ("", "unix:", "localhost"):
        with pytest.raises(Denied):
            rules.require("flow.list", viewer, Peer(nowhere))
