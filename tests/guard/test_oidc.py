"""A provider that lies, cheats, floods and dawdles: each is refused with one error, and nothing is made of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time

import pytest

from sluicegate.base.errors import Missing, Unauthenticated
from sluicegate.base.principal import Role
from sluicegate.guard import oidc
from tests.fixtures.idp import CLIENT, KEYS, b64, provider
from tests.guard.sso import begin, enter, finish, home, idp, people, refused, set_up, why

__all__ = ["home", "idp"]


def compact(value):
    return b64(json.dumps(value).encode())


def sign_by_hmac(token, key):
    """Sign the claims of ``token`` anew by HS256, with what everybody knows as the key."""
    head, body = compact({"alg": "HS256", "typ": "JWT", "kid": "k-RS256"}), token.split(".")[1]
    return f"{head}.{body}.{b64(hmac.digest(key, f'{head}.{body}'.encode(), hashlib.sha256))}"


def tamper(token):
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{compact({**claims, 'groups': ['eng', 'boss']})}.{signature}"


def without(name):
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def saying(**more):
    return lambda claims: {**claims, **more}


def shifted(name, seconds):
    return lambda claims: {**claims, name: claims[name] + seconds}


CLAIMS = {
    "another audience": (saying(aud="other"), "for another client"),
    "no audience": (without("aud"), "for another client"),
    "audience is a number": (saying(aud=7), "for another client"),
    "another party": (saying(azp="other"), "asked for by another"),
    "two audiences, no party": (saying(aud=[CLIENT, "other"]), "asked for by another"),
    "another issuer": (saying(iss="https://evil.example"), "another issuer"),
    "issuer with a slash more": (lambda claims: {**claims, "iss": claims["iss"] + "/"}, "another issuer"),
    "no subject": (without("sub"), "whose it is"),
    "empty subject": (saying(sub=""), "whose it is"),
    "subject is a number": (saying(sub=7), "whose it is"),
    "another nonce": (saying(nonce="x" * 43), "not made for this sign-in"),
    "no nonce": (without("nonce"), "not made for this sign-in"),
    "over": (shifted("exp", -400), "is over"),
    "no end": (without("exp"), "is over"),
    "end is text": (saying(exp="9999999999"), "is over"),
    "end is true": (saying(exp=True), "is over"),
    "old": (shifted("iat", -120), "another time"),
    "of tomorrow": (shifted("iat", 3600), "another time"),
    "no time": (without("iat"), "another time"),
    "not yet": (lambda claims: {**claims, "nbf": claims["iat"] + 3600}, "does not hold yet"),
    "another access token": (saying(at_hash="x"), "not the one"),
    "access hash is null": (saying(at_hash=None), "not the one"),
}


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_an_id_token_that_says_another_thing_is_refused(home):
    set_up(home)
    for twist, reason in CLAIMS.values():
        home.idp.reset()
        home.idp.claims = twist
        home.idp.about = without("userinfo_endpoint")
        refused(home, reason)
    home.idp.reset()
    assert enter(home).access


SIGNED = {
    "no algorithm": (lambda token: f"{compact({'alg': 'none'})}.{token.split('.')[1]}.", "no signed JWT"),
    "none, with a signature": (lambda token: f"{compact({'alg': 'none'})}.{token.split('.', 1)[1]}", "algorithm"),
    "none in capitals": (lambda token: f"{compact({'alg': 'NONE'})}.{token.split('.', 1)[1]}", "algorithm"),
    "HMAC with the public key": (lambda token: sign_by_hmac(token, KEYS.pem), "algorithm"),
    "HMAC with the client's secret": (lambda token: sign_by_hmac(token, b"the client's secret: 50%+"), "algorithm"),
    "HMAC with nothing": (lambda token: sign_by_hmac(token, b""), "algorithm"),
    "changed": (tamper, "signature"),
    "no signature": (lambda token: token.rpartition(".")[0] + ".", "no signed JWT"),
    "another's signature": (lambda token: token[:-8] + "AAAAAAAA", "signature"),
    "not a token": (lambda _token: "hello", "no signed JWT"),
    "an object": (lambda _token: {"a": 1}, "no ID token"),
    "huge": (lambda token: token + "A" * 40_000, "no signed JWT"),
}


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_an_id_token_that_is_not_signed_as_it_must_be_is_refused(home):
    set_up(home)
    for twist, reason in SIGNED.values():
        home.idp.signed = twist
        refused(home, reason)


HEADERS = {
    "for an access token": ({"typ": "at+jwt"}, "not that of an ID token"),
    "for a logout": ({"typ": "logout+jwt"}, "not that of an ID token"),
    "critical": ({"crit": ["b64"], "b64": True}, "not that of an ID token"),
    "a key of its own": ({"kid": "mine", "jku": "https://evil.example/keys"}, "does not show"),
    "another kind of key": ({"kid": "k-ES256"}, "does not show"),
}


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_header_that_leads_elsewhere_is_refused(home):
    set_up(home)
    for more, reason in HEADERS.values():
        home.idp.header = saying(**more)
        refused(home, reason)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "EdDSA"])
def test_each_algorithm_that_is_taken_works_with_its_own_kind_of_key(home, algorithm):
    set_up(home)
    home.idp.algorithm = algorithm
    home.idp.keys = [KEYS.jwk(each) for each in ("RS256", "PS256", "ES256", "EdDSA")]
    assert enter(home).access
    home.idp.header = lambda _header: {}  # no key is named: two RSA keys could have signed
    if algorithm == "PS256":
        refused(home, "by which of the provider's keys")
    else:
        assert enter(home).access


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_flood_of_unknown_keys_has_the_keys_asked_for_once(home):
    set_up(home)
    asked = []

    def keys(handler):
        asked.append(1)
        handler.say(200, {"keys": home.idp.keys})

    home.idp.raw["/keys"] = keys
    assert enter(home).access
    for number in range(5):
        home.idp.header = saying(kid=f"new-{number}")
        refused(home, "does not show")
    assert len(asked) == 1


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_new_key_is_found_when_the_last_look_is_a_while_ago(home, monkeypatch):
    set_up(home)
    assert enter(home).access
    home.idp.keys = [{**each, "kid": each["kid"] + "-new"} for each in home.idp.keys]
    home.idp.header = lambda header: {"kid": header["kid"] + "-new"}
    refused(home, "does not show")
    monkeypatch.setattr(oidc, "AGAIN", 0.0)
    assert enter(home).access


WEAK = {
    "small": {"n": b64(b"\xff" * 128)},
    "for sealing": {"use": "enc"},
    "private": {"d": "AQAB"},
    "symmetric": {"kty": "oct", "k": "AAAA"},
    "no number": {"n": 7},
    "for another algorithm": {"alg": "RS512"},
}


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_keys_that_are_weak_or_for_something_else_verify_nothing(home, monkeypatch):
    monkeypatch.setattr(oidc, "KEPT", -1.0)
    set_up(home)
    for more in WEAK.values():
        home.idp.keys = [{**KEYS.jwk("RS256"), **more}]
        refused(home, "does not show")


def flood(handler):
    handler.tell(200, {"content-type": "application/json"}, b'{"keys": [' + b" " * 300_000 + b"]}")


def many(handler):
    handler.say(200, {"keys": [{**KEYS.jwk("ES256"), "kid": str(number)} for number in range(65)]})


def bomb(handler):
    handler.tell(200, {"content-type": "application/json", "content-encoding": "gzip"}, b"\x1f\x8b\x08\x00")


def nested(handler):
    handler.tell(200, {"content-type": "application/json"}, b"[" * 100_000)


def twice(handler):
    handler.tell(200, {"content-type": "application/json"}, b'{"keys": [], "keys": []}')


def elsewhere(handler):
    handler.tell(302, {"location": "https://127.0.0.1:1/"}, b"")


def nowhere(handler):
    handler.tell(302, {"location": "https://[::/"}, b"")


def broken(handler):
    handler.tell(500, {}, b"a trace")


DAMAGED = {
    "huge": (flood, "larger than"), "many": (many, "more than 64"), "packed": (bomb, "no JWK set"), "nested": (nested, "no JWK set"),
    "twice": (twice, "no JWK set"), "sent on": (elsewhere, "elsewhere"), "sent nowhere": (nowhere, "not a URL"), "broken": (broken, "500"),
}  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-E01")
def test_keys_that_are_no_keys_are_refused(home):
    set_up(home)
    for answer, reason in DAMAGED.values():
        home.idp.raw["/keys"] = answer
        refused(home, reason)


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-E01")
@pytest.mark.parametrize("path", ["/token", "/me"])
def test_other_answers_that_are_none_are_refused(home, path):
    set_up(home)
    home.idp.claims = without("groups")
    for answer in (flood, bomb, nested, elsewhere, nowhere, broken):
        home.idp.raw[path] = answer
        refused(home, "")


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_what_the_provider_says_beside_the_token_is_about_the_same_person(home):
    set_up(home)
    home.idp.claims = without("groups")
    assert enter(home).access
    home.idp.raw["/me"] = lambda handler: handler.say(200, {**home.idp.me, "sub": "s-2"})
    refused(home, "another person")
    home.idp.raw["/me"] = lambda handler: handler.say(200, {"groups": ["eng"]})
    refused(home, "another person")


DISCOVERIES = {
    "another issuer": (saying(issuer="https://evil.example"), "another issuer"),
    "token over http": (saying(token_endpoint="http://127.0.0.1/token"), "token_endpoint is no https"),
    "keys from a file": (saying(jwks_uri="file:///etc/passwd"), "jwks_uri is no https"),
    "sign-in by a script": (saying(authorization_endpoint="javascript:alert(1)"), "authorization_endpoint is no https"),
    "name and password": (saying(token_endpoint="https://a:b@127.0.0.1/"), "token_endpoint is no https"),
    "userinfo over http": (saying(userinfo_endpoint="http://127.0.0.1/me"), "userinfo_endpoint is no https"),
    "no keys": (without("jwks_uri"), "jwks_uri is no https"),
    "a line more": (saying(authorization_endpoint="https://a.example/\r\nset-cookie: a=b"), "no https"),
}


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-E01")
def test_a_provider_that_does_not_name_itself_rightly_is_not_gone_to(home, monkeypatch):
    monkeypatch.setattr(oidc, "AGAIN", -1.0)
    set_up(home)
    for twist, reason in DISCOVERIES.values():
        home.idp.about = twist
        with pytest.raises(Missing) as told:
            begin(home)
        assert told.value.message.startswith("Single sign-on is not set up")
        assert reason in home.records()[-1]["about"]["reason"]
    home.idp.reset()
    for answer in (flood, bomb, nested, elsewhere, nowhere, broken):
        home.idp.raw["/.well-known/openid-configuration"] = answer
        with pytest.raises(Missing):
            begin(home)


@pytest.mark.security
@pytest.mark.req("SEC-E01", "SEC-E02")
def test_an_endpoint_behind_the_egress_policy_is_not_reached(home):
    set_up(home)
    for name, path in (("token_endpoint", "token"), ("jwks_uri", "keys"), ("userinfo_endpoint", "me")):
        home.idp.about = saying(**{name: f"https://169.254.169.254/{path}"})
        home.app.services.sso._adapter._known.clear()
        home.app.services.sso._adapter._keys.clear()
        home.idp.claims = without("groups")
        refused(home, "egress policy")


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_slow_provider_has_an_end_and_is_left_alone_for_a_while(home, monkeypatch):
    monkeypatch.setattr(oidc, "TOTAL", 1.0)
    over, asked = threading.Event(), []

    def drip(handler):
        asked.append(1)
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\nx-a: " + b"a" * 100_000:
            handler.wfile.write(bytes([byte]))
            if over.wait(0.1):
                return

    home.idp.raw["/.well-known/openid-configuration"] = drip
    set_up(home)
    began = time.monotonic()
    with pytest.raises(Missing):
        begin(home)
    assert time.monotonic() - began < 20, "each byte came in time, all of them did not"
    with pytest.raises(Missing):
        begin(home)
    assert len(asked) == 1
    over.set()


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_a_provider_whose_certificate_does_not_hold_is_not_believed(home):
    home.call("sso.set", {"issuer": home.idp.issuer, "client_id": CLIENT}, home.token(Role.ADMINISTRATOR))
    with pytest.raises(Missing):
        begin(home)
    with provider() as other:
        set_up(home, ca=other.ca)
        with pytest.raises(Missing):
            begin(home)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_no_word_of_the_provider_is_told_or_kept(home):
    set_up(home)
    home.idp.raw["/token"] = lambda handler: handler.say(
        400, {"error": "A canary <b>", "error_description": "a canary sings"}
    )
    with pytest.raises(Unauthenticated) as told:
        enter(home)
    assert "canary" not in str(told.value)
    assert why(home) == "The provider did not take the code: no reason given."
    assert "canary" not in json.dumps(home.records())


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-V01")
def test_neither_code_nor_state_nor_verifier_is_stored_or_written_down(home):
    set_up(home)
    back = home.idp.visit(begin(home))
    state, code = back["state"], back["code"]
    nonce = home.idp.codes[code][0]["nonce"]
    stored = b"".join(each.read_bytes() for each in home.files())
    for text in (state, nonce, "the client's secret"):
        assert text.encode() not in stored
    assert finish(home, back).access
    stored = b"".join(each.read_bytes() for each in home.files())
    for text in (state, nonce, code, home.idp.asked[-1]["code_challenge"], f"at-{code}"):
        assert text.encode() not in stored


def test_a_secret_goes_into_the_form_where_the_provider_wants_it_there(home):
    set_up(home)
    home.idp.about = saying(token_endpoint_auth_methods_supported=["client_secret_post"])
    forms = []
    real = home.idp.trade
    home.idp.secret = None
    home.idp.trade = lambda form, header: forms.append((form, header)) or real(form, header)
    assert enter(home).access
    assert forms[0][0]["client_secret"] == "the client's secret: 50%+"
    assert forms[0][1] == ""


def test_groups_are_found_where_a_provider_keeps_them(home):
    set_up(home, groups_claim="realm_access.roles")
    assert enter(home, groups=None, realm_access={"roles": ["eng"]}).access
    set_up(home, groups_claim="https://corp.example/groups")
    assert enter(home, **{"https://corp.example/groups": "eng"}).access
    assert "ann@corp.example" in people(home)
