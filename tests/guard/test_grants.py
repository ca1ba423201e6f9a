"""How a sign-in goes on, beside HTTP: its lifetimes, and a token that is owed for a second factor."""

from __future__ import annotations

import base64
from dataclasses import FrozenInstanceError

import pyotp
import pytest

from sluicegate.base.errors import Denied, Unauthenticated
from sluicegate.base.principal import Peer, Principal, Role
from sluicegate.base.secret import Secret
from sluicegate.crypto import opaque
from sluicegate.crypto.keys import derive
from tests.fixtures.server import PASSWORD, address


@pytest.mark.security
@pytest.mark.req("SEC-T15")
def test_a_family_ends_at_its_absolute_time_however_often_it_is_refreshed(fresh, monkeypatch):
    tokens = fresh.sign_in(fresh.people["north", Role.EDITOR])
    system = fresh.app.services.system
    begun = system.database.clock()
    ages = fresh.settings.tokens
    now = begun
    monkeypatch.setattr(system.database, "clock", lambda: now)
    while now + ages.idle / 2 < begun + ages.refresh:
        now += ages.idle / 2
        monkeypatch.setattr(fresh.app.services.login.grants, "_now", lambda now=now: now)
        tokens = fresh.call("session.refresh", {"refresh": tokens["refresh"]}).model_dump()
    now = begun + ages.refresh + 1
    with pytest.raises(Unauthenticated):
        fresh.call("session.refresh", {"refresh": tokens["refresh"]})


@pytest.mark.security
@pytest.mark.req("SEC-T15")
def test_a_family_ends_when_nobody_is_there(fresh, monkeypatch):
    tokens = fresh.sign_in(fresh.people["north", Role.EDITOR])
    system = fresh.app.services.system
    later = system.database.clock() + fresh.settings.tokens.idle + 1
    monkeypatch.setattr(system.database, "clock", lambda: later)
    with pytest.raises(Unauthenticated):
        fresh.call("session.refresh", {"refresh": tokens["refresh"]})


@pytest.mark.security
@pytest.mark.req("SEC-T07", "SEC-T08")
def test_a_refresh_token_of_another_client_or_of_nobody_gives_nothing(fresh):
    grants, who = fresh.app.services.login.grants, fresh.people["north", Role.EDITOR]
    tokens = fresh.sign_in(who)
    peer = Peer(address())
    before = fresh.head()
    for given, key in ((tokens["refresh"], "another client's key"), ("rt_never-given", fresh.key.thumbprint)):
        with pytest.raises(Unauthenticated, match="Sign in again"):
            grants.refresh(Secret(given), peer, key)
    assert "refresh_foreign" in {each["result"] for each in fresh.records(after=before)}
    assert grants.refresh(Secret(tokens["refresh"]), peer, fresh.key.thumbprint).standing == "signed in"


@pytest.mark.security
@pytest.mark.req("SEC-T08")
def test_signing_out_ends_the_family_and_nothing_else(fresh):
    grants, who = fresh.app.services.login.grants, fresh.people["north", Role.EDITOR]
    one, other = fresh.sign_in(who), fresh.sign_in(who)
    nobody = Principal(who.id, None, Role.EDITOR)
    grants.sign_out(Secret(one["refresh"]), nobody)
    grants.sign_out(Secret("rt_never-given"), nobody)
    with pytest.raises(Unauthenticated):
        grants.refresh(Secret(one["refresh"]), Peer(address()), fresh.key.thumbprint)
    assert grants.refresh(Secret(other["refresh"]), Peer(address()), fresh.key.thumbprint).refresh.reveal()


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-T07")
def test_a_sign_in_that_owed_a_second_factor_does_not_go_on_beside_the_one_that_showed_it(fresh):
    fresh.app.services.system.tenants().set_policy(fresh.tenants["north"], {"factor_required": True})
    who = fresh.people["north", Role.EDITOR]
    here, there = fresh.sign_in(who), fresh.sign_in(who)
    there = fresh.call("session.refresh", {"refresh": there["refresh"]}).model_dump()
    assert here["standing"] == there["standing"] == "enrol"
    begun = fresh.call("factor.begin", {"name": "phone"}, here["access"])
    fresh.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, here["access"])
    with pytest.raises(Unauthenticated, match="Sign in again"):
        fresh.call("session.refresh", {"refresh": there["refresh"]})


@pytest.mark.security
@pytest.mark.req("SEC-T12")
def test_what_a_sign_in_gives_is_not_changed_on_its_way(fresh):
    who = fresh.people["north", Role.EDITOR]
    given = fresh.app.services.login.sign_in(
        "north", who.email, Secret(PASSWORD), Peer(address()), fresh.key.thumbprint
    )
    with pytest.raises(FrozenInstanceError):
        given.standing = "signed in"


@pytest.mark.security
@pytest.mark.req("SEC-T07")
def test_what_an_earlier_release_gave_goes_on(fresh):
    """The digest that is stored, and the token that follows, are made as ever: an update signs nobody out."""
    services, who = fresh.app.services, fresh.people["north", Role.EDITOR]
    root, given, now = fresh.main_key(), Secret("rt_given-before"), services.system.database.clock()
    digest = opaque.digest(derive(root, "refresh-token"), given)
    services.system.grants().open(
        who.id, fresh.tenants["north"], digest, fresh.key.thumbprint, expires=now + 60, absolute=now + 60
    )
    raw = opaque.digest(derive(root, "refresh-token-child"), given)[:32]
    child = services.login.grants.refresh(given, Peer(address()), fresh.key.thumbprint).refresh.reveal()
    assert child == "rt_" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-L02")
def test_a_refresh_from_where_nobody_may_come_from_is_refused_and_on_record(fresh):
    grants, tokens = fresh.app.services.login.grants, fresh.sign_in(fresh.people["north", Role.EDITOR])
    fresh.app.services.system.tenants().set_policy(fresh.tenants["north"], {"addresses": ["10.0.0.0/8"]})
    fresh.app.services.rules.forget(fresh.tenants["north"])  # as its mark has every node do within a second
    before = fresh.head()
    with pytest.raises(Denied, match="not allowed from your address"):
        grants.refresh(Secret(tokens["refresh"]), Peer("198.51.100.7"), fresh.key.thumbprint)
    told = [(each["action"], each["result"], each["about"]) for each in fresh.records(after=before)]
    assert told == [("session.refresh", "denied", {"list": "tenant"})]
