"""What a sign-in leaves behind, and what it is held to, whichever way somebody comes in."""

from __future__ import annotations

import pyotp
import pytest

from sluicegate.base.errors import Denied, Invalid, Throttled, Unauthenticated
from sluicegate.base.principal import Credentials, Peer, Role
from sluicegate.base.secret import Secret
from sluicegate.crypto import opaque
from sluicegate.crypto.keys import derive
from sluicegate.guard.limits import Limits, Rates
from sluicegate.guard.tokens import ACCESS, FACTOR
from sluicegate.guard.tries import NEAR
from sluicegate.store.scope import TenantState
from tests.fixtures.server import PASSWORD, Person, address

AWAY = "198.51.100.7"


@pytest.fixture
def editor(fresh):
    return fresh.people["north", Role.EDITOR]


def results(place, before, tenant="north"):
    """Return what is new on record: action, result and what it is about."""
    return [(each["action"], each["result"], each.get("about")) for each in place.records(tenant, after=before)]


def phone(place, token):
    """Give somebody a second factor; return one code of it after the other."""
    begun = place.call("factor.begin", {"name": "phone"}, token)
    totp = pyotp.TOTP(begun.seed)
    codes = place.call("factor.confirm", {"id": begun.id, "code": totp.now()}, token).codes
    return iter(codes)


def account(place, who):
    return place.app.services.system.accounts().account(who.id)


def by(place, access):
    """Return what somebody has proved who they are by, as the store has it."""
    services, token = place.app.services, Secret(access) if isinstance(access, str) else access
    return services.system.grants().factors(services.login.authenticate(Credentials(token), again=True).grant)


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-A16")
def test_the_first_administrator_is_on_record(empty):
    code = empty.app.services.login.bootstrap_code()
    ask = {"code": "wrong", "email": "root@example.org", "name": "Root", "password": PASSWORD}
    with pytest.raises(Unauthenticated):
        empty.call("session.bootstrap", ask)
    empty.call("session.bootstrap", {**ask, "code": code.reveal()})
    made = empty.app.services.system.accounts().find("root@example.org")[0]
    found = [each for each in results(empty, 0, None) if each[0] == "session.bootstrap" and each[1] != "asked"]
    assert ("session.bootstrap", "denied", None) in found
    assert ("session.bootstrap", "ok", {"id": made.id, "email": "root@example.org"}) in found


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_a_code_that_an_earlier_release_has_shown_still_works(empty):
    digest = opaque.digest(derive(empty.main_key(), "bootstrap-code"), Secret("abcd-efgh"))
    empty.app.services.system.blobs().put("bootstrap", digest)
    ask = {"code": "abcd-efgh", "email": "root@example.org", "name": "Root", "password": PASSWORD}
    assert empty.call("session.bootstrap", ask).standing == "signed in"


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_each_sign_in_is_on_record_with_how_far_it_came(fresh, editor):
    before = fresh.head()
    token = fresh.sign_in(editor)["access"]
    assert results(fresh, before) == [("session.login", "ok", {"email": editor.email, "tenant": "north"})]
    codes, before = phone(fresh, token), fresh.head()
    owing = fresh.sign_in(editor)
    used = fresh.app.services.tokens.verify(FACTOR, owing["access"])
    assert results(fresh, before) == [("session.login", "factor", {"email": editor.email})]
    seen, above = account(fresh, editor).last_sign_in, fresh.head(None)
    given = fresh.call("session.factor", {"code": next(codes)}, owing["access"])
    claims = fresh.app.services.tokens.verify(ACCESS, given.access)
    marks = {each.subject: each.value for each in fresh.app.services.system.marks().since(0) if each.kind == "token"}
    assert marks.keys() == {used.jti}
    assert marks[used.jti] > used.exp, "what the password gave stays void for as long as it would have held"
    assert claims.jti not in marks
    assert account(fresh, editor).last_sign_in > seen
    assert by(fresh, given.access) == "password factor"
    assert fresh.head(None) == above, "the installation's trail is about SuperAdmins"


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-A09")
def test_a_superadmin_who_comes_into_a_tenant_with_a_second_factor_is_on_record_there(fresh):
    root = fresh.people[None, Role.SUPERADMIN]
    codes = phone(fresh, fresh.sign_in(root)["access"])
    heads = fresh.head(), fresh.head(None)
    owing = fresh.sign_in(Person(root.id, root.email, root.role, "north"))
    fresh.call("session.factor", {"code": next(codes)}, owing["access"])
    assert ("session.login", "ok", {"email": root.email}) in results(fresh, heads[0])
    assert ("session.login", "ok", {"email": root.email, "tenant": "north"}) in results(fresh, heads[1], None)
    heads = fresh.head(), fresh.head(None)
    for who in (root, fresh.people["north", Role.EDITOR]):
        given = fresh.sign_in(who)
        if given["standing"] == "factor":
            fresh.call("session.factor", {"code": next(codes)}, given["access"])
    assert ("session.login", "ok", {"email": root.email}) not in results(fresh, heads[0])


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-L02")
def test_whichever_way_somebody_comes_they_are_held_to_the_tenants_addresses(fresh, editor):
    fresh.app.services.system.tenants().set_policy(fresh.tenants["north"], {"addresses": ["10.0.0.0/8"]})
    login, before = fresh.app.services.login, fresh.head()
    with pytest.raises(Denied, match="not allowed from your address"):
        login.admit(account(fresh, editor), Peer(AWAY), "k", factor=False, fresh=True)
    assert results(fresh, before) == [("sso.finish", "denied", {"list": "tenant"})]
    before = fresh.head()
    with pytest.raises(Denied, match="not allowed from your address"):
        login.sign_in("north", editor.email, Secret(PASSWORD), Peer(AWAY), "k")
    assert results(fresh, before) == [("session.login", "denied", {"list": "tenant"})]
    before, seen = fresh.head(), account(fresh, editor).last_sign_in
    assert login.admit(account(fresh, editor), Peer(address()), "k", factor=False, fresh=True).refresh.reveal()
    assert results(fresh, before) == [("sso.finish", "ok", {"email": editor.email})]
    assert account(fresh, editor).last_sign_in != seen


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-A09")
def test_who_comes_by_single_sign_on_alone_owes_a_second_factor_that_is_there(fresh, editor):
    phone(fresh, fresh.sign_in(editor)["access"])
    login, before = fresh.app.services.login, fresh.head()
    owing = login.admit(account(fresh, editor), Peer(address()), "k", factor=False, fresh=True)
    assert (owing.standing, owing.refresh.reveal()) == ("factor", "")
    assert results(fresh, before) == [("sso.finish", "factor", {"email": editor.email})]
    shown = login.admit(account(fresh, editor), Peer(address()), "k", factor=True, fresh=True)
    assert shown.standing == "signed in"
    assert by(fresh, shown.access) == "sso factor"


