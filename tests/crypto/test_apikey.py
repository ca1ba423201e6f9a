"""API keys as text: what a scanner finds, and what only looks like one."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.model import new_id
from sluicegate.crypto.apikey import id_of, new_key

SHAPE = re.compile(r"\bslg_[0-9A-Za-z]{22}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\b")


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-K02")
def test_a_key_has_the_form_that_scanners_look_for_and_its_id_in_it():
    id_ = new_id()
    keys = {new_key(id_).reveal() for _ in range(50)}
    assert len(keys) == 50
    for key in keys:
        assert SHAPE.findall(f"export KEY={key}; # mine") == [key]
        assert id_of(key) == id_
    assert str(new_key(id_)) == "***" or "slg_" not in str(new_key(id_))


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_the_secret_part_is_256_random_bits():
    letters = string.digits + string.ascii_uppercase + string.ascii_lowercase
    numbers = []
    for _ in range(400):
        number = 0
        for letter in new_key(new_id()).reveal().split("_")[2]:
            number = number * 62 + letters.index(letter)
        assert number < 1 << 256
        numbers.append(number)
    for bit in range(256):
        assert 120 < sum(number >> bit & 1 for number in numbers) < 280, bit


@pytest.mark.security
@pytest.mark.req("SEC-K02")
def test_noise_is_told_from_a_key_without_asking_anybody():
    key = new_key(new_id()).reveal()
    for place in range(len(key)):
        other = "A" if key[place] != "A" else "B"
        assert id_of(key[:place] + other + key[place + 1 :]) is None, place
    for text in ("", key[:-1], key + "a", " " + key, key + "\n", key.upper(), key.replace("slg", "sk"), "slg_" + "z" * 22 + "_" + "0" * 43 + "_000000"):  # fmt: skip
        assert id_of(text) is None


@given(text=st.text(max_size=90) | st.from_regex(SHAPE, fullmatch=True))
@settings(max_examples=80, deadline=None)
def test_any_text_is_a_key_or_none(text):
    assert id_of(text) is None or SHAPE.fullmatch(text)
