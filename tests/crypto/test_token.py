"""The attack suite of SEC-T01 to T08 and T17: every token but an honest one meets the same refusal."""

import base64
import hashlib
import hmac
import json
import sys

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jwt.exceptions import InvalidKeyError

from sluicegate.base.errors import Invalid, Unauthenticated
from sluicegate.base.principal import Role
from sluicegate.crypto.keys import Key, derive
from sluicegate.crypto.token import LEEWAY, Claims, TokenRing, purpose

NOW = 1_790_000_000
ROOT, SPARE = Key(bytes(range(64))), Key(bytes(range(1, 65)))
ISSUER, AUDIENCE = "https://etl.example.org", "api"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def make(*, keys=None, signing="k1", now=NOW, **more):
    return TokenRing(
        keys or {"k1": ROOT},
        signing,
        **{"issuer": ISSUER, "audience": AUDIENCE, "clock": lambda: now, **more},
    )


RING = make()


def mint(ring=RING, **more):
    given = {"sub": "u1", "tid": "t1", "role": "editor", "jti": "j1", "sid": "s1", **more}
    return ring.mint(**given)[0].reveal()


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


SIGNING = derive(ROOT, purpose("at+jwt", AUDIENCE)).raw
HEADER = {"alg": "HS512", "kid": "k1", "typ": "at+jwt"}
CLAIMS = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "u1",
    "tid": "t1",
    "role": "editor",
    "jti": "j1",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 300,
    "sid": "s1",
    "epo": 0,
}


def forge(header=None, claims=None, *, key=SIGNING, hash_=hashlib.sha512):
    """Sign anything with the true key: what still fails does so by the guard under test and not by the signature."""
    head = header if isinstance(header, bytes) else compact(HEADER if header is None else header)
    body = claims if isinstance(claims, bytes) else compact(CLAIMS if claims is None else claims)
    text = f"{b64(head)}.{b64(body)}"
    return f"{text}.{b64(hmac.digest(key, text.encode(), hash_))}"


def without(name):
    return {key: value for key, value in CLAIMS.items() if key != name}


def refuse(token, ring=RING):
    """Assert the one refusal: same type, same words, no cause that tells more."""
    with pytest.raises(Unauthenticated) as told:
        ring.verify(token)
    fault = told.value
    assert str(fault) == "Sign in first."
    assert fault.problem() == Unauthenticated().problem()
    assert fault.__cause__ is None
    assert fault.__context__ is None or fault.__suppress_context__


# --- the honest path: without it, refusing everything would pass ---


def test_an_honest_token_comes_back():
    token, expires = RING.mint("u1", "t1", Role.EDITOR, "j1", "s1", epo=7, cnf={"jkt": PRINT})
    claims = RING.verify(token.reveal())
    assert expires == NOW + 300
    assert claims == Claims(**{**CLAIMS, "epo": 7, "cnf": {"jkt": PRINT}})
    assert type(claims.role) is str


def test_the_forge_of_this_suite_makes_tokens_that_pass():
    assert forge() == mint()
    assert RING.verify(forge()).sub == "u1"


def test_a_token_says_no_more_than_it_must():
    payload = json.loads(base64.urlsafe_b64decode(mint(tid=None).split(".")[1] + "=="))
    assert payload == without("tid")
    assert RING.verify(mint(tid=None)).tid is None


def test_claims_are_frozen():
    claims = RING.verify(mint())
    with pytest.raises(ValueError, match="frozen"):
        claims.role = "superadmin"


@pytest.mark.security
def test_the_token_is_handed_out_as_a_secret():
    token, _ = RING.mint("u1", "t1", "editor", "j1", "s1")
    assert "ey" not in f"{token} {token!r}"


@pytest.mark.security
def test_fresh_tokens_hold_for_pyjwt_too():
    """Interoperable: another verifier with the key, the algorithm and the audience reads the same."""
    ring = TokenRing({"k1": ROOT}, "k1", issuer=ISSUER, audience=AUDIENCE)
    found = jwt.decode(
        mint(ring), SIGNING, algorithms=["HS512"], audience=AUDIENCE, issuer=ISSUER,
        options={"enforce_minimum_key_length": True},
    )  # fmt: skip
    assert found["sub"] == "u1"


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


# --- T05 time ---

HUGE = 10**300