@pytest.mark.security
@pytest.mark.req("SEC-A04")
def test_a_new_password_is_not_made_of_the_tenants_name_or_ones_own(fresh, editor):
    login = fresh.app.services.login
    tenants = fresh.app.services.system.tenants()
    made = tenants.create("lighthouse-keepers-and-daughters")
    who = account(fresh, editor)
    taken = Secret("lighthouse keepers and daughters")
    with pytest.raises(Invalid, match="your tenant's name"):
        login.judge(who, made.id, taken, where="new")
    login.judge(who, fresh.tenants["north"], taken, where="new")
    login.judge(who, None, taken, where="new")


@pytest.mark.security
@pytest.mark.req("SEC-T01")
def test_without_a_token_nobody_is_anybody(fresh):
    with pytest.raises(Unauthenticated):
        fresh.app.services.login.authenticate(Credentials())
    with pytest.raises(Unauthenticated):
        fresh.app.services.login.prove(Credentials(Secret("x")))


@pytest.mark.security
@pytest.mark.req("SEC-A05")
@pytest.mark.parametrize("operation", ["session.prove", "session.password"])
def test_who_holds_a_token_does_not_guess_the_password(fresh, editor, operation):
    token = fresh.token(editor)

    def give(password):
        ask = (
            {"old": password, "new": "four new words instead"}
            if operation == "session.password"
            else {"password": password}
        )
        return fresh.call(operation, ask, token)

    with pytest.raises(Throttled):
        for _ in range(30):
            with pytest.raises(Denied):
                give("not this one")
    with pytest.raises(Throttled):
        give(PASSWORD)
    other = fresh.people["north", Role.VIEWER]
    assert fresh.call("session.prove", {"password": PASSWORD}, fresh.token(other))


