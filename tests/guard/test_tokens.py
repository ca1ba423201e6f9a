"""The mint: keys that are replaced while everybody works, one for each purpose, and kept sealed."""

from __future__ import annotations

import base64
import json
import re

import pytest

from sluicegate.base.errors import Conflict, Corrupt, Unauthenticated
from sluicegate.base.principal import Principal, Role
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import Key, derive
from sluicegate.crypto.token import LEEWAY
from sluicegate.guard.revocation import Revocation
from sluicegate.guard.tokens import ACCESS, ENROL, FACTOR, LEAD, PENDING, Tokens

TTL = 300
WHO = Principal("u1", "t1", Role.EDITOR, grant="s1", key="k" * 43)


class Hand:
    """A clock that stands where a test puts it."""

    def __init__(self):
        import time

        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def hand():
    return Hand()


def make(place, hand, root=None):
    services = place.app.services
    return Tokens(
        root or place.main_key(),
        TTL,
        services.system,
        services.revocation,
        hand,
    )


def mint(tokens, purpose=ACCESS):
    return tokens.mint(purpose, WHO, tokens._revocation.newest())[0].reveal()


@pytest.mark.security
@pytest.mark.req("SEC-T12")
def test_a_token_says_who_and_which_key(empty, hand):
    claims = make(empty, hand).verify(ACCESS, mint(make(empty, hand)))
    assert (claims.sub, claims.tid, claims.role, claims.sid) == ("u1", "t1", "editor", "s1")
    assert claims.cnf == {"jkt": WHO.key}


@pytest.mark.security
@pytest.mark.req("SEC-T17")
def test_a_token_of_one_purpose_is_none_of_another(empty, hand):
    tokens = make(empty, hand)
    for made, asked in ((ACCESS, PENDING), (PENDING, ACCESS)):
        with pytest.raises(Unauthenticated):
            tokens.verify(asked, mint(tokens, made))


@pytest.mark.security
@pytest.mark.req("SEC-T16")
def test_keys_are_replaced_while_everybody_works(empty, hand):
    here, there = make(empty, hand), make(empty, hand)  # two nodes
    old = mint(here)
    fresh = here.rotate()
    there.reload()  # the mark makes a node do that
    assert here.verify(ACCESS, mint(there))
    assert there.verify(ACCESS, mint(here)), "signed by the old key until every node knows the new one"
    hand.now += LEAD
    assert fresh in _head(mint(here))
    assert there.verify(ACCESS, mint(here))
    assert there.verify(ACCESS, old), "what the old key signed holds as long as it was to hold"
    stale = Tokens._alive(here._keys, hand.now)
    assert len(stale) == 2
    hand.now += TTL + LEEWAY
    assert len(Tokens._alive(here._keys, hand.now)) == 1
    for tokens in (here, there):
        with pytest.raises(Unauthenticated):
            tokens.verify(ACCESS, old)


@pytest.mark.security
@pytest.mark.req("SEC-T16")
def test_in_an_emergency_the_old_key_is_gone_at_once(empty, hand):
    here = make(empty, hand)
    old = mint(here)
    here.rotate(at_once=True)
    with pytest.raises(Unauthenticated):
        here.verify(ACCESS, old)
    assert here.verify(ACCESS, mint(here))


@pytest.mark.security
@pytest.mark.req("SEC-T16")
def test_a_hundred_clients_notice_nothing(empty, hand):
    here, there = make(empty, hand), make(empty, hand)
    held = [mint(here) for _ in range(100)]
    for step in range(int(LEAD) + 5):
        if step == 2:
            here.rotate()
            there.reload()
        hand.now += 1
        held = [mint(each) for each in (here, there) for _ in range(50)]
        assert all(node.verify(ACCESS, token) for node in (here, there) for token in held)


@pytest.mark.security
@pytest.mark.req("SEC-T16")
def test_a_key_signs_five_seconds_after_it_is_known_and_verifies_until_its_last_token_is_over(empty, hand):
    tokens = make(empty, hand)
    old = mint(tokens)
    fresh = tokens.rotate()
    hand.now += 4.9
    last = mint(tokens)
    assert fresh not in _head(last)
    hand.now += 0.1
    assert fresh in _head(mint(tokens))
    hand.now += TTL + LEEWAY - 0.5
    assert len(Tokens._alive(tokens._keys, hand.now)) == 2, "a node whose clock goes after still takes what it signed"
    assert _head(old) == _head(last)
    hand.now += 0.5
    assert [each.kid for each in Tokens._alive(tokens._keys, hand.now)] == [fresh]


