"""Opaque texts: enough chance in them, one digest each, compared without telling where they differ."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.secret import Secret
from sluicegate.crypto import opaque
from sluicegate.crypto.keys import Key
from sluicegate.crypto.opaque import digest, new_bootstrap_code, new_refresh, readable, same

KEY = Key(bytes(range(64)))


@pytest.mark.security
def test_a_refresh_token_has_256_random_bits():
    made = [new_refresh().reveal() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(text.startswith("rt_") and len(text) == 46 for text in made)
    # Each of the 43 characters moves: none is fixed, none comes from a clock or a counter.
    assert all(len({text[place] for text in made}) >= (4 if place == 45 else 40) for place in range(3, 46))


@pytest.mark.security
def test_a_bootstrap_code_has_at_least_128_bits_and_reads_well():
    made = [new_bootstrap_code().reveal() for _ in range(500)]
    letters = set("".join(made)) - {"-"}
    size = len(made[0].replace("-", ""))
    assert len(set(made)) == 500
    assert size * math.log2(len(letters)) >= 128
    assert not letters & set("ilou")
    assert all([len(group) for group in text.split("-")] == [4] * 7 for text in made)


def test_readable_groups():
    assert [len(group) for group in readable(3, 5).split("-")] == [5, 5, 5]


@pytest.mark.security
@pytest.mark.req("SEC-V15")
def test_the_digest_gives_the_published_answer():
    """RFC 4231, test cases 1 and 2: HMAC pads a short key with zeros, so a 64-byte form of it is the same key."""
    case_1 = Key((b"\x0b" * 20).ljust(64, b"\0"))
    assert digest(case_1, "Hi There").hex() == (
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
    )
    case_2 = Key(b"Jefe".ljust(64, b"\0"))
    assert digest(case_2, "what do ya want for nothing?").hex() == (
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    )


@pytest.mark.security
@given(st.text(), st.text())
def test_equal_digests_mean_equal_texts(a, b):
    assert same(digest(KEY, a), digest(KEY, Secret(b))) == (a == b)


@pytest.mark.security
def test_the_digest_needs_the_key_and_takes_any_text():
    assert not same(digest(KEY, "rt_x"), digest(Key(bytes(range(1, 65))), "rt_x"))
    assert len(digest(KEY, "\ud800 lone surrogate")) == 64


@pytest.mark.security
def test_comparison_is_the_constant_time_one(monkeypatch):
    seen = []
    monkeypatch.setattr(opaque.hmac, "compare_digest", lambda a, b: seen.append((a, b)) or True)
    assert same(b"a", b"b")
    assert seen == [(b"a", b"b")]


def test_same_tells_equal_from_unequal():
    assert same(b"abc", b"abc")
    assert not same(b"abc", b"abd")
    assert not same(b"abc", b"ab")


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_what_a_link_carries_has_256_bits_and_never_comes_twice():
    made = {opaque.new_link().reveal() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"lt_[A-Za-z0-9_-]{43}", each) for each in made)