@pytest.mark.security
@pytest.mark.req("SEC-T05")
@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOW, "iat": NOW - 300},
        {"exp": NOW - 1, "iat": NOW - 301},
        {"nbf": NOW + LEEWAY + 1},
        {"iat": NOW + LEEWAY + 1, "exp": NOW + LEEWAY + 100},
        {"exp": NOW + 301},
        {"exp": NOW + 3600},
        {"exp": NOW + 300, "iat": NOW - 1},
        {"exp": NOW + 1, "iat": 0},
        {"exp": 2**53 - 1},
        {"exp": 2**53},
        {"exp": HUGE},
        {"exp": HUGE, "iat": HUGE - 1},
        {"exp": -1},
        {"exp": -HUGE},
        {"iat": -1},
        {"nbf": -1},
        {"epo": -1},
        {"epo": HUGE},
        {"iat": NOW, "exp": NOW},
        {"iat": NOW + 5, "exp": NOW + 3},
    ],
)
def test_a_time_that_does_not_fit_is_refused(change):
    refuse(forge(claims={**CLAIMS, **change}))


@pytest.mark.security
@pytest.mark.req("SEC-T05")
@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "epo"])
@pytest.mark.parametrize(
    "value",
    [
        str(NOW + 300),
        f" {NOW + 300}",
        float(NOW + 300),
        NOW + 299.5,
        True,
        False,
        None,
        [NOW],
        {"$date": NOW},
        "",
        "soon",
    ],
)
def test_a_number_that_is_no_whole_number_is_refused(name, value):
    refuse(forge(claims={**CLAIMS, name: value}))


@pytest.mark.security
@pytest.mark.req("SEC-T05")
@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "epo"])
@pytest.mark.parametrize(
    "text", ["1e308", "1.0", "1e3", "1e999", "NaN", "Infinity", "-Infinity", "-0.0", "9" * 2000, "0x7f", "1_0", "+1"]
)
def test_a_number_written_another_way_is_refused(name, text):
    raw = compact({**CLAIMS, name: "@"}).replace(b'"@"', text.encode())
    refuse(forge(claims=raw))


@pytest.mark.security
@pytest.mark.req("SEC-T05")
@pytest.mark.parametrize("name", [name for name in CLAIMS if name != "tid"])
def test_a_missing_claim_is_refused(name):
    refuse(forge(claims=without(name)))


@pytest.mark.security
@pytest.mark.req("SEC-T05")
def test_life_ends_to_the_second_and_a_clock_may_be_five_ahead():
    token = mint()
    assert make(now=NOW + 299.999).verify(token)
    refuse(token, make(now=NOW + 300))
    assert LEEWAY <= 5
    assert make(now=NOW - LEEWAY).verify(token)
    refuse(token, make(now=NOW - LEEWAY - 0.001))


@pytest.mark.security
@pytest.mark.req("SEC-T05")
def test_a_longer_life_than_the_policy_is_refused_although_we_signed_it():
    token = mint(make(ttl=301))
    refuse(token, make(ttl=300))
    assert make(ttl=301).verify(token)


# --- T06 audience, issuer, type ---


@pytest.mark.security
@pytest.mark.req("SEC-T06")
@pytest.mark.parametrize(
    "aud", [["api"], ["api", "other"], ["other"], "other", "", "API", "api ", "apis", "ap", None, {"api": 1}, 1]
)
def test_another_audience_is_refused(aud):
    refuse(forge(claims={**CLAIMS, "aud": aud}))


@pytest.mark.security
@pytest.mark.req("SEC-T06")
@pytest.mark.parametrize(
    "iss",
    [
        ISSUER + "/",
        ISSUER + ".evil.org",
        ISSUER[:-1],
        "https://evil.org/" + ISSUER,
        ISSUER.upper(),
        "",
        None,
        [ISSUER],
        ISSUER + "\0",
        ISSUER + " ",
        "http://etl.example.org",
    ],
)
def test_another_issuer_is_refused(iss):
    refuse(forge(claims={**CLAIMS, "iss": iss}))


@pytest.mark.security
@pytest.mark.req("SEC-T06")
@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "AT+JWT", "at+jwt ", "application/at+jwt", "", None, "dpop+jwt", "invite+jwt", ["at+jwt"]]
)
def test_another_type_is_refused(typ):
    refuse(forge({**HEADER, "typ": typ}))


