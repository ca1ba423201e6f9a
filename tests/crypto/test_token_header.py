"""SEC-T01 to T04: neither the algorithm nor anything else in a header is the sender's to choose."""

import hashlib
import json
import sys

import pytest
from jwt.exceptions import InvalidKeyError

from sluicegate.base.errors import Invalid
from sluicegate.crypto.keys import Key
from tests.fixtures.tokens import (
    HEADER,
    RING,
    ROOT,
    SIGNING,
    SPARE,
    b64,
    forge,
    make,
    mint,
    refuse,
)

# --- T01 algorithm ---


@pytest.mark.security
@pytest.mark.req("SEC-T01")
@pytest.mark.parametrize(
    "alg",
    [
        "none",
        "None",
        "nOnE",
        "NONE",
        "",
        "HS256",
        "HS384",
        "hs512",
        "HS512 ",
        "RS256",
        "RS512",
        "ES256",
        "EdDSA",
        "PS512",
        "dir",
        "A256GCM",
        None,
        512,
        True,
        ["HS512"],
        {"alg": "HS512"},
    ],
)
def test_another_algorithm_is_refused(alg):
    header = {**HEADER, "alg": alg}
    refuse(forge(header))
    refuse(forge(header).rsplit(".", 1)[0] + ".")
    refuse(forge(header, hash_=hashlib.sha256))
    refuse(forge(header, hash_=hashlib.sha384))


@pytest.mark.security
@pytest.mark.req("SEC-T01")
def test_a_missing_algorithm_is_refused():
    refuse(forge({"kid": "k1", "typ": "at+jwt"}))
    refuse(forge({}))


@pytest.mark.security
@pytest.mark.req("SEC-T01")
@pytest.mark.parametrize("hash_", [hashlib.sha256, hashlib.sha384, hashlib.sha3_512, hashlib.blake2b])
def test_a_signature_by_another_hash_under_the_right_header_is_refused(hash_):
    refuse(forge(hash_=hash_))


# --- T02 confusion ---


@pytest.mark.security
@pytest.mark.req("SEC-T02")
@pytest.mark.parametrize("kind", ["rsa", "ed25519", "ec"])
def test_a_public_key_is_no_key(kind):
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    }[kind]()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    refuse(forge(key=pem))
    refuse(forge(key=pem.rstrip()))
    with pytest.raises(Invalid, match="-byte key"):  # nor can it be put into a ring
        make(keys={"k1": Key(pem)})


@pytest.mark.security
@pytest.mark.req("SEC-T02")
@pytest.mark.parametrize("key", [b"", bytes(64), b"secret", ROOT.raw, SIGNING[:32], SPARE.raw, SIGNING.hex().encode()])
def test_a_key_that_is_not_the_derived_one_is_refused(key):
    refuse(forge(key=key))


# --- T03 key floor ---


@pytest.mark.security
@pytest.mark.req("SEC-T03")
def test_the_signer_itself_refuses_a_short_key():
    """Second lock behind ``Key``: PyJWT only warns by default."""
    with pytest.raises(InvalidKeyError):
        RING._jws.encode(b"{}", b"k" * 63, algorithm="HS512")
    with pytest.raises(InvalidKeyError):
        RING._jws.decode(forge(key=b"k" * 63), b"k" * 63, algorithms=["HS512"])


@pytest.mark.security
@pytest.mark.req("SEC-T03")
@pytest.mark.parametrize("key", [b"k" * 63, b"", b"k" * 65])
def test_a_ring_cannot_be_made_with_a_key_of_another_size(key):
    with pytest.raises(Invalid, match=f"{len(key)}-byte key"):
        make(keys={"k1": Key(key)})


# --- T04 header injection ---


class Spy:
    """Sees every file, socket, process and database that the interpreter touches (PEP 578)."""

    def __init__(self):
        self.on, self.seen = False, []
        sys.addaudithook(self)

    def __call__(self, event, args):
        if self.on and event.split(".")[0] in {
            "open",
            "os",
            "socket",
            "subprocess",
            "sqlite3",
            "urllib",
            "http",
            "exec",
            "ctypes",
        }:
            self.seen.append((event, args))


@pytest.fixture(scope="module")
def spy():
    return Spy()


KIDS = [
    "../../dev/null", "/dev/null", "' OR 1=1 --", "' UNION SELECT 'a", "k" * 10_240, "http://169.254.169.254/k1", "file:///etc/passwd",
    "k1\0", "k1 ", " k1", "K1", "", "k2", "k1;ls", "$(id)", "k\u0131", "\u212a1", None, 1, True, ["k1"], {"k": 1},
]  # fmt: skip
EXTRA = [
    {"jku": "http://127.0.0.1:1/keys"},
    {"x5u": "http://127.0.0.1:1/cert"},
    {"jwk": {"kty": "oct", "k": b64(SIGNING)}},
    {"x5c": ["MIIB"]},
    {"x5t": "AAAA"},
    {"crit": ["exp"]},
    {"crit": ["unknown"], "unknown": 1},
    {"crit": ["b64"], "b64": True},
    {"crit": ["b64"], "b64": False},
    {"crit": []},
    {"b64": False},
    {"cty": "JWT"},
    {"zip": "DEF"},
    {"enc": "A256GCM"},
    {"foo": "bar"},
    {"": ""},
]


@pytest.mark.security
@pytest.mark.req("SEC-T04")
@pytest.mark.parametrize("more", [{"kid": kid} for kid in KIDS] + EXTRA)
def test_nothing_in_a_header_is_followed(spy, more):
    RING.verify(mint())  # what is loaded on use is loaded
    token = forge({**HEADER, **more})
    spy.seen.clear()
    spy.on = True
    try:
        refuse(token)
    finally:
        spy.on = False
    assert spy.seen == []


@pytest.mark.security
@pytest.mark.req("SEC-T04")
def test_a_header_without_kid_or_typ_is_refused():
    refuse(forge({"alg": "HS512", "typ": "at+jwt"}))
    refuse(forge({"alg": "HS512", "kid": "k1"}))


@pytest.mark.security
@pytest.mark.req("SEC-T04")
def test_the_header_is_not_parsed_before_it_is_known(monkeypatch):
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    refuse(forge({**HEADER, "jku": "x"}))
    refuse("aaaa.bbbb." + "A" * 86)
