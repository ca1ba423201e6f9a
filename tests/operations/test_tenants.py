"""Tenants that are suspended, and the SuperAdmins above them."""

from __future__ import annotations

import threading

import pyotp
import pytest

from sluicegate.base.errors import Conflict, Denied, Missing, SluiceError, StepUp, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.guard import login
from tests.fixtures.server import PASSWORD, Person

CHOSEN = "nine tall lamps by the quay"


@pytest.fixture
def root(fresh):
    return fresh.token(Role.SUPERADMIN, None)


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-L02")
def test_a_suspended_tenant_is_closed_to_tokens_sign_ins_and_keys_until_it_is_resumed(fresh, root):
    who = fresh.people["north", Role.EDITOR]
    held, key = fresh.sign_in(who), fresh.new_key(who, ["flow:read"])
    other, by_key, before = fresh.token(Role.EDITOR, "south"), fresh.exchange(key.key), fresh.head()
    fresh.call("tenant.suspend", {"id": fresh.tenants["north"]}, root)
    for dead in (held["access"], by_key):
        with pytest.raises(Unauthenticated):
            fresh.call("flow.list", {}, dead)
    for way in (
        lambda: fresh.call("session.refresh", {"refresh": held["refresh"]}),
        lambda: fresh.sign_in(who),
        lambda: fresh.exchange(key.key),
    ):
        with pytest.raises(Unauthenticated):
            way()
    assert fresh.call("flow.list", {}, other).items == ()
    states = {each.name: each.state for each in fresh.call("tenant.list", {}, root).items}
    assert states == {"north": "suspended", "south": "active"}
    fresh.call("tenant.suspend", {"id": fresh.tenants["north"]}, root)  # once more changes nothing
    fresh.call("tenant.resume", {"id": fresh.tenants["north"]}, root)
    with pytest.raises(Unauthenticated):
        fresh.call("flow.list", {}, held["access"])
    assert fresh.call("flow.list", {}, fresh.sign_in(who)["access"]).items == ()
    assert fresh.call("flow.list", {}, fresh.exchange(key.key)).items == ()
    told = [each for each in fresh.records(after=before) if each["action"].startswith("tenant.")]
    assert [(each["action"], each["role"]) for each in told] == [
        ("tenant.suspend", "superadmin"),
        ("tenant.resume", "superadmin"),
    ]


@pytest.mark.security
@pytest.mark.req("SEC-Z05")
def test_what_concerns_the_installation_is_on_no_tenants_record(fresh):
    inside, before, above = fresh.token(Role.SUPERADMIN, "north"), fresh.head(), fresh.head(None)
    fresh.call("tenant.create", {"name": "secret-customer"}, inside)
    fresh.call("superadmin.create", {"email": "new@example.org"}, inside)
    assert fresh.head() == before
    assert fresh.head(None) == above + 4
    seen = fresh.call("audit.list", {"limit": 9}, fresh.token(Role.SUPERADMIN, None)).items
    assert {each.action for each in seen} >= {"tenant.create", "superadmin.create"}
    mine = fresh.call("audit.list", {}, inside).model_dump_json()
    assert "secret-customer" not in mine


def test_a_tenant_that_is_not_there_is_missing(fresh, root):
    for operation in ("tenant.suspend", "tenant.resume"):
        with pytest.raises(Missing, match="no such tenant"):
            fresh.call(operation, {"id": new_id()}, root)


# --- SuperAdmins


def second(place, root):
    """Make another SuperAdmin who has chosen a password."""
    made = place.call("superadmin.create", {"email": f"{new_id()}@example.org", "name": "Two"}, root)
    who = Person(made.id, made.email, Role.SUPERADMIN, None)
    waiting = place.sign_in(who, made.password)
    assert waiting["must_change"] is True
    place.call("session.password", {"old": made.password, "new": CHOSEN}, waiting["access"])
    return who, place.sign_in(who, CHOSEN)["access"]


