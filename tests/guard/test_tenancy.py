"""A tenant's policy: strict, never guessed, and within what the installation allows."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Corrupt, Denied, Invalid, Throttled, Unauthenticated
from sluicegate.base.principal import Role
from sluicegate.base.settings import Files, Keys, Limits, Overrides, People, Settings, Tls, Tokens
from sluicegate.guard.tenancy import DIRECTIONS, Bounds, Effective, Policy, policy_of
from tests.fixtures.server import PASSWORD, Place

BASE = {
    "people": People(factor_required=False, password_length=18, support_hours=4),
    "tokens": Tokens(refresh=7200, idle=3600),
    "keys": Keys(longest=100, proof=False),
    "limits": Limits(tenant="100/second", public="100000/minute"),
    "files": Files(seals=("age", "openpgp"), formats=("csv", "parquet"), residency=("eu", "ch"), guarded=("card",)),
    "tls": Tls(weakest="require"),
}
STRICTER = {
    "factor_required": True,
    "password_length": 20,
    "session_minutes": 60,
    "idle_minutes": 30,
    "addresses": ("10.0.0.0/8",),
    "key_days": 10,
    "invitation_hours": 24,
    "key_proof": True,
    "sso_required": True,
    "support_hours": 1,
    "requests": "600/minute",
    "files_sealed": True,
    "seals": ("age",),
    "formats": ("csv",),
    "residency": ("eu",),
    "guarded": ("card", "health"),
    "weakest_tls": "verify-ca",
    "quarantine_days": 10,
}
LOOSER = {
    "password_length": 16,
    "session_minutes": 43200,
    "idle_minutes": 43200,
    "key_days": 3650,
    "invitation_hours": 720,
    "support_hours": 24,
    "requests": "101/second",
    "seals": ("age", "zip"),
    "formats": ("json",),
    "residency": ("us",),
    "weakest_tls": "disable",
    "quarantine_days": 31,
}


def bounds(**overrides):
    return Bounds(Settings(overrides=Overrides(**overrides), **BASE))


@pytest.mark.security
@pytest.mark.parametrize("stored", [{"factor_required": "no"}, {"factor_required": 1}, {"unknown": True}])
def test_a_stored_policy_that_is_none_is_not_read_as_one(fresh, stored):
    tenants = fresh.app.services.system.tenants()
    tenants.set_policy(fresh.tenants["north"], stored)
    with pytest.raises(Corrupt) as told:
        policy_of(tenants.get(fresh.tenants["north"]))
    assert told.value.where == "tenant north"


def test_a_tenant_without_one_asks_for_what_the_installation_does(fresh):
    assert policy_of(fresh.app.services.system.tenants().get(fresh.tenants["north"])) == Policy()
    assert bounds().effective(Policy()) == bounds().base


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize("value", ["true", 1, []])
def test_a_policy_is_set_as_it_is_meant(fresh, value):
    token = fresh.token(Role.ADMINISTRATOR)
    before = fresh.call("policy.get", {}, token)
    with pytest.raises(Invalid, match="factor_required"):
        fresh.call("policy.set", {"factor_required": value}, token)
    assert fresh.call("policy.get", {}, token) == before


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_what_a_tenant_guards_is_guarded_beside_what_the_installation_does():
    """Also when the installation's list grows after the tenant's was set."""
    made = bounds()
    made.check(Policy(guarded=("health",)))
    assert made.effective(Policy(guarded=("health",))).guarded == ("card", "health")
    assert made.effective(Policy()).guarded == ("card",)


def test_every_setting_has_its_rule_its_value_and_its_direction():
    assert set(Policy.model_fields) == set(Effective.model_fields) == set(DIRECTIONS) == set(Overrides.model_fields)
    assert set(STRICTER) == set(DIRECTIONS)
    assert set(LOOSER) == set(DIRECTIONS) - {
        "factor_required",
        "key_proof",
        "sso_required",
        "files_sealed",
        "addresses",
        "guarded",
    }  # these have no looser


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@pytest.mark.parametrize("name", STRICTER)
def test_a_stricter_value_is_taken_unless_the_setting_is_fixed(name):
    asked = Policy(**{name: STRICTER[name]})
    for rule in ("stricter", "free"):
        made = bounds(**{name: rule})
        made.check(asked)
        assert getattr(made.effective(asked), name) == STRICTER[name]
        (told,) = (each for each in made.settings(asked) if each.name == name)
        assert (told.value, told.origin, told.may) == (STRICTER[name], "tenant", rule)
        assert told.installation == getattr(made.base, name)
    fixed = bounds(**{name: "fixed"})
    with pytest.raises(Denied, match="not for tenants to set") as why:
        fixed.check(asked)
    assert why.value.where == name
    assert fixed.effective(asked) == fixed.base, "what had been set before it was fixed is not what holds"
    assert {each.origin for each in fixed.settings(asked)} == {"installation"}


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@pytest.mark.parametrize("name", LOOSER)
def test_a_looser_value_is_refused_unless_the_setting_is_free(name):
    asked = Policy(**{name: LOOSER[name]})
    for rule in ("stricter", "fixed"):
        made = bounds(**{name: rule})
        with pytest.raises(Denied) as why:
            made.check(asked)
        assert why.value.where == name
        assert made.effective(asked) == made.base, "stored long ago, when it was allowed"
    free = bounds(**{name: "free"})
    free.check(asked)
    assert getattr(free.effective(asked), name) == LOOSER[name]


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@pytest.mark.parametrize("name", ["factor_required", "key_proof"])
def test_what_the_installation_asks_of_everybody_no_tenant_waives(name):
    asked = Policy(**{name: False})
    strict = {**BASE, "people": People(factor_required=True), "keys": Keys(proof=True)}
    made = Bounds(Settings(**strict))
    with pytest.raises(Denied, match="may only be stricter here: yes"):
        made.check(asked)
    assert getattr(made.effective(asked), name) is True
    free = Bounds(Settings(overrides=Overrides(**{name: "free"}), **strict))
    free.check(asked)
    assert getattr(free.effective(asked), name) is False


@pytest.fixture
def strict(tmp_path):
    """Give an installation whose tenants may only be stricter."""
    made = Place(tmp_path / "home", **BASE).settle()
    yield made
    made.close()


@pytest.mark.security
@pytest.mark.req("SEC-A03", "SEC-T15", "SEC-K01")
def test_what_a_tenant_sets_holds_in_it_and_nowhere_else(strict):
    who, other = strict.people["north", Role.EDITOR], strict.people["south", Role.EDITOR]
    strict.set_policy(password_length=24, idle_minutes=5, session_minutes=10, key_days=7)
    grants = strict.app.services.system.grants()
    for person, idle, session in ((who, 300, 600), (other, 3600, 7200)):
        made = strict.sign_in(person)
        grant = grants.of(person.id)[0]
        assert (grant.expires - grant.issued, grant.absolute - grant.issued) == pytest.approx((idle, session), abs=2)
        made = strict.call("session.refresh", {"refresh": made["refresh"]})
        grant = grants.of(person.id)[0]
        assert grant.expires - grant.issued == pytest.approx(idle, abs=2)
    for person, longest in ((who, 7), (other, 100)):
        with pytest.raises(Invalid, match=f"{longest} days"):
            strict.new_key(person, ["flow:read"], days=101)
        chosen = {"old": PASSWORD, "new": "twenty small otters in"}
        asked = strict.token(person)
        if person is who:
            with pytest.raises(Invalid, match="24 to 256"):
                strict.call("session.password", chosen, asked)
        else:
            strict.call("session.password", chosen, asked)


@pytest.mark.security
@pytest.mark.req("SEC-T15")
def test_a_sign_in_from_before_ends_as_a_shorter_life_says(strict):
    who = strict.people["north", Role.EDITOR]
    made, grants = strict.sign_in(who), strict.app.services.system.grants()
    strict.set_policy(session_minutes=10)
    made = strict.call("session.refresh", {"refresh": made["refresh"]})
    grant = grants.of(who.id)[0]
    assert grant.absolute - grant.issued == pytest.approx(600, abs=2)
    strict.call("session.refresh", {"refresh": made.refresh})
    assert grants.of(who.id)[0].absolute == grant.absolute, "no refresh moves it"


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_a_tenant_that_takes_a_smaller_share_has_it(strict):
    strict.set_policy(requests="5/hour")
    token, quiet = strict.token(Role.VIEWER), strict.token(Role.VIEWER, "south")
    with pytest.raises(Throttled):
        for _ in range(6):
            strict.call("flow.list", {}, token)
    for _ in range(6):
        strict.call("flow.list", {}, quiet)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_only_what_changes_something_ends_tokens(strict):
    viewer, admin = strict.token(Role.VIEWER), strict.token(Role.ADMINISTRATOR)
    strict.call("policy.set", {"password_length": 18}, admin)  # as it is anyway
    assert strict.call("session.whoami", {}, viewer)
    strict.call("policy.set", {"password_length": 19}, admin)
    with pytest.raises(Unauthenticated):
        strict.call("session.whoami", {}, viewer)
