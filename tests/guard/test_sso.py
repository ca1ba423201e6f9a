"""Single sign-on through the gate, with a provider that does what it should: who is let in, as whom, and what they may."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, StepUp, Throttled, Unauthenticated
from sluicegate.base.principal import Peer, Role
from sluicegate.base.settings import Grant
from sluicegate.crypto.dpop import ProofKey
from sluicegate.guard import sso as module
from sluicegate.store.people import UserState
from tests.fixtures.idp import ask, gives, provider
from tests.fixtures.server import BY_NAME, PASSWORD, Place, address


@pytest.fixture
def idp():
    with provider() as held:
        yield held


@pytest.fixture
def home(tmp_path, idp):
    made = Place(tmp_path / "home", egress=(Grant(host="127.0.0.1"),)).settle()
    made.idp = idp
    yield made
    made.close()


def set_up(place, **more):
    return place.call("sso.set", ask(place.idp, **more), place.token(Role.ADMINISTRATOR))


def begin(place, tenant="north", key=None, **more):
    told = place.credentials(None, "POST", key)
    return place.app.gate.call(BY_NAME["sso.begin"], {"tenant": tenant, **more}, told, Peer(address(), "t", "r")).url


def finish(place, back, key=None):
    told = place.credentials(None, "POST", key)
    return place.app.gate.call(BY_NAME["sso.finish"], back, told, Peer(address(), "t", "r"))


def enter(place, key=None, **person):
    place.idp.person = {**place.idp.person, **person}
    return finish(place, place.idp.visit(begin(place, key=key)), key)


def people(place, tenant="north"):
    return {each.email: each for each in place.scope(tenant).people().list()}


def why(place, action="sso.finish"):
    """Return the reason on the newest record of a refusal."""
    found = [each for each in place.records() if each["action"] == action and each["result"] == "denied"]
    return found[-1]["about"]["reason"]


def refused(place, reason, **person):
    """Assert that a person is refused in the one way there is, for this reason, and that nothing was made."""
    before = people(place)
    with pytest.raises(Unauthenticated) as told:
        enter(place, **person)
    assert told.value.message == "Single sign-on did not let you in."
    assert reason in why(place)
    assert people(place) == before


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


def required(place):
    """Have tenant north want single sign-on, as one who came by it."""
    set_up(place, roles=gives(eng="editor", boss="administrator"))
    boss = enter(place, sub="boss", email="boss@corp.example", groups=["boss"])
    place.call("policy.set", {"sso_required": True}, boss.access)
    place._tokens.clear()
    place.idp.person.update(sub="s-1", email="ann@corp.example", groups=["eng"])


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-A07")
def test_where_single_sign_on_is_wanted_no_password_opens_and_the_answer_is_a_strangers(home):
    editor, service = home.people["north", Role.EDITOR], home.people["north", Role.ADMINISTRATOR]
    before = home.sign_in(editor)
    key = home.new_key(service, ["self:use"]).key
    required(home)
    problems = []
    for email, password in ((editor.email, PASSWORD), (editor.email, "wrong"), ("nobody@north.example", PASSWORD)):
        with pytest.raises(Unauthenticated) as told:
            home.call("session.login", {"tenant": "north", "email": email, "password": password})
        problems.append(told.value.problem())
    assert problems[0] == problems[1] == problems[2]
    with pytest.raises(Unauthenticated):
        home.call("session.login", {"tenant": None, "email": editor.email, "password": PASSWORD})
    with pytest.raises(Unauthenticated):
        home.call("session.refresh", {"refresh": before["refresh"]})
    assert home.exchange(key)
    assert enter(home).access
    assert home.sign_in(home.people["south", Role.EDITOR])["access"]


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_superadmin_has_the_way_back_when_the_provider_is_gone(home):
    required(home)
    root = home.token(Role.SUPERADMIN)
    with pytest.raises(Conflict, match="nobody could come in"):
        home.call("sso.remove", {}, root)
    home.call("policy.set", {"sso_required": False}, root)
    home._tokens.clear()
    assert home.sign_in(home.people["north", Role.EDITOR])["access"]
    tokens = enter(home)
    home.call("sso.remove", {}, home.token(Role.SUPERADMIN))
    with pytest.raises(Unauthenticated):
        home.call("session.refresh", {"refresh": tokens.refresh})
    with pytest.raises(Missing):
        begin(home)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_who_came_by_a_password_cannot_shut_the_password_off(home):
    token = home.token(Role.ADMINISTRATOR)
    with pytest.raises(Invalid, match="no single sign-on is set up"):
        home.call("policy.set", {"sso_required": True}, token)
    set_up(home)
    with pytest.raises(Invalid, match="lock you out"):
        home.call("policy.set", {"sso_required": True}, token)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_who_has_no_password_has_no_way_in_by_one(home):
    set_up(home)
    tokens = enter(home)
    for password in ("", "x", PASSWORD):
        with pytest.raises(Unauthenticated):
            home.call("session.login", {"tenant": "north", "email": "ann@corp.example", "password": password})
    with pytest.raises(Denied):
        home.call("session.password", {"old": "", "new": PASSWORD}, tokens.access)
    with pytest.raises(Denied):
        home.call("session.prove", {"password": ""}, tokens.access)


def age(place, monkeypatch):
    """Let ten minutes pass for proofs alone."""
    login = place.app.services.login
    real = login._now
    monkeypatch.setattr(login, "_now", lambda: real() + 301)


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-A13")
def test_a_fresh_proof_comes_from_the_provider_that_asks_anew(home, monkeypatch):
    set_up(home, roles=gives(eng="administrator"))
    token = enter(home).access
    secret = {"name": "a", "value": "b"}
    with monkeypatch.context() as later:
        age(home, later)
        with pytest.raises(StepUp):
            home.call("secret.set", secret, token)
    back = home.idp.visit(home.call("sso.prove", {}, token).url)
    asked = home.idp.codes[back["code"]][0]
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    with pytest.raises(Unauthenticated):
        finish(home, back)
    home.idp.claims = lambda claims: {**claims, "auth_time": claims["iat"] - 60}
    with pytest.raises(Invalid):
        home.call("sso.confirm", back, token)
    assert "anew" in why(home, "sso.answer")
    home.idp.claims = lambda claims: claims
    family = home.app.services.login.authenticate(home.credentials(token)).grant
    at = home.app.services.system.grants().proved(family)
    home.call("sso.confirm", home.idp.visit(home.call("sso.prove", {}, token).url), token)
    assert home.app.services.system.grants().proved(family) > at
    assert home.app.services.system.grants().factors(family) == "sso"


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-A13")
def test_nobody_proves_who_they_are_by_somebody_elses_sign_in(home):
    set_up(home)
    ann = enter(home).access
    bob = enter(home, sub="s-2", email="bob@corp.example").access
    url = home.call("sso.prove", {}, ann).url
    back = home.idp.visit(url)  # bob sits at the provider
    with pytest.raises(Invalid):
        home.call("sso.confirm", back, bob)
    with pytest.raises(Invalid):
        home.call("sso.confirm", back, ann)
    assert "somebody else" in why(home, "sso.answer")
    with pytest.raises(Invalid, match="does not know you"):
        home.call("sso.prove", {}, home.token(Role.EDITOR))


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
    monkeypatch.setattr(store, "ALL_MAX", 1)
    with pytest.raises(Throttled):
        begin(home)


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
