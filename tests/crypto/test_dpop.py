"""Proofs of possession: RFC 9449 and everything that is not quite one (SEC-T12)."""

from __future__ import annotations

import base64
import json
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Conflict, Invalid, Unauthenticated
from sluicegate.crypto import dpop
from sluicegate.crypto.dpop import ProofCheck, ProofKey, hash_token, thumbprint

NOW = 1_790_000_000
URL = "https://localhost:8443/api/v1/flows"
TOKEN = "eyJ.a.token"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
KEY = ProofKey(PRIVATE)
NUMBERS = PRIVATE.public_key().public_numbers()


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


JWK = {"kty": "EC", "crv": "P-256", "x": b64(NUMBERS.x.to_bytes(32)), "y": b64(NUMBERS.y.to_bytes(32))}
HEADER = {"alg": "ES256", "typ": "dpop+jwt", "jwk": JWK}
CLAIMS = {"htm": "GET", "htu": URL, "iat": NOW, "jti": "0123456789abcdef", "ath": hash_token(TOKEN)}


def forge(header=None, claims=None, *, key=PRIVATE, hash_=None):
    """Sign anything with a true key: what still fails does so by the guard under test."""
    signed = (
        f"{b64(compact(HEADER if header is None else header))}.{b64(compact(CLAIMS if claims is None else claims))}"
    )
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hash_ or SHA256())))
    return f"{signed}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


PROOF = forge()


def check(proof, method="GET", url=URL, token=TOKEN, now=NOW):
    return ProofCheck(lambda: now).verify(proof, method, url, token)


def refuse(proof, **more):
    with pytest.raises(Unauthenticated) as told:
        check(proof, **more)
    assert told.value.problem() == Unauthenticated().problem(), "one refusal for every cause"


@pytest.mark.security
@pytest.mark.req("SEC-T12")
def test_a_proof_holds_for_its_key_and_request():
    assert check(forge()) == KEY.thumbprint == thumbprint(JWK["x"], JWK["y"])
    assert check(KEY.prove("GET", URL + "?limit=5#x", TOKEN, now=NOW)) == KEY.thumbprint
    assert check(KEY.prove("POST", URL, now=NOW), method="POST", token=None) == KEY.thumbprint


def test_the_example_of_the_rfc_has_the_thumbprint_it_says():
    # RFC 9449 §6.1 names the thumbprint of the key in figure 2's proof.
    x, y = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"
    assert thumbprint(x, y) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_the_hash_of_a_token_is_that_of_the_rfc():
    # RFC 9449 §7.1, figure 13.
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert hash_token(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.security
@pytest.mark.req("SEC-T12")
@pytest.mark.parametrize(
    "more",
    [
        {"method": "POST"}, {"method": "get"}, {"url": URL + "/x"}, {"url": "https://localhost:8443/api/v1/Flows"},
        {"url": "https://localhost/api/v1/flows"}, {"url": "https://elsewhere:8443/api/v1/flows"}, {"url": ""}, {"url": "http://localhost:8443/api/v1/flows"},
        {"token": "another"}, {"token": ""}, {"now": NOW + dpop.WINDOW + 1}, {"now": NOW - dpop.AHEAD - 1},
    ],
)  # fmt: skip
def test_a_proof_for_another_request_or_time_is_none(more):
    refuse(forge(), **more)


@pytest.mark.parametrize("url", ["https://LOCALHOST:8443/api/v1/flows", URL])
def test_the_host_is_compared_without_case(url):
    assert check(forge(), url=url)


def test_the_default_port_may_be_written_out():
    for one, other in (
        ("https://a.example/x", "https://a.example:443/x"),
        ("https://a.example:443/x", "https://A.example/x"),
    ):
        assert check(forge(claims={**CLAIMS, "htu": one}), url=other)


@pytest.mark.security
@pytest.mark.req("SEC-T12")
def test_a_proof_is_good_once_and_stays_spent_as_long_as_it_could_be():
    now = [float(NOW)]
    checks = ProofCheck(lambda: now[0])
    checks.verify(forge(), "GET", URL, TOKEN)
    for _ in range(int((dpop.WINDOW + dpop.AHEAD) * 4)):
        with pytest.raises(Unauthenticated):
            checks.verify(forge(), "GET", URL, TOKEN)
        now[0] += 0.5
        # Time passes with other proofs, so that the memory turns over.
        checks.verify(KEY.prove("GET", URL, TOKEN, now=now[0]), "GET", URL, TOKEN)
    assert sum(len(each) for each in checks._seen) < 3 * 2 * (dpop.WINDOW + dpop.AHEAD), "and is forgotten afterwards"


@pytest.mark.security
@pytest.mark.req("SEC-T12")
def test_two_clients_may_choose_the_same_id():
    checks, other = ProofCheck(lambda: NOW), ProofKey.new()
    jwk = json.loads(base64.urlsafe_b64decode(other._header + "=="))["jwk"]
    checks.verify(forge(), "GET", URL, TOKEN)
    assert checks.verify(forge({**HEADER, "jwk": jwk}, key=other._private), "GET", URL, TOKEN) == other.thumbprint


@pytest.mark.security
@pytest.mark.req("SEC-T12", "SEC-T01", "SEC-T04")
@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "alg": "none"}, {**HEADER, "alg": "HS256"}, {**HEADER, "alg": "ES384"}, {**HEADER, "alg": "es256"},
        {**HEADER, "typ": "JWT"}, {**HEADER, "typ": "at+jwt"}, {**HEADER, "kid": "1"}, {**HEADER, "crit": ["exp"]}, {**HEADER, "jku": "https://e"},
        {**HEADER, "x5c": []}, {"alg": "ES256", "typ": "dpop+jwt"}, {**HEADER, "jwk": None}, {**HEADER, "jwk": []},
        {**HEADER, "jwk": {**JWK, "d": b64(b"1" * 32)}}, {**HEADER, "jwk": {**JWK, "kty": "oct"}}, {**HEADER, "jwk": {**JWK, "crv": "P-384"}},
        {**HEADER, "jwk": {**JWK, "x": JWK["y"]}}, {**HEADER, "jwk": {**JWK, "x": 1}}, {**HEADER, "jwk": {**JWK, "x": JWK["x"] + "="}},
        {**HEADER, "jwk": {**JWK, "x": b64(b"\0" * 32), "y": b64(b"\0" * 32)}}, {**HEADER, "jwk": {**JWK, "x": b64(b"\0" + NUMBERS.x.to_bytes(32))}},
        [], "x", b"", b"\xff", b"null", b'{"alg":"ES256","alg":"ES256"}', b"[" * 200,
    ],
)  # fmt: skip
def test_a_header_that_is_not_ours_is_refused(header):
    refuse(forge(header))


