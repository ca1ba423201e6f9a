"""Single sign-on through the gate, with a provider that does what it should: who is let in, as whom, and what they may."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, Missing, Throttled, Unauthenticated
from sluicegate.base.principal import Peer, Role
from sluicegate.crypto.dpop import ProofKey
from sluicegate.guard import sso as module
from sluicegate.store.people import UserState
from tests.fixtures.idp import ask, gives, provider
from tests.fixtures.server import BY_NAME, address
from tests.guard.sso import begin, enter, finish, home, idp, people, refused, set_up, why

__all__ = ["home", "idp"]


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_who_comes_for_the_first_time_is_made_in_this_tenant_alone_with_the_role_of_their_groups(home):
    shown = set_up(home, roles=gives(eng="editor", ops="operator"))
    assert shown.redirect == f"https://localhost/sso/callback/{home.tenants['north']}"
    assert shown.has_secret
    south = people(home, "south")
    tokens = enter(home, groups=["other", "ops", "eng"])
    assert tokens.standing == "signed in"
    me = home.call("session.whoami", {}, tokens.access)
    assert (me.email, me.name, me.role, me.tenant_name) == ("ann@corp.example", "Ann", "editor", "north")
    assert people(home, "south") == south
    again = enter(home)
    assert home.call("session.whoami", {}, again.access).id == me.id
    listed = home.call("user.list", {}, home.token(Role.ADMINISTRATOR)).items
    assert {each.id for each in listed if each.sso} == {me.id}
    assert home.call("session.refresh", {"refresh": again.refresh}).access
    assert [each["about"].get("role") for each in home.records() if each["action"] == "sso.create"] == ["editor"]


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-T12")
def test_what_a_client_asks_for_is_all_that_the_provider_needs_and_nothing_is_asked_twice(home):
    set_up(home)
    enter(home)
    enter(home)
    first, second = home.idp.asked
    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert first["scope"].split() == ["openid", "email", "profile"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]
    assert "prompt" not in first


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_an_answer_works_once_and_only_with_the_key_that_asked(home):
    set_up(home)
    mine, other = ProofKey.new(), ProofKey.new()
    back = home.idp.visit(begin(home, key=mine))
    with pytest.raises(Unauthenticated):
        finish(home, back, other)
    assert "from this client" in str([each for each in home.records(None) if each["action"] == "sso.finish"][-1])
    assert finish(home, back, mine).access
    again = home.idp.visit(begin(home, key=mine))
    with pytest.raises(Unauthenticated):
        finish(home, {**again, "state": back["state"]}, mine)
    assert finish(home, again, mine).access
    with pytest.raises(Unauthenticated):
        finish(home, again, mine)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_sign_in_that_takes_too_long_is_over(home, monkeypatch):
    set_up(home)
    back = home.idp.visit(begin(home))
    database = home.app.services.system.database
    now = database.clock()
    monkeypatch.setattr(database, "clock", lambda: now + 601)
    with pytest.raises(Unauthenticated):
        finish(home, back)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_an_answer_does_not_pass_for_that_of_another_tenants_provider(home):
    set_up(home)
    back = home.idp.visit(begin(home))
    with pytest.raises(Unauthenticated):
        finish(home, {**back, "at": home.tenants["south"]})
    assert "another tenant's" in why(home)
    back = home.idp.visit(begin(home))
    with pytest.raises(Unauthenticated):
        finish(home, {**back, "iss": "https://evil.example"})
    assert "another provider" in why(home)
    back = home.idp.visit(begin(home))
    with pytest.raises(Unauthenticated):
        finish(home, {name: value for name, value in back.items() if name != "iss"})
    assert "which provider" in why(home)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_code_of_another_sign_in_is_not_taken(home):
    """Code injection: a stolen code, put into the thief's own sign-in, meets another PKCE challenge."""
    set_up(home)
    stolen = home.idp.visit(begin(home, key=ProofKey.new()))
    mine = home.idp.visit(begin(home))
    with pytest.raises(Unauthenticated):
        finish(home, {**mine, "code": stolen["code"]})
    assert "invalid_grant" in why(home)
    assert "ann@corp.example" not in people(home)


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-Z01")
def test_no_group_no_role_no_way_in(home):
    set_up(home)
    refused(home, "groups", groups=["other"])
    refused(home, "groups", groups="engineering")
    set_up(home, default_role="viewer")
    assert home.call("session.whoami", {}, enter(home, groups=None).access).role == "viewer"


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_nobody_becomes_a_superadmin(home):
    for more in ({"roles": gives(eng="superadmin")}, {"default_role": "superadmin"}):
        with pytest.raises(Invalid, match="SuperAdmin"):
            set_up(home, **more)
    set_up(home, roles=gives(eng="administrator"))
    root = home.people[None, Role.SUPERADMIN]
    tokens = enter(home, email=root.email)
    me = home.call("session.whoami", {}, tokens.access)
    assert (me.role, me.id == root.id) == ("administrator", False)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_somebody_here_is_known_by_a_verified_address_of_an_allowed_domain_and_by_nothing_less(home):
    editor = home.people["north", Role.EDITOR]
    set_up(home)
    refused(home, "may not speak", email=editor.email)
    set_up(home, domains=["north.example"])
    refused(home, "verified", email=editor.email, email_verified=False)
    refused(home, "verified", email=editor.email, email_verified="true")
    refused(home, "mail domains", email="ann@corp.example", email_verified=True)
    refused(home, "mail domains", email="editor@north.example.evil.example")
    me = home.call("session.whoami", {}, enter(home, email=editor.email.upper()).access)
    assert me.id == editor.id
    assert [each["about"]["id"] for each in home.records() if each["action"] == "sso.link"] == [editor.id]
    refused(home, "another person", sub="s-2", email=editor.email)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_known_person_is_known_by_the_providers_id_whatever_their_address_says(home):
    set_up(home)
    me = home.call("session.whoami", {}, enter(home).access)
    victim = home.people["north", Role.ADMINISTRATOR]
    again = enter(home, email=victim.email)
    assert home.call("session.whoami", {}, again.access).id == me.id
    refused(home, "may not speak", sub="s-9", email=me.email)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_without_an_address_or_without_leave_to_make_users_nobody_is_made(home):
    set_up(home)
    refused(home, "address", email="")
    refused(home, "no mail address", email="not an address")
    set_up(home, create=False)
    refused(home, "none is made", email="ann@corp.example")


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_who_could_not_come_in_is_not_made_either(home):
    set_up(home, default_role="viewer")
    admin = home.token(Role.ADMINISTRATOR)
    home.call("policy.set", {"addresses": ["10.0.0.0/8"]}, admin)
    before = people(home)
    with pytest.raises(Unauthenticated):
        finish(home, home.idp.visit(begin(home)), peer=Peer("192.0.2.9"))
    assert people(home) == before
    assert "not on the list of the tenant" in why(home)
    state = home.idp.visit(begin(home))
    home.call("tenant.suspend", {"id": home.tenants["north"]}, home.token(Role.SUPERADMIN, None))
    with pytest.raises(Unauthenticated):
        finish(home, state)
    assert people(home) == before


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-Z01")
def test_a_new_role_holds_at_the_next_sign_in_and_ends_the_tokens_of_before(home):
    set_up(home, roles=gives(eng="editor", ops="viewer"))
    first = enter(home)
    assert enter(home, groups=["ops"]).access
    with pytest.raises(Unauthenticated):
        home.call("session.whoami", {}, first.access)
    assert people(home)["ann@corp.example"].role is Role.VIEWER
    refused_again = enter(home, groups=["eng"])
    assert home.call("session.whoami", {}, refused_again.access).role == "editor"


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_who_is_deactivated_stays_out(home):
    set_up(home, domains=["corp.example", "north.example"])
    enter(home)
    home.scope("north").people().set_state(people(home)["ann@corp.example"].id, UserState.DISABLED)
    refused(home, "deactivated")
    off = home.add("north", Role.VIEWER, "off@north.example")
    home.scope("north").people().set_state(off.id, UserState.DISABLED)
    refused(home, "deactivated", sub="s-3", email="off@north.example")


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A12")
def test_our_second_factor_is_asked_for_unless_the_provider_vouches_for_one(home):
    set_up(home, factors=["mfa", "urn:acr:2"])
    home.set_policy(factor_required=True)
    assert enter(home).standing == "enrol"
    assert enter(home, amr=["pwd"]).standing == "enrol"
    tokens = enter(home, amr=["pwd", "mfa"])
    assert tokens.standing == "signed in"
    assert home.call("session.refresh", {"refresh": tokens.refresh}).standing == "signed in"
    assert enter(home, amr=None, acr="urn:acr:2").standing == "signed in"


