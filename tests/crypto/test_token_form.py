"""SEC-T07 and T08: a token has one textual form, and one signature."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluicegate.base.errors import Unauthenticated
from tests.fixtures.tokens import (
    ALPHABET,
    AUDIENCE,
    CLAIMS,
    HEADER,
    ISSUER,
    PRINT,
    RING,
    SIGNING,
    b64,
    compact,
    forge,
    mint,
    refuse,
)

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