@pytest.mark.security
@pytest.mark.req("SEC-Z08", "SEC-T09")
def test_one_superadmin_makes_another_and_may_end_them(fresh, root):
    who, token = second(fresh, root)
    assert fresh.call("tenant.list", {}, token)
    assert [each.name for each in fresh.call("superadmin.list", {}, root).items] == ["Two", "Root"]
    fresh.call("superadmin.deactivate", {"id": who.id}, root)
    with pytest.raises(Unauthenticated):
        fresh.call("tenant.list", {}, token)
    with pytest.raises(Unauthenticated):
        fresh.sign_in(who, CHOSEN)
    fresh.call("superadmin.activate", {"id": who.id}, root)
    assert fresh.sign_in(who, CHOSEN)["standing"] == "signed in"


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_the_last_superadmin_who_can_sign_in_stays(fresh, root):
    with pytest.raises(Denied, match="themselves"):
        fresh.call("superadmin.deactivate", {"id": fresh.people[None, Role.SUPERADMIN].id}, root)
    waiting = fresh.call("superadmin.create", {"email": "waits@example.org"}, root)
    who, token = second(fresh, root)
    fresh.call("superadmin.deactivate", {"id": fresh.people[None, Role.SUPERADMIN].id}, token)
    with pytest.raises(Conflict, match="last SuperAdmin"):
        fresh.app.services.system.accounts().set_state(who.id, "disabled")
    states = {each.id: each.state for each in fresh.call("superadmin.list", {}, token).items}
    assert (states[who.id], states[waiting.id]) == ("active", "active")


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_of_two_who_deactivate_each_other_at_once_one_stays(fresh, root):
    who, token = second(fresh, root)
    pairs = [(root, who.id), (token, fresh.people[None, Role.SUPERADMIN].id)]
    barrier, told = threading.Barrier(2), []

    def end(token, user):
        barrier.wait()
        try:
            fresh.call("superadmin.deactivate", {"id": user}, token)
            told.append("done")
        except SluiceError as fault:
            told.append(fault.code)

    threads = [threading.Thread(target=end, args=pair) for pair in pairs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert told.count("done") == 1
    assert set(told) <= {"done", "conflict", "unauthenticated"}
    left = [each for each in fresh.app.services.system.accounts().superadmins() if each.state == "active"]
    assert len(left) == 1


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_nobody_of_a_tenant_is_reached_here_and_no_superadmin_there(fresh, root):
    user = fresh.people["north", Role.EDITOR]
    for operation in ("superadmin.deactivate", "superadmin.activate", "superadmin.reset"):
        with pytest.raises(Missing):
            fresh.call(operation, {"id": user.id}, root)
    assert fresh.sign_in(user, PASSWORD)
    inside, me = fresh.token(Role.SUPERADMIN, "north"), fresh.people[None, Role.SUPERADMIN]
    who, _ = second(fresh, root)
    for operation, more in (("user.deactivate", {}), ("user.role", {"role": "viewer"}), ("factor.reset", {})):
        with pytest.raises(Missing):
            fresh.call(operation, {"id": who.id, **more}, inside)
    assert me.id in {each.id for each in fresh.app.services.system.accounts().superadmins()}


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A18", "SEC-T09", "SEC-L02")
def test_the_factors_of_a_superadmin_who_lost_them_are_reset_by_another(fresh, root):
    who, token = second(fresh, root)
    begun = fresh.call("factor.begin", {}, token)
    fresh.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, token)
    assert fresh.sign_in(who, CHOSEN)["standing"] == "factor"
    pending, inside = fresh.head(None), fresh.token(Role.SUPERADMIN, "north")
    fresh.call("superadmin.reset", {"id": who.id}, inside)
    with pytest.raises(Unauthenticated):
        fresh.call("tenant.list", {}, token)
    told = fresh.sign_in(who, CHOSEN)
    assert told["standing"] == "signed in", "the password is asked for as ever"
    assert "factor_reset" in {each.kind for each in fresh.call("notice.list", {}, told["access"]).items}
    assert [each.factor for each in fresh.call("superadmin.list", {}, root).items] == [False, False]
    me = fresh.people[None, Role.SUPERADMIN].id
    found = [each for each in fresh.records(None, after=pending) if each["action"] == "superadmin.reset"]
    assert [(each["who"], each["result"], each["about"]["id"]) for each in found] == [
        (me, "asked", who.id),
        (me, "ok", who.id),
    ]


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-Z08")
def test_nobody_resets_their_own_factors_or_without_a_fresh_proof(fresh, root, monkeypatch):
    me = fresh.people[None, Role.SUPERADMIN].id
    begun = fresh.call("factor.begin", {}, root)
    fresh.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, root)
    with pytest.raises(Denied, match="themselves"):
        fresh.call("superadmin.reset", {"id": me}, root)
    who, _ = second(fresh, root)
    monkeypatch.setattr(login, "FRESH", -1.0)
    with pytest.raises(StepUp):
        fresh.call("superadmin.reset", {"id": who.id}, root)
    assert fresh.app.services.factors.of(me)
