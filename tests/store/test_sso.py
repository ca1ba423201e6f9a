"""Providers, identities and sign-ins on their way, on both databases."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Conflict, Missing
from sluicegate.base.principal import Role
from sluicegate.store import sso as module
from sluicegate.store.scope import TenantState

ISSUER = "https://id.example"


@pytest.fixture
def sso(system):
    return system.sso()


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "")


def test_a_provider_is_set_replaced_and_removed(sso, ours, theirs, clock):
    assert sso.provider(ours.tenant) is None
    sso.set_provider(ours.tenant, "oidc", {"issuer": ISSUER}, "u-1")
    clock.now += 1
    sso.set_provider(ours.tenant, "oidc", {"issuer": "other"}, "u-2")
    found = sso.provider(ours.tenant)
    assert (found.kind, found.body, found.set_at, found.set_by) == ("oidc", {"issuer": "other"}, clock.now, "u-2")
    assert sso.provider(theirs.tenant) is None
    sso.begin(b"d", ours.tenant, "key", "10.0.0.1", "", b"s")
    sso.remove_provider(ours.tenant)
    assert sso.provider(ours.tenant) is None
    assert sso.take(b"d", "key") is None
    with pytest.raises(Missing):
        sso.remove_provider(ours.tenant)


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_a_suspended_tenant_has_no_provider_by_name(sso, system, ours):
    sso.set_provider(ours.tenant, "oidc", {}, "u")
    assert sso.provider_named("ours").tenant == ours.tenant
    assert sso.provider_named("Ours") is None
    system.tenants().set_state(ours.tenant, TenantState.SUSPENDED)
    assert sso.provider_named("ours") is None


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-Z03")
def test_somebody_is_known_by_issuer_and_subject_in_their_tenant_alone(sso, ours, theirs, user):
    sso.link(ours.tenant, ISSUER, "s", user.id)
    assert sso.user_of(ours.tenant, ISSUER, "s") == user.id
    assert sso.has_identity(ours.tenant, user.id, ISSUER)
    for tenant, issuer, subject in (
        (theirs.tenant, ISSUER, "s"),
        (ours.tenant, ISSUER + "/", "s"),
        (ours.tenant, ISSUER, "S"),
    ):
        assert sso.user_of(tenant, issuer, subject) is None
    assert not sso.has_identity(ours.tenant, user.id, ISSUER + "/")
    with pytest.raises(Conflict):
        sso.link(ours.tenant, ISSUER, "s", user.id)
    with pytest.raises(Conflict):
        sso.link(theirs.tenant, ISSUER, "s", user.id)  # nobody is known in a tenant that is not theirs


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_request_is_taken_once_by_its_key_for_its_purpose_in_its_time(sso, ours, clock):
    def begin(family=""):
        sso.begin(b"d", ours.tenant, "key", "10.0.0.1", family, b"sealed")

    begin()
    assert sso.take(b"d", "other") is None
    assert sso.take(b"d", "key", "family") is None
    assert sso.take(b"other", "key") is None
    assert sso.take(b"d", "key") == (ours.tenant, "", b"sealed", clock.now)
    assert sso.take(b"d", "key") is None
    begin("family")
    assert sso.take(b"d", "key") is None
    assert sso.take(b"d", "key", "family").family == "family"
    begin()
    clock.now += module.LIFE
    assert sso.take(b"d", "key") is None


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_of_many_who_take_a_request_one_gets_it(sso, ours):
    sso.begin(b"d", ours.tenant, "key", "10.0.0.1", "", b"sealed")
    got, gate = [], threading.Barrier(8)

    def take():
        gate.wait()
        got.append(sso.take(b"d", "key"))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([each for each in got if each]) == 1


@pytest.mark.security
def test_requests_are_bounded_by_address_and_in_all(sso, ours, clock, monkeypatch):
    monkeypatch.setattr(module, "EACH_MAX", 2)
    monkeypatch.setattr(module, "ALL_MAX", 3)
    for name in (b"1", b"2", b"3"):
        sso.begin(name, ours.tenant, "key", "10.0.0.1", "", b"")
        clock.now += 1
    assert sso.take(b"1", "key") is None
    sso.begin(b"4", ours.tenant, "key", "10.0.0.2", "", b"")
    sso.begin(b"5", ours.tenant, "key", "10.0.0.3", "", b"")
    assert [bool(sso.take(each, "key")) for each in (b"2", b"3", b"4", b"5")] == [False, True, True, True]


@pytest.mark.security
@pytest.mark.parametrize("bound", [{"TENANT_MAX": 4}, {"ALL_MAX": 4}])
def test_who_floods_pushes_out_their_own_and_keeps_nobody_else_out(sso, ours, theirs, clock, monkeypatch, bound):
    for name, most in bound.items():
        monkeypatch.setattr(module, name, most)

    def begin(name, place, address):
        sso.begin(name, place.tenant, "key", address, "", b"")
        clock.now += 1

    begin(b"honest", ours, "10.0.0.1")
    for number in range(9):
        begin(b"flood %d" % number, ours, "10.6.6.6")
    begin(b"late", ours, "10.0.0.2")
    begin(b"elsewhere", theirs, "10.0.0.3")
    names = (b"honest", b"late", b"elsewhere", b"flood 8", b"flood 6")
    assert [sso.take(each, "key") is not None for each in names] == [True, True, True, True, False]


def test_families_are_those_that_began_by_single_sign_on_and_live(sso, system, ours, user):
    grants = system.grants()
    made = {
        way: grants.open(user.id, ours.tenant, way.encode(), "key", expires=2e9, absolute=2e9, factors=way).family
        for way in ("password", "sso", "sso factor")
    }
    assert set(sso.families(ours.tenant)) == {made["sso"], made["sso factor"]}
    assert grants.factors(made["sso factor"]) == "sso factor"
    grants.kill(made["sso"])
    assert sso.families(ours.tenant) == [made["sso factor"]]
    assert grants.factors(made["sso"]) == ""