@pytest.mark.security
@pytest.mark.req("SEC-T06")
@pytest.mark.parametrize(
    "change",
    [
        {"email": "a@b.c"},
        {"permissions": ["user:manage"]},
        {"admin": True},
        {"Role": "superadmin"},
        {"role": ["editor"]},
        {"role": None},
        {"sub": ""},
        {"sub": 1},
        {"sub": None},
        {"sub": ["u1"]},
        {"sub": "u" * 257},
        {"jti": ""},
        {"jti": 1},
        {"tid": None},
        {"tid": ""},
        {"tid": ["t1"]},
        {"sid": None},
        {"cnf": None},
        {"cnf": PRINT},
        {"cnf": [PRINT]},
        {"cnf": {"jkt": 1}},
        {"cnf": {"jkt": ""}},
        {"cnf": {"jkt": "a b"}},
        {"cnf": {"jwk": PRINT}},
        {"cnf": {"jkt": PRINT, "jku": "http://x"}},
        {"__proto__": {}},
    ],
)
def test_an_unknown_or_unfit_claim_is_refused_although_we_signed_it(change):
    refuse(forge(claims={**CLAIMS, **change}))


@pytest.mark.security
@pytest.mark.req("SEC-T06")
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"1", b'"a"', b"{", b"{}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 2900, b'{"a":' * 500],
)
def test_a_payload_that_is_no_object_is_refused(body):
    refuse(forge(claims=body))


@pytest.mark.security
@pytest.mark.req("SEC-T06")
@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_a_payload_in_another_encoding_is_refused(coding):
    refuse(forge(claims=compact(CLAIMS).decode().encode(coding)))


# --- T07 signature form ---


@pytest.mark.security
@pytest.mark.req("SEC-T07")
def test_a_token_cut_at_any_length_is_refused():
    token = mint()
    for size in range(len(token)):
        refuse(token[:size])
        refuse(token[size + 1 :])


