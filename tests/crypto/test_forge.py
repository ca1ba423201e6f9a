"""What attacks are signed with: it must be good at it, else a refusal shows nothing."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sluicegate.crypto import forge
from sluicegate.crypto.dpop import ProofCheck

URL = "https://localhost/x"


def test_its_proofs_are_good_ones_and_bound_to_the_token():
    key = forge.EcKey()
    prints = {ProofCheck().verify(key.prove("GET", URL, token), "GET", URL, token) for token in (None, "a-token")}
    assert len(prints) == 1
    assert "d" in key.private_jwk
    assert "d" not in key.jwk


@pytest.mark.security
@pytest.mark.req("SEC-T01", "SEC-T02")
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_under_a_secret_verifies_under_it(algorithm):
    token = forge.by_secret({"alg": algorithm}, {"a": 1}, b"key", algorithm)
    text, _, signature = token.rpartition(".")
    made = hmac.digest(b"key", text.encode(), getattr(hashlib, algorithm.replace("HS", "sha")))
    assert forge.decode(signature) == made
    assert json.loads(forge.decode(text.partition(".")[2])) == {"a": 1}
    assert forge.part(b"raw") == forge.encode(b"raw")


@pytest.mark.security
@pytest.mark.req("SEC-T02")
def test_a_token_under_rsa_verifies_under_the_key_it_brings():
    key = forge.RsaKey()
    text, _, signature = key.sign({"alg": "RS256", "jwk": key.jwk}, {"a": 1}).rpartition(".")
    load_pem_public_key(key.pem).verify(forge.decode(signature), text.encode(), PKCS1v15(), SHA256())
    assert load_pem_public_key(forge.EcKey().pem).curve.name == "secp256r1"
    assert forge.fresh_id() != forge.fresh_id()