@pytest.mark.security
@pytest.mark.req("SEC-A05")
@pytest.mark.parametrize("way", ["password", "code", "proof"])
def test_each_wrong_proof_counts_against_the_address_it_came_from(fresh, editor, monkeypatch, way):
    login, peer, key = fresh.app.services.login, Peer(address()), fresh.key.thumbprint
    token = fresh.token(editor)
    who = login.authenticate(fresh.credentials(token))
    if way == "code":
        phone(fresh, token)
    limits = Limits(Rates(failures="1/hour"))
    monkeypatch.setattr(login, "_limits", limits)
    limits.admit(peer, knocks=False)
    with pytest.raises((Denied, Invalid, Unauthenticated)):
        {
            "password": lambda: login.sign_in("north", editor.email, Secret("wrong"), peer, key),
            "code": lambda: login.give_factor(who, Secret("000000"), peer),
            "proof": lambda: login.prove_again(who, Secret("wrong"), None, peer),
        }[way]()
    with pytest.raises(Throttled):
        limits.admit(peer, knocks=False)
    limits.admit(Peer(address()), knocks=False)


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-A09")
def test_a_code_finishes_no_sign_in_by_a_provider_that_is_the_tenants_no_more(fresh, editor):
    codes = phone(fresh, fresh.sign_in(editor)["access"])
    login, sso, tenant = fresh.app.services.login, fresh.app.services.system.sso(), fresh.tenants["north"]

    def finish():
        owing = login.admit(account(fresh, editor), Peer(address()), fresh.key.thumbprint, factor=False, fresh=True)
        return fresh.call("session.factor", {"code": next(codes)}, owing.access)

    sso.set_provider(tenant, "oidc", {"issuer": "https://one.example"}, "a test")
    sso.link(tenant, "https://one.example", "s-1", editor.id)
    assert by(fresh, finish().access) == "sso factor"
    sso.set_provider(tenant, "oidc", {"issuer": "https://two.example"}, "a test")
    with pytest.raises(Unauthenticated, match="provider has changed"):
        finish()
    sso.remove_provider(tenant)
    with pytest.raises(Unauthenticated, match="provider has changed"):
        finish()


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_whose_address_is_asked_for_without_a_tenant(fresh):
    login = fresh.app.services.login
    fresh.add("north", Role.VIEWER, "root@example.org")
    for tenant in ("north", "south"):
        fresh.add(tenant, Role.VIEWER, "both@example.org")
    fresh.add("south", Role.VIEWER, "one@example.org")
    user, place, may = login.look("root@example.org", None)
    assert (user.tenant, place, may) == (None, None, True), "the SuperAdmin stands above the tenants"
    assert login.look("both@example.org", None) == (None, None, False)
    assert login.look("nobody@example.org", None) == (None, None, False)
    assert login.look("one@example.org", None)[0].tenant == fresh.tenants["south"]
    assert login.look("root@example.org", "north")[0].tenant == fresh.tenants["north"], (
        "in a tenant, its own come first"
    )
    user, place, may = login.look("root@example.org", "south")
    assert (user.tenant, place, may) == (None, fresh.tenants["south"], True)
    assert login.look("one@example.org", "north") == (None, fresh.tenants["north"], False)
    assert login.look("one@example.org", "nowhere") == (None, None, False)
    assert login.look("root@example.org", "nowhere") == (None, None, False)


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_the_first_code_is_not_guessed(empty):
    code = empty.app.services.login.bootstrap_code()
    ask = {"code": "wrong", "email": "root@example.org", "name": "Root", "password": PASSWORD}
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            empty.call("session.bootstrap", ask)
    for given in ("wrong", code.reveal()):
        with pytest.raises(Throttled):
            empty.call("session.bootstrap", {**ask, "code": given})


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A13", "SEC-T09")
def test_a_link_lets_nobody_past_what_holds_for_everybody(fresh, editor):
    login, tenants, north = fresh.app.services.login, fresh.app.services.system.tenants(), fresh.tenants["north"]

    def come(who=editor):
        return login.welcome(who.id, Peer(address()), fresh.key.thumbprint)

    seen = account(fresh, editor).last_sign_in
    assert come().standing == "signed in"
    assert account(fresh, editor).last_sign_in != seen
    assert come(fresh.people[None, Role.SUPERADMIN]).standing == "signed in"
    tenants.set_policy(north, {"factor_required": True})
    assert come().standing == "enrol"
    tenants.set_policy(north, {"sso_required": True})
    with pytest.raises(Unauthenticated, match="Sign in"):
        come()
    tenants.set_policy(north, {})
    tenants.set_state(north, TenantState.SUSPENDED)
    with pytest.raises(Unauthenticated, match="Sign in"):
        come()
    tenants.set_state(north, TenantState.ACTIVE)
    phone(fresh, fresh.sign_in(editor)["access"])
    owing = come()
    assert (owing.standing, owing.refresh.reveal()) == ("factor", "")
    assert login.authenticate(Credentials(owing.access), frozenset({"factor"}), again=True).id == editor.id
    fresh.scope("north").people().set_state(editor.id, "disabled")
    with pytest.raises(Unauthenticated, match="Sign in"):
        come()


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-T09")
def test_single_sign_on_lets_in_nobody_who_is_shut_out_and_no_superadmin(fresh, editor):
    login, tenants, north = fresh.app.services.login, fresh.app.services.system.tenants(), fresh.tenants["north"]

    def come(who=editor):
        return login.admit(account(fresh, who), Peer(address()), fresh.key.thumbprint, factor=False, fresh=True)

    assert come().standing == "signed in"
    with pytest.raises(Unauthenticated):
        come(fresh.people[None, Role.SUPERADMIN])
    tenants.set_state(north, TenantState.SUSPENDED)
    with pytest.raises(Unauthenticated):
        come()
    tenants.set_state(north, TenantState.ACTIVE)
    fresh.scope("north").people().set_state(editor.id, "disabled")
    with pytest.raises(Unauthenticated):
        come()


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-A07")
def test_a_refused_sign_in_is_on_record_where_it_was_tried(fresh, editor):
    root, long = fresh.people[None, Role.SUPERADMIN], "x" * 300

    def refuse(tenant, email):
        heads = {name: fresh.head(name) for name in ("north", "south", None)}
        with pytest.raises(Unauthenticated):
            fresh.app.services.login.sign_in(tenant, email, Secret("wrong"), Peer(address()), fresh.key.thumbprint)
        found = [(name, each) for name, head in heads.items() for each in results(fresh, head, name)]
        assert [each[:2] for _, each in found] == [("session.login", "denied")]
        return found[0][0], found[0][1][2]["email"]

    assert refuse("north", editor.email) == ("north", editor.email)
    assert refuse(None, editor.email) == ("north", editor.email)
    assert refuse("south", "nobody@south.example") == ("south", "nobody@south.example")
    assert refuse("nowhere", "nobody@south.example") == (None, "nobody@south.example")
    assert refuse(None, root.email) == (None, root.email)
    assert refuse("north", long) == ("north", long[:254])