@pytest.mark.security
@pytest.mark.req("SEC-A09")
def test_who_has_a_second_factor_here_gives_it_after_the_provider(home):
    import pyotp

    set_up(home)
    token = enter(home).access
    begun = home.call("factor.begin", {}, token)
    codes = home.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, token).codes
    tokens = enter(home)
    assert (tokens.standing, tokens.refresh) == ("factor", "")
    done = home.call("session.factor", {"code": codes[0]}, tokens.access)
    assert done.standing == "signed in"
    family = home.app.services.login.authenticate(home.credentials(done.access)).grant
    assert home.app.services.system.grants().factors(family) == "sso factor"


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_a_tenant_without_a_provider_and_one_that_does_not_exist_answer_alike(home):
    set_up(home)
    told = []
    for name in ("south", "nowhere", "", "NORTH"):
        with pytest.raises(Missing) as fault:
            begin(home, name)
        told.append(fault.value.problem())
    assert all(each == told[0] for each in told)


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_another_issuer_clears_the_secret_and_signs_out_who_came_by_the_old(home):
    set_up(home)
    tokens = enter(home)
    shown = home.call(
        "sso.set", {**ask(home.idp), "secret": None, "default_role": "viewer"}, home.token(Role.ADMINISTRATOR)
    )
    assert (shown.has_secret, shown.secret_cleared) == (True, False)
    moved = {**ask(home.idp), "secret": None, "issuer": "https://evil.example"}
    shown = home.call("sso.set", moved, home.token(Role.ADMINISTRATOR))
    assert (shown.has_secret, shown.secret_cleared) == (False, True)
    with pytest.raises(Unauthenticated):
        home.call("session.refresh", {"refresh": tokens.refresh})
    assert "secret" not in shown.model_dump()
    assert "sluicegate-sso" not in home.call("secret.list", {}, home.token(Role.EDITOR)).model_dump_json()


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_sign_in_that_was_on_its_way_when_the_provider_changed_is_over(home):
    set_up(home)
    back = home.idp.visit(begin(home))
    with provider() as other:
        home.call("sso.set", {**ask(other)}, home.token(Role.ADMINISTRATOR))
        with pytest.raises(Unauthenticated):
            finish(home, back)
        assert "changed" in why(home)
        assert other.asked == []


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_what_a_provider_says_while_it_is_replaced_lets_nobody_in(home, monkeypatch):
    set_up(home)
    back, adapter, before = home.idp.visit(begin(home)), home.app.services.sso._adapter, people(home)
    finish_there = adapter.finish

    def slow(*words):
        found = finish_there(*words)
        home.call("sso.set", {**ask(home.idp), "roles": [], "default_role": None}, home.token(Role.ADMINISTRATOR))
        return found

    monkeypatch.setattr(adapter, "finish", slow)
    with pytest.raises(Unauthenticated):
        finish(home, back)
    assert "changed meanwhile" in why(home)
    assert people(home) == before, "by the roles of before, somebody would have come in"