@pytest.mark.security
@pytest.mark.req("SEC-T16")
def test_another_node_hears_of_a_new_key(empty, hand):
    services = empty.app.services
    elsewhere = Revocation(services.system)
    elsewhere.pull()
    there = Tokens(empty.main_key(), TTL, services.system, elsewhere, hand)
    fresh = make(empty, hand).rotate(at_once=True)
    assert fresh not in _head(mint(there))
    elsewhere.pull()
    assert fresh in _head(mint(there))


@pytest.mark.security
@pytest.mark.req("SEC-T17")
@pytest.mark.parametrize(
    ("purpose", "typ", "audience"),
    [
        (ACCESS, "at+jwt", "sluicegate-api"),
        (PENDING, "pending+jwt", "sluicegate-password"),
        (FACTOR, "factor+jwt", "sluicegate-factor"),
        (ENROL, "enrol+jwt", "sluicegate-enrol"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_a_token_says_of_itself_stays_what_it_is(empty, hand, purpose, typ, audience):
    """A token is taken by the release that comes after the one that made it, and only for the same."""
    tokens = make(empty, hand)
    token = mint(tokens, purpose)
    assert json.loads(_head(token)) == {"alg": "HS512", "kid": tokens._keys[0].kid, "typ": typ}
    claims = tokens.verify(purpose, token)
    assert (claims.iss, claims.aud) == ("sluicegate", audience)


@pytest.mark.security
@pytest.mark.req("SEC-T16", "SEC-V01")
def test_keys_that_an_earlier_release_has_stored_are_read(empty, hand):
    key = {"kid": "abcd-efgh", "key": base64.b64encode(bytes(range(64))).decode(), "since": 1000.0, "until": None}
    sealed = envelope.encrypt(derive(empty.main_key(), "token-keys"), json.dumps([key]).encode(), ("token-keys",))
    empty.app.services.system.blobs().put("token-keys", sealed)
    tokens = make(empty, hand)
    assert json.loads(_head(mint(tokens)))["kid"] == "abcd-efgh"
    assert tokens._keys[0].key.raw == bytes(range(64))
    assert re.fullmatch(r"[0-9a-z]{4}-[0-9a-z]{4}", tokens.rotate())
    assert tokens.ttl == TTL


@pytest.mark.security
@pytest.mark.req("SEC-T16", "SEC-V01")
@pytest.mark.parametrize("stored", [None, b"not json", b"[{}]", b"[1]", b'[{"kid": "a", "key": 1}]', b"null"])
def test_keys_that_cannot_be_read_stop_the_start_and_nothing_is_guessed(empty, hand, stored):
    tokens, blobs = make(empty, hand), empty.app.services.system.blobs()
    if stored is None:
        assert blobs.take("token-keys")
    else:
        blobs.put("token-keys", envelope.encrypt(derive(empty.main_key(), "token-keys"), stored, ("token-keys",)))
    with pytest.raises(Corrupt):
        tokens.reload()
    assert tokens.verify(ACCESS, mint(tokens)), "what was read before is kept"


def test_what_checks_tokens_is_made_anew_only_when_a_key_starts_or_ends(empty, hand):
    tokens = make(empty, hand)

    def rings():
        mint(tokens)
        return tokens._rings

    assert rings() is rings()
    tokens.rotate()
    empty.app.services.revocation.pull()  # hears of the new key now, and not in between
    before = rings()
    assert rings() is before
    hand.now += LEAD
    after = rings()
    assert after is not before
    assert rings() is after
    hand.now += TTL + LEEWAY
    last = rings()
    assert last is not after
    assert rings() is last


def test_a_fourth_key_waits_until_the_first_is_over(empty, hand):
    tokens = make(empty, hand)
    tokens.rotate()
    tokens.rotate()
    with pytest.raises(Conflict, match="not over yet"):
        tokens.rotate()
    hand.now += LEAD + TTL + LEEWAY + 1
    tokens.rotate()


@pytest.mark.security
@pytest.mark.req("SEC-V01", "SEC-T03")
def test_the_keys_are_kept_sealed_and_only_the_root_key_opens_them(empty, hand):
    tokens = make(empty, hand)
    raw = tokens._keys[0].key.raw
    blob = empty.app.services.system.blobs().get("token-keys")
    assert raw not in blob
    assert len(raw) == 64
    for other in (blob[:-1] + bytes([blob[-1] ^ 1]), b"", b"x"):
        empty.app.services.system.blobs().put("token-keys", other)
        with pytest.raises(Corrupt):
            make(empty, hand)
    empty.app.services.system.blobs().put("token-keys", blob)
    with pytest.raises(Corrupt):
        make(empty, hand, Key(bytes(range(64))))
    assert make(empty, hand)._keys[0].kid == tokens._keys[0].kid


def _head(token):
    """Return the header of a token."""
    head = token.split(".")[0]
    return base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).decode()