@pytest.mark.security
@pytest.mark.req("SEC-T12", "SEC-T05")
@pytest.mark.parametrize(
    "change",
    [
        {"htm": None}, {"htm": ["GET"]}, {"htu": None}, {"htu": 1}, {"htu": "//localhost:8443/api/v1/flows"}, {"htu": "https://[::1/"},
        {"htu": "https://u:p@localhost:8443/api/v1/flows"}, {"iat": None}, {"iat": str(NOW)}, {"iat": float(NOW)}, {"iat": True}, {"iat": 1e308},
        {"iat": 10**400}, {"iat": -NOW}, {"jti": None}, {"jti": ""}, {"jti": "short"}, {"jti": "x" * 129}, {"jti": "with a blank"}, {"jti": "ünïcödé-id"},
        {"jti": 12345678}, {"ath": None}, {"ath": ""}, {"ath": 1}, {"ath": "ü"}, {"ath": CLAIMS["ath"] + "="}, {"ath": "\ud800"},
    ],
)  # fmt: skip
def test_claims_that_do_not_fit_are_refused(change):
    refuse(forge(claims={**CLAIMS, **change}))


@pytest.mark.security
@pytest.mark.req("SEC-T12", "SEC-T08")
def test_doubled_keys_are_refused():
    refuse(forge(claims=json.dumps(CLAIMS).encode()[:-1] + b',"htm":"GET"}'))
    refuse(forge(json.dumps(HEADER).encode()[:-1] + b',"typ":"dpop+jwt"}'))


@pytest.mark.security
@pytest.mark.req("SEC-T12", "SEC-T07")
def test_a_signature_by_another_key_or_hash_is_refused():
    refuse(forge(key=ec.generate_private_key(ec.SECP256R1())))
    refuse(forge(hash_=SHA384()))
    proof = forge()
    head, _, signature = proof.rpartition(".")
    refuse(f"{head}.{b64(b'0' * 64)}")
    refuse(f"{head}.{b64(bytes(64))}")
    swapped = base64.urlsafe_b64decode(signature + "==")
    refuse(f"{head}.{b64(swapped[32:] + swapped[:32])}")


@pytest.mark.security
@pytest.mark.req("SEC-T07", "SEC-T08")
@given(st.data())
def test_no_other_text_of_a_proof_is_one(data):
    proof = PROOF
    place = data.draw(st.integers(0, len(proof) - 1))
    other = data.draw(st.characters(exclude_characters=proof[place]))
    refuse(proof[:place] + other + proof[place + 1 :])
    refuse(proof[:place])
    refuse(proof[:place] + "\n" + proof[place:])


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_an_endless_proof_is_refused_unread():
    refuse(forge({**HEADER, "x": "y" * 2000}))
    refuse("a" * 10_000_000)


@pytest.mark.security
def test_only_keys_that_signed_are_kept_parsed(monkeypatch):
    monkeypatch.setattr(dpop, "KEYS_MAX", 2)
    checks = ProofCheck(lambda: NOW)
    with pytest.raises(Unauthenticated):
        checks.verify(forge(key=ec.generate_private_key(ec.SECP256R1())), "GET", URL, TOKEN)
    assert not checks._known
    for _ in range(5):
        checks.verify(ProofKey.new().prove("GET", URL, TOKEN, now=NOW), "GET", URL, TOKEN)
    assert len(checks._known) == 2


@pytest.mark.security
def test_a_key_file_is_its_users_alone(tmp_path):
    file = tmp_path / "client.key"
    KEY.save(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ProofKey.load(file).thumbprint == KEY.thumbprint
    with pytest.raises(Conflict):
        ProofKey.new().save(file)
    file.chmod(0o644)
    with pytest.raises(Invalid, match="mode 0644"):
        ProofKey.load(file)


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_holds_no_key_is_named(tmp_path, text):
    file = tmp_path / "client.key"
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(Invalid, match="does not hold a P-256 key") as told:
        ProofKey.load(file)
    assert told.value.where == str(file)