@pytest.mark.security
@pytest.mark.req("SEC-T07")
def test_every_flipped_bit_of_the_signature_is_found():
    head, body, sign = mint().split(".")
    raw = base64.urlsafe_b64decode(sign + "==")
    for bit in range(512):
        bad = bytearray(raw)
        bad[bit // 8] ^= 1 << bit % 8
        refuse(f"{head}.{body}.{b64(bytes(bad))}")


@pytest.mark.security
@pytest.mark.req("SEC-T07")
def test_of_64_last_characters_one_is_accepted():
    token = mint()
    accepted = []
    for letter in ALPHABET:
        try:
            RING.verify(token[:-1] + letter)
        except Unauthenticated:
            continue
        accepted.append(letter)
    assert accepted == [token[-1]]


@pytest.mark.security
@pytest.mark.req("SEC-T07")
def test_any_changed_character_is_found():
    token = mint()
    for place in range(len(token)):
        other = "B" if token[place] != "B" else "C"
        refuse(token[:place] + other + token[place + 1 :])


@pytest.mark.security
@pytest.mark.req("SEC-T07")
@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_a_signature_of_another_size_is_refused(size):
    head, body, sign = mint().split(".")
    raw = (base64.urlsafe_b64decode(sign + "==") * 3)[:size]
    refuse(f"{head}.{body}.{b64(raw)}")


@pytest.mark.security
@pytest.mark.req("SEC-T07")
def test_parts_of_two_honest_tokens_do_not_mix():
    one, two = mint(sub="u1").split("."), mint(sub="u2").split(".")
    refuse(f"{one[0]}.{two[1]}.{one[2]}")
    refuse(f"{one[0]}.{one[1]}.{two[2]}")


# --- T08 one textual form ---


def shapes():
    token = mint()
    head, body, sign = token.split(".")
    yield from (token + end for end in ("=", "==", "\n", "\r\n", " ", "\t", "\0", ".", "\u200b", "\ufeff", "\u2028"))
    yield from (start + token for start in ("\n", " ", "\ufeff", "Bearer ", "=", "."))
    yield from (token.replace(".", dot) for dot in ("\u3002", "\uff0e", "\uff61", "\u2024", "..", ". ", "\n."))
    yield f"{head}=.{body}.{sign}"
    yield f"{head}.{body}==.{sign}"
    yield f"{head}.{body}.{sign}.{sign}"
    yield f"{head}.{body}"
    yield f"{head}..{sign}"
    yield f".{body}.{sign}"
    yield f"{head}.{body}.{sign[:43]}\n{sign[43:]}"
    yield f"{head}.{body[:4]} {body[4:]}.{sign}"
    yield token.replace("-", "+").replace("_", "/") + ("" if set(token) & set("-_") else "+")
    yield token.replace("e", "\u0435")  # Cyrillic
    yield token.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789"})  # full-width digits
    yield token.upper()
    yield token[:-1] + ALPHABET[ALPHABET.index(token[-1]) + 1]  # the same bytes, if spare bits are ignored
    yield ""
    yield "."
    yield ".."
    yield "null"


@pytest.mark.security
@pytest.mark.req("SEC-T08")
@pytest.mark.parametrize("text", list(shapes()))
def test_another_textual_form_is_refused_before_parsing(text, monkeypatch):
    assert text != mint()
    monkeypatch.setattr(RING._jws, "decode", lambda *_, **__: pytest.fail("parsed"))
    refuse(text)


@pytest.mark.security
@pytest.mark.req("SEC-T08")
def test_spare_bits_at_the_end_of_a_part_are_refused():
    """``Zg`` and ``Zh`` decode alike: a second text for the same bytes, here signed as it stands."""
    body = compact(CLAIMS)
    while len(body) % 3 == 0:  # only then are there spare bits
        body = compact({**CLAIMS, "jti": "j1" + "x" * (3 - len(body) % 3)})
    text = b64(body)
    twin = text[:-1] + ALPHABET[ALPHABET.index(text[-1]) + 1]
    assert base64.urlsafe_b64decode(twin + "==") == body
    signing = f"{b64(compact(HEADER))}.{twin}"
    refuse(f"{signing}.{b64(hmac.digest(SIGNING, signing.encode(), hashlib.sha512))}")


@pytest.mark.security
@pytest.mark.req("SEC-T08")
@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"HS512","alg":"HS512","kid":"k1","typ":"at+jwt"}',
        b'{"alg":"none","alg":"HS512","kid":"k1","typ":"at+jwt"}',
        b'{"alg":"HS512","kid":"k0","kid":"k1","typ":"at+jwt"}',
        b'{"alg":"HS512","kid":"k1","typ":"JWT","typ":"at+jwt"}',
        b'{"alg":"HS512","kid":"k1","\\u0074yp":"at+jwt"}',
        b'{"alg": "HS512", "kid": "k1", "typ": "at+jwt"}',
        b'{"typ":"at+jwt","kid":"k1","alg":"HS512"}',
        b'{"alg":"HS512","kid":"k1","typ":"at+jwt"}\n',
        b'{"alg":"HS512","kid":"k1","typ":"at+jwt"}{}',
    ],
)
def test_a_header_written_another_way_is_refused_although_we_signed_it(header):
    refuse(forge(header))


@pytest.mark.security
@pytest.mark.req("SEC-T08")
@pytest.mark.parametrize("name", list(CLAIMS))
def test_a_claim_that_stands_twice_is_refused_although_we_signed_it(name):
    whole = compact(CLAIMS)[1:]
    for twin in (CLAIMS[name], "superadmin"):
        refuse(forge(claims=b"{" + compact({name: twin})[1:-1] + b"," + whole))
    nested = b'{"cnf":{"jkt":"evil","jkt":"' + PRINT.encode() + b'"},' + whole
    refuse(forge(claims=nested))


@pytest.mark.security
@pytest.mark.req("SEC-T08")
def test_a_long_token_is_refused_before_it_is_looked_at():
    claims = {**CLAIMS, "jti": "j" * 250}
    assert RING.verify(forge(claims=claims))
    refuse(forge(claims=b" " * 3000 + compact(claims)))
    refuse("A" * 10_000_000)
    refuse("A." * 2048)


@pytest.mark.security
@pytest.mark.req("SEC-T08")
@pytest.mark.parametrize("thing", [None, 1, b"", [], {}, object()])
def test_what_is_no_text_is_refused(thing):
    refuse(thing)
    refuse(mint().encode())


@pytest.mark.security
@pytest.mark.req("SEC-T08")
@given(
    st.one_of(
        st.text(max_size=300),
        st.from_regex(r"[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{85}[AQgw]", fullmatch=True),
    )
)
@example(b64(compact(HEADER)) + ".e30." + "A" * 86)
def test_arbitrary_text_is_refused(text):
    refuse(text)


