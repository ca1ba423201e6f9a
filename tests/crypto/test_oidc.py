"""ID tokens and a provider's keys, by themselves. What a lying provider meets is in tests/guard/test_oidc.py."""

from __future__ import annotations

import json
import time

import jwt
import pytest

from sluicegate.base.secret import Secret
from sluicegate.crypto.oidc import ALGORITHMS, KeySet, Unfit, UnknownKey, Wanted, challenge, is_fresh, new_text, verify
from tests.fixtures.idp import KEYS

NOW = time.time()
WANTED = Wanted("https://id.example", "me", "n", NOW - 5)
CLAIMS = {"iss": "https://id.example", "aud": "me", "sub": "s", "nonce": "n", "iat": int(NOW), "exp": int(NOW) + 60}


def keys(*jwks):
    return KeySet(json.dumps({"keys": list(jwks)}).encode())


def token(algorithm="ES256", header=None, **claims):
    return jwt.encode({**CLAIMS, **claims}, KEYS.of(algorithm), algorithm, headers=header or {"kid": f"k-{algorithm}"})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_rightly_is_believed(algorithm):
    found = keys(KEYS.jwk(algorithm))
    assert verify(token(algorithm), found, WANTED, NOW)["sub"] == "s"


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_every_other_algorithm_is_refused_before_a_key_is_looked_for():
    class NoKeys:
        def find(self, *_):
            raise AssertionError("a key was looked for")

    for algorithm in ("none", "HS256", "HS384", "HS512", "RS384", "RS512", "ES512", "ES256K", "", "rs256"):
        head, body, signature = token().split(".")
        forged = json.dumps({"alg": algorithm}).encode()
        import base64

        head = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        with pytest.raises(Unfit, match="algorithm"):
            verify(f"{head}.{body}.{signature}", NoKeys(), WANTED, NOW)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_key_is_for_its_own_algorithm_alone():
    bound = {**KEYS.jwk("RS256"), "alg": "PS256", "kid": "k"}
    with pytest.raises(UnknownKey):
        verify(token("RS256", {"kid": "k"}), keys(bound), WANTED, NOW)
    assert verify(token("PS256", {"kid": "k"}), keys(bound), WANTED, NOW)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_of_two_keys_that_could_have_signed_none_is_guessed():
    plain = {name: value for name, value in KEYS.jwk("ES256").items() if name != "kid"}
    bare = token("ES256", {"typ": "JWT"})
    assert verify(bare, keys(plain), WANTED, NOW)
    with pytest.raises(Unfit, match="by which"):
        verify(bare, keys(plain, {**plain, "kid": "other"}), WANTED, NOW)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_clocks_may_differ_by_a_minute_and_no_more():
    found = keys(KEYS.jwk("ES256"))
    signed = token(exp=int(NOW) + 10)
    assert verify(signed, found, WANTED, NOW + 65)
    with pytest.raises(Unfit, match="over"):
        verify(signed, found, WANTED, NOW + 71)
    assert verify(signed, found, WANTED, NOW - 55)
    with pytest.raises(Unfit, match="another time"):
        verify(signed, found, WANTED, NOW - 65)
    with pytest.raises(Unfit, match="another time"):
        verify(signed, found, WANTED._replace(since=NOW + 70), NOW)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_token_that_names_several_audiences_says_for_whom_it_was_asked():
    found = keys(KEYS.jwk("ES256"))
    assert verify(token(aud=["me"]), found, WANTED, NOW)
    assert verify(token(aud=["me", "other"], azp="me"), found, WANTED, NOW)
    for claims in (
        {"aud": ["me", "other"]},
        {"aud": ["me", "other"], "azp": "other"},
        {"aud": ["other"]},
        {"aud": {"me": 1}},
    ):
        with pytest.raises(Unfit):
            verify(token(**claims), found, WANTED, NOW)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": 1}', b"\xff", b'{"keys": [], "keys": []}', b"[" * 100_000],
    ids=["nothing", "list", "object", "no list", "number", "no text", "twice", "deep"],
)
def test_what_is_no_key_set_is_refused(raw):
    with pytest.raises(Unfit):
        KeySet(raw)


@pytest.mark.security
def test_keys_of_no_use_are_left_out():
    odd = [
        7,
        {},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-521"},
        {"kty": "RSA", "n": "A" * 9000},
        {"kty": "RSA", "n": "!"},
    ]
    assert len(keys(*odd)) == 0
    with pytest.raises(Unfit, match="cannot be read"):
        verify(token(), keys({**KEYS.jwk("ES256"), "x": "AAAA"}), WANTED, NOW)


@pytest.mark.security
@pytest.mark.req("SEC-A12")
def test_fresh_is_who_was_asked_since_whatever_the_providers_clock_says():
    for wrong in (-3600, 0, 3600):
        issued = NOW + wrong
        assert is_fresh({"iat": issued, "auth_time": issued - 20}, since=NOW - 20, now=NOW)
        assert not is_fresh({"iat": issued, "auth_time": issued - 30}, since=NOW - 20, now=NOW)
    for claims in (
        {},
        {"iat": NOW},
        {"auth_time": NOW},
        {"iat": NOW, "auth_time": "1"},
        {"iat": NOW, "auth_time": True},
    ):
        assert not is_fresh(claims, NOW, NOW)


def test_the_challenge_is_that_of_the_standard():
    assert (
        challenge(Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
    assert len(new_text().reveal()) == 43
    assert new_text().reveal() != new_text().reveal()