@pytest.mark.security
@pytest.mark.req("SEC-A05")
def test_a_right_password_is_no_guess(fresh, editor):
    login, here, key = fresh.app.services.login, Peer(address()), fresh.key.thumbprint
    for _ in range(2 * NEAR):
        assert login.sign_in("north", editor.email, Secret(PASSWORD), here, key).access
    for _ in range(2):
        for _ in range(NEAR - 1):
            with pytest.raises(Unauthenticated):
                login.sign_in("north", editor.email, Secret("wrong"), here, key)
        assert login.sign_in("north", editor.email, Secret(PASSWORD), here, key).access


@pytest.mark.security
@pytest.mark.req("SEC-A04")
def test_a_password_that_does_not_do_is_refused_by_the_name_of_its_field(empty):
    code = empty.app.services.login.bootstrap_code().reveal()
    ask = {"code": code, "email": "root@example.org", "name": "Root", "password": "short"}
    with pytest.raises(Invalid) as told:
        empty.call("session.bootstrap", ask)
    assert told.value.where == "password"
    token = empty.call("session.bootstrap", {**ask, "password": PASSWORD}).access
    with pytest.raises(Invalid) as told:
        empty.call("session.password", {"old": PASSWORD, "new": "short"}, token)
    assert told.value.where == "new"