@pytest.mark.security
@given(
    st.dictionaries(
        st.sampled_from([*CLAIMS, "cnf", "x"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        max_size=4,
    )
)
def test_whatever_is_signed_either_fits_or_is_refused(change):
    """A property over the claims: nothing but ``Claims`` or the one refusal comes out."""
    try:
        claims = RING.verify(forge(claims={**CLAIMS, **change}))
    except Unauthenticated:
        return
    assert claims.aud == AUDIENCE
    assert claims.iss == ISSUER
    assert claims.model_dump(exclude_none=True) == {**CLAIMS, **change}


# --- T16 rotation, T17 purposes ---


@pytest.mark.security
def test_keys_are_rotated_without_a_gap_and_retired_at_once():
    old = make()
    both = make(keys={"k1": ROOT, "k2": SPARE}, signing="k2")
    new = make(keys={"k2": SPARE}, signing="k2")
    before, after = mint(old), mint(both)
    assert both.verify(before).sub == both.verify(after).sub == "u1"
    assert new.verify(after)
    refuse(before, new)
    refuse(after, old)


@pytest.mark.security
def test_a_token_of_one_key_under_the_id_of_another_is_refused():
    both = make(keys={"k1": ROOT, "k2": SPARE}, signing="k2")
    refuse(forge({**HEADER, "kid": "k2"}), both)


PURPOSES = [
    ("at+jwt", "api"),
    ("at+jwt", "worker"),
    ("invite+jwt", "invite"),
    ("reset+jwt", "reset"),
    ("mfa+jwt", "mfa"),
    ("ticket+jwt", "download"),
    ("webhook+jwt", "webhook"),
    ("reset+jwt", "invite"),
]


@pytest.mark.security
@pytest.mark.req("SEC-T17")
@pytest.mark.parametrize("made", PURPOSES)
@pytest.mark.parametrize("shown", PURPOSES)
def test_a_token_holds_for_its_own_purpose_only(made, shown):
    """All pairs, though every ring is given the same root key and the same key id."""
    token = mint(make(typ=made[0], audience=made[1]))
    ring = make(typ=shown[0], audience=shown[1])
    if made == shown:
        assert ring.verify(token).aud == made[1]
    else:
        refuse(token, ring)


@pytest.mark.security
@pytest.mark.req("SEC-T17")
@pytest.mark.parametrize("made", PURPOSES[1:])
def test_the_key_of_another_purpose_does_not_sign_even_with_our_header_and_claims(made):
    refuse(forge(key=derive(ROOT, purpose(*made)).raw))


@pytest.mark.security
@pytest.mark.req("SEC-T17")
def test_two_purposes_are_never_written_alike():
    assert purpose("a b", "c") != purpose("a", "b c")
    assert purpose('a", "b', "c") != purpose("a", 'b", "c')


# --- making rings and tokens ---


@pytest.mark.security
@pytest.mark.parametrize(
    "more",
    [
        {"signing": "k2"},
        {"keys": {"": ROOT}, "signing": ""},
        {"keys": {"../k": ROOT}, "signing": "../k"},
        {"keys": {"k" * 33: ROOT}, "signing": "k" * 33},
        {"keys": {"k\n": ROOT}, "signing": "k\n"},
        {"issuer": ""},
        {"audience": ""},
        {"typ": ""},
        {"ttl": 0},
        {"ttl": -1},
    ],
)
def test_a_ring_that_makes_no_sense_is_refused(more):
    with pytest.raises(Invalid):
        make(**more)


@pytest.mark.security
@pytest.mark.parametrize(
    "more",
    [
        {"sub": ""},
        {"sub": "u" * 257},
        {"tid": ""},
        {"jti": ""},
        {"epo": -1},
        {"epo": True},
        {"cnf": {"jkt": "no print"}},
        {"cnf": {"x": PRINT}},
        {"sub": "\ud800"},
        dict.fromkeys(("sub", "tid", "jti", "sid"), "\xe9" * 256),  # longer than any ring would read
    ],
)
def test_unfit_claims_are_not_minted(more):
    with pytest.raises(Invalid):
        mint(**more)


@pytest.mark.security
def test_a_ring_and_its_keys_do_not_show_themselves():
    shown = repr(vars(RING))
    assert ROOT.raw.hex() not in shown
    assert repr(ROOT.raw)[2:12] not in shown
    assert repr(SIGNING)[2:12] not in shown
