"""Sign-in beside HTTP: clocks, costs, suspended tenants. What a client sees is in tests/security/test_tokens_http.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluicegate.base.errors import Conflict, StepUp, Unauthenticated
from sluicegate.base.principal import Credentials, Peer, Role, Via
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Passwords, Settings, Tokens
from sluicegate.crypto.dpop import ProofKey
from sluicegate.guard.limits import Limits, Rates
from sluicegate.guard.login import Login
from sluicegate.guard.tokens import Tokens as TokenMint
from sluicegate.store.scope import TenantState
from tests.fixtures.server import PASSWORD, address

CLIENT = ProofKey.new()
KEY = CLIENT.thumbprint
URL = "https://localhost/api/v1/flows"


def proven(login, token, key=CLIENT):
    """Return what a client that holds ``key`` sends along with a token."""
    return Credentials(token, key.prove("GET", URL, token.reveal(), now=login._now()), "GET", URL)


class Hand:
    """A clock moved by hand."""

    def __init__(self):
        import time

        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def hand():
    return Hand()


def make(place, hand, **settings):
    """Make a sign-in desk with a clock of its own on the same store."""
    given = Settings(home=place.home, **{"passwords": Passwords(memory=19456, rounds=2), **settings})
    root = place.main_key()
    services = place.app.services
    tokens = TokenMint(root, given.tokens.access, services.system, services.revocation, hand)
    audit, limits = services.audit, Limits(Rates())
    kept = (
        services.revocation, services.factors, services.keys, services.rules, services.support, services.switch,
        services.notices,
    )  # fmt: skip
    return Login(root, given, services.system, audit, limits, tokens, *kept, now=hand)


def enter(login, place, role=Role.EDITOR, password=PASSWORD):
    who = place.people["north", role]
    return login.sign_in("north", who.email, Secret(password), Peer(address()), KEY)


@pytest.mark.security
@pytest.mark.req("SEC-T05", "SEC-T15")
def test_an_access_token_is_over_when_its_time_is(place, hand):
    login = make(place, hand, tokens=Tokens(access=60))
    granted = enter(login, place)
    assert granted.expires_in in {59, 60}
    hand.now += 58
    assert login.authenticate(proven(login, granted.access)).role is Role.EDITOR
    hand.now += 2
    with pytest.raises(Unauthenticated):
        login.authenticate(proven(login, granted.access))


@pytest.mark.security
@pytest.mark.req("SEC-T15")
def test_a_principal_is_what_the_token_says_and_no_more(place, hand):
    login = make(place, hand)
    granted = enter(login, place, Role.VIEWER)
    who = login.authenticate(proven(login, granted.access))
    assert (who.id, who.tenant, who.role) == (
        place.people["north", Role.VIEWER].id,
        place.tenants["north"],
        Role.VIEWER,
    )
    assert who.scopes is None
    assert who.token
    assert who.grant
    with pytest.raises(Unauthenticated):
        login.authenticate(Credentials())


@pytest.mark.security
@pytest.mark.req("SEC-A01")
def test_a_hash_of_lower_cost_is_raised_at_the_next_sign_in(fresh, hand):
    who = fresh.people["north", Role.EDITOR]
    login = make(fresh, hand, passwords=Passwords(memory=20480, rounds=2))
    stored = fresh.app.services.system.accounts().account(who.id).password
    assert "m=19456" in stored
    login.sign_in("north", who.email, Secret(PASSWORD), Peer(address()), KEY)
    raised = fresh.app.services.system.accounts().account(who.id).password
    assert "m=20480" in raised
    assert login.sign_in("north", who.email, Secret(PASSWORD), Peer(address()), KEY).access
    assert fresh.app.services.system.accounts().account(who.id).password == raised, "once"


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_a_stranger_costs_as_much_work_as_a_wrong_password(place, hand, monkeypatch):
    from sluicegate.crypto import password

    login, burned = make(place, hand), []
    kept = password.burn
    monkeypatch.setattr(
        password, "burn", lambda given, pepper, **more: burned.append(more["cost"]) or kept(given, pepper, **more)
    )
    with pytest.raises(Unauthenticated):
        login.sign_in("north", "nobody@north.example", Secret("x"), Peer(address()), KEY)
    assert burned == [password.FLOOR]


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_nobody_enters_or_stays_in_a_suspended_tenant(fresh, hand):
    login, tenants = make(fresh, hand), fresh.app.services.system.tenants()
    granted = enter(login, fresh)
    tenants.set_state(fresh.tenants["north"], TenantState.SUSPENDED)
    with pytest.raises(Unauthenticated):
        enter(login, fresh)
    with pytest.raises(Unauthenticated):
        login.grants.refresh(granted.refresh, Peer(address()), KEY)
    who = fresh.people["south", Role.EDITOR]
    assert login.sign_in("south", who.email, Secret(PASSWORD), Peer(address()), KEY).access
    tenants.set_state(fresh.tenants["north"], TenantState.ACTIVE)
    assert enter(login, fresh).access


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_one_address_in_two_tenants_needs_the_tenants_name(fresh, hand):
    login = make(fresh, hand)
    for tenant in ("north", "south"):
        fresh.add(tenant, Role.VIEWER, "both@example.org")
    with pytest.raises(Unauthenticated):
        login.sign_in(None, "both@example.org", Secret(PASSWORD), Peer(address()), KEY)
    for tenant in ("north", "south"):
        granted = login.sign_in(tenant, "BOTH@example.org", Secret(PASSWORD), Peer(address()), KEY)
        assert login.authenticate(proven(login, granted.access)).tenant == fresh.tenants[tenant]


def test_a_one_time_password_is_long_and_opens(place, hand):
    login = make(place, hand)
    made, stored = login.new_password()
    assert len(made.reveal()) >= 15
    assert stored.startswith("$argon2id$")
    assert made.reveal() not in stored


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-T09")
def test_a_password_that_was_replaced_while_it_was_checked_opens_nothing_and_does_not_come_back(fresh, hand):
    login = make(fresh, hand, passwords=Passwords(memory=20480, rounds=2))  # the stored hash is of another cost: stale
    who, system = fresh.people["north", Role.EDITOR], fresh.app.services.system
    real, chosen = login.passwords.verify, login.passwords.hash(Secret("four new words instead"))

    def slow(stored, given):
        fits = real(stored, given)
        system.accounts().set_password(who.id, chosen)
        system.grants().kill_user(who.id)
        return fits

    login.passwords.verify = slow
    with pytest.raises(Unauthenticated):
        enter(login, fresh)
    assert system.accounts().account(who.id).password == chosen
    assert system.grants().of(who.id) == []


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_a_change_that_a_reset_has_overtaken_changes_nothing(fresh, hand):
    login, who = make(fresh, hand), fresh.people["north", Role.EDITOR]
    system = fresh.app.services.system
    me = login.authenticate(proven(login, enter(login, fresh).access))
    real, chosen = login.passwords.hash, login.passwords.hash(Secret("four new words instead"))

    def slow(given):
        system.accounts().set_password(who.id, chosen)
        return real(given)

    login.passwords.hash = slow
    with pytest.raises(Conflict, match="by somebody else meanwhile"):
        login.change_password(me, Secret(PASSWORD), Secret("what a thief would like it to be"), Peer(address()))
    assert system.accounts().account(who.id).password == chosen


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-A13")
def test_whom_a_provider_has_not_asked_just_now_proves_it_before_something_dangerous(fresh, hand):
    login = make(fresh, hand)
    user = fresh.app.services.system.accounts().account(fresh.people["north", Role.EDITOR].id)
    for fresh_, fault in ((True, None), (False, StepUp)):
        made = login.admit(user, Peer(address()), KEY, factor=False, fresh=fresh_)
        who = login.authenticate(proven(login, made.access))
        if fault is None:
            login.require_fresh(who)
            continue
        with pytest.raises(fault):
            login.require_fresh(who)


@pytest.mark.security
@pytest.mark.req("SEC-T12")
def test_a_token_is_of_no_use_without_its_key(place, hand):
    login = make(place, hand)
    access, thief = enter(login, place).access, ProofKey.new()
    for stolen in (proven(login, access, thief), Credentials(access, None, "GET", URL)):
        with pytest.raises(Unauthenticated):
            login.authenticate(stolen)
    assert login.authenticate(Credentials(access), again=True).id == login.authenticate(proven(login, access)).id


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-T09")
def test_a_sign_in_that_has_ended_is_no_proof_that_somebody_is_there(fresh, hand):
    login = make(fresh, hand)
    who = login.authenticate(proven(login, enter(login, fresh).access))
    hand.now = fresh.app.services.system.grants().proved(who.grant) + 300
    login.require_fresh(who)
    hand.now += 0.001
    with pytest.raises(StepUp):
        login.require_fresh(who)
    fresh.app.services.system.grants().kill(who.grant)
    with pytest.raises(Unauthenticated):
        login.require_fresh(who)
    login.require_fresh(replace(who, via=Via.SYSTEM))  # nobody who could prove anything


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-A13")
@pytest.mark.parametrize(
    ("came", "factor", "kept"),
    [
        ("password", False, "password"),
        ("password", True, "password factor"),
        ("password factor", False, "password"),
        ("sso", False, "sso"),
        ("sso", True, "sso factor"),
    ],
)
def test_a_fresh_proof_says_what_was_shown_and_not_another_way_in(fresh, hand, came, factor, kept):
    login, grants = make(fresh, hand), fresh.app.services.system.grants()
    who = login.authenticate(proven(login, enter(login, fresh).access))
    grants.prove(who.grant, came)
    login.proved(who, factor=factor)
    assert grants.factors(who.grant) == kept
