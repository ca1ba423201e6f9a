"""Where single sign-on is the only way in; and fresh proofs of who came by it."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, StepUp, Unauthenticated
from sluicegate.base.principal import Role
from tests.fixtures.idp import ask, gives
from tests.fixtures.server import PASSWORD
from tests.guard.sso import begin, enter, finish, home, idp, set_up, why

__all__ = ["home", "idp"]


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
@pytest.mark.req("SEC-A12", "SEC-A13")
def test_where_single_sign_on_is_wanted_no_password_proves_anything(home):
    editor = home.people["north", Role.EDITOR]
    required(home)
    home.call("sso.set", ask(home.idp, domains=["north.example", "corp.example"]), home.token(Role.SUPERADMIN))
    token = enter(home, sub="editor", email=editor.email).access
    assert home.call("session.whoami", {}, token).id == editor.id
    with pytest.raises(Denied, match="wants single sign-on"):
        home.call("session.prove", {"password": PASSWORD}, token)
    with pytest.raises(Denied, match="wants single sign-on"):
        home.call("session.password", {"old": PASSWORD, "new": PASSWORD + " more"}, token)
    home.call("sso.confirm", home.idp.visit(home.call("sso.prove", {}, token).url), token)


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A12")
def test_a_fresh_proof_wants_the_second_factor_as_well(home):
    import pyotp

    set_up(home)
    token = enter(home).access
    begun = home.call("factor.begin", {}, token)
    codes = home.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, token).codes
    with pytest.raises(Invalid, match="second factor"):
        home.call("sso.prove", {}, token)
    with pytest.raises(Invalid, match="wrong"):
        home.call("sso.prove", {"code": "000000"}, token)
    url = home.call("sso.prove", {"code": codes[0]}, token).url
    home.call("sso.confirm", home.idp.visit(url), token)
    set_up(home, factors=["mfa"])
    with pytest.raises(Invalid):  # the provider could have vouched for one, and did not
        home.call("sso.confirm", home.idp.visit(home.call("sso.prove", {}, token).url), token)
    assert "no second factor" in why(home, "sso.answer")
    home.idp.person["amr"] = ["mfa"]
    home.call("sso.confirm", home.idp.visit(home.call("sso.prove", {}, token).url), token)
