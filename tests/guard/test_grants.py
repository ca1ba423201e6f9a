"""How a sign-in goes on, beside HTTP: its lifetimes, and a token that is owed for a second factor."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Unauthenticated
from sluicegate.base.principal import Peer, Role
from sluicegate.base.secret import Secret
from tests.fixtures.server import address


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
    grants.sign_out(Secret(one["refresh"]))
    grants.sign_out(Secret("rt_never-given"))
    with pytest.raises(Unauthenticated):
        grants.refresh(Secret(one["refresh"]), Peer(address()), fresh.key.thumbprint)
    assert grants.refresh(Secret(other["refresh"]), Peer(address()), fresh.key.thumbprint).refresh.reveal()