@pytest.mark.security
def test_one_tenants_slow_provider_holds_up_no_more_than_its_own(home, monkeypatch):
    set_up(home)
    monkeypatch.setattr(module, "AT_ONCE", 0)
    with pytest.raises(Throttled):
        begin(home)


@pytest.mark.security
def test_sign_ins_on_their_way_are_bounded_by_address_and_in_all(home, monkeypatch):
    from sluicegate.store import sso as store

    set_up(home)
    monkeypatch.setattr(store, "EACH_MAX", 2)
    told, peer = lambda: home.credentials(None, "POST"), Peer(address(), "t", "r")
    urls = [home.app.gate.call(BY_NAME["sso.begin"], {"tenant": "north"}, told(), peer).url for _ in range(3)]
    with pytest.raises(Unauthenticated):
        finish(home, home.idp.visit(urls[0]))
    assert finish(home, home.idp.visit(urls[1])).access
    monkeypatch.setattr(store, "TENANT_MAX", 1)
    first, second = begin(home), begin(home)
    with pytest.raises(Unauthenticated):
        finish(home, home.idp.visit(first))
    assert finish(home, home.idp.visit(second)).access, "a flood keeps nobody out who comes after it"


def test_a_provider_without_a_secret_is_a_public_client(home):
    home.idp.secret = None
    home.call("sso.set", {**ask(home.idp), "secret": None}, home.token(Role.ADMINISTRATOR))
    assert enter(home).access


def test_a_command_line_is_answered_on_its_own_machine(home):
    set_up(home)
    back = home.idp.visit(begin(home, port=50123))
    asked = home.idp.codes[back["code"]][0]
    assert asked["redirect_uri"] == f"http://127.0.0.1:50123/sso/callback/{home.tenants['north']}"
    assert finish(home, back).access
    with pytest.raises(Invalid):
        begin(home, port=80)


def test_the_test_button_says_what_is_right_and_what_is_wrong(home):
    set_up(home)
    token = home.token(Role.ADMINISTRATOR)
    told = home.call("sso.test", {}, token)
    assert told.ok, told
    assert {each.what for each in told.items} == {
        "discovery",
        "PKCE",
        "signatures",
        "issuer in answers",
        "keys",
        "client",
    }
    home.idp.secret = "another"
    told = home.call("sso.test", {}, token)
    assert [each.what for each in told.items if not each.ok] == ["client"]
    home.idp.about = lambda found: {**found, "issuer": found["issuer"] + "/"}
    told = home.call("sso.test", {}, token)
    assert not told.ok
    assert "another issuer" in told.items[-1].told
    set_up(home, roles=gives())
    assert "nobody is let in" in home.call("sso.test", {}, token).items[-1].told
