"""SEC-T05 and T06: a token holds for its time, its audience, its issuer and its type, and claims nothing else."""

import pytest

from sluicegate.crypto.token import LEEWAY
from tests.fixtures.tokens import CLAIMS, HEADER, ISSUER, NOW, PRINT, compact, forge, make, mint, refuse, without

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
