"""Honest tokens, the keys of a ring, and what each is for (SEC-T16, T17)."""

import base64
import json

import jwt
import pytest

from sluicegate.base.errors import Invalid
from sluicegate.base.principal import Role
from sluicegate.crypto.keys import derive
from sluicegate.crypto.token import Claims, TokenRing, purpose
from tests.fixtures.tokens import (
    AUDIENCE,
    CLAIMS,
    HEADER,
    ISSUER,
    NOW,
    PRINT,
    RING,
    ROOT,
    SIGNING,
    SPARE,
    forge,
    make,
    mint,
    refuse,
    without,
)

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
