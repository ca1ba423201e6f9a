"""Passwords: Argon2id over a keyed hash."""

import hashlib
import hmac
import statistics
import time
import unicodedata

import argon2
import pytest

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import Key
from sluicegate.crypto.password import (
    FLOOR,
    STANDARD,
    Cost,
    burn,
    hash_password,
    needs_rehash,
    new_password,
    new_salt,
    stretch,
    verify_password,
)

PEPPER = Key(bytes(range(64)))
OTHER = Key(bytes(range(1, 65)))
WORD = Secret("correct horse battery staple")


@pytest.fixture(scope="module")
def stored():
    return hash_password(WORD, PEPPER, cost=FLOOR)


@pytest.mark.security
@pytest.mark.req("SEC-A01")
def test_the_standard_is_argon2id_with_64_mib_three_passes_one_lane():
    text = hash_password(WORD, PEPPER)
    assert text.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert verify_password(text, WORD, PEPPER)
    assert not needs_rehash(text)


@pytest.mark.security
@pytest.mark.req("SEC-A01")
@pytest.mark.parametrize(
    ("memory", "passes", "lanes"),
    [(19 * 1024 - 1, 2, 1), (19 * 1024, 1, 1), (64 * 1024, 3, 0), (2**21, 3, 1), (64 * 1024, 99, 1), (0, 0, 0)],
)
def test_a_cost_below_the_floor_or_beyond_reason_is_refused(memory, passes, lanes):
    with pytest.raises(Invalid):
        Cost(memory=memory, passes=passes, lanes=lanes)


@pytest.mark.security
@pytest.mark.req("SEC-A01")
def test_a_hash_of_lower_cost_verifies_and_asks_to_be_replaced(stored):
    assert verify_password(stored, WORD, PEPPER)
    assert needs_rehash(stored)
    assert not needs_rehash(stored, cost=FLOOR)
    assert needs_rehash(stored, cost=Cost(memory=STANDARD.memory, passes=2))


@pytest.mark.security
@pytest.mark.parametrize(
    "wrong", ["", "correct horse battery stapl", "correct horse battery staple ", "Correct horse battery staple"]
)
def test_another_password_does_not_verify(stored, wrong):
    assert verify_password(stored, Secret(wrong), PEPPER) is False


@pytest.mark.security
@pytest.mark.req("SEC-A01")
def test_the_stolen_table_is_useless_without_the_pepper(stored):
    assert verify_password(stored, WORD, OTHER) is False
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        argon2.PasswordHasher().verify(stored, WORD.reveal())
    peppered = hmac.digest(PEPPER.raw, WORD.reveal().encode(), hashlib.sha512)
    assert argon2.PasswordHasher().verify(stored, peppered)


@pytest.mark.security
def test_equal_passwords_do_not_look_equal(stored):
    assert hash_password(WORD, PEPPER, cost=FLOOR) != stored


@pytest.mark.security
@pytest.mark.req("SEC-A03")
def test_nothing_is_cut_off_and_nul_is_a_character():
    long = "x" * 255
    made = hash_password(Secret(long + "a"), PEPPER, cost=FLOOR)
    assert verify_password(made, Secret(long + "a"), PEPPER)
    assert not verify_password(made, Secret(long + "b"), PEPPER)
    assert not verify_password(made, Secret(long[:72]), PEPPER)
    assert not verify_password(hash_password(Secret("a\0b"), PEPPER, cost=FLOOR), Secret("a\0c"), PEPPER)


@pytest.mark.security
@pytest.mark.req("SEC-A03")
def test_a_password_typed_on_another_keyboard_is_the_same_password():
    composed, apart = unicodedata.normalize("NFC", "pässwörd-ñ"), unicodedata.normalize("NFD", "pässwörd-ñ")
    assert composed != apart
    assert verify_password(hash_password(Secret(apart), PEPPER, cost=FLOOR), Secret(composed), PEPPER)
    # NFC only: compatibility forms stay different characters.
    assert not verify_password(hash_password(Secret("ﬁ"), PEPPER, cost=FLOOR), Secret("fi"), PEPPER)


@pytest.mark.security
def test_a_lone_surrogate_raises_nothing_that_carries_the_password():
    odd = Secret("canary-\ud800")
    assert verify_password(hash_password(odd, PEPPER, cost=FLOOR), odd, PEPPER)


@pytest.mark.security
@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "plain",
        lambda text: text.replace("argon2id", "argon2i"),
        lambda text: text.replace("argon2id", "argon2d"),
        lambda text: text.replace("m=19456", "m=4294967295"),
        lambda text: text.replace("m=19456", "m=0"),
        lambda text: text.replace("m=19456", "m=x"),
        lambda text: text.replace("t=2", "t=4000000000"),
        lambda text: text.replace("p=1", "p=16777215"),
        lambda text: text[: text.rindex("$")] + "$AA",
        lambda text: text[:-4],
        lambda text: text + "$",
        lambda text: text.replace("$v=19", ""),
    ],
)
def test_a_stored_hash_that_is_none_of_ours_is_corrupt_and_costs_nothing(stored, change):
    bad = change(stored)
    assert bad != stored
    start = time.perf_counter()
    with pytest.raises(Corrupt):
        verify_password(bad, WORD, PEPPER)
    with pytest.raises(Corrupt):
        needs_rehash(bad)
    assert time.perf_counter() - start < 10  # the table does not tell us to take 4 TiB or a year


@pytest.mark.security
def test_an_unknown_user_costs_as_much_as_a_known_one(stored):
    def took(act):
        start = time.perf_counter()
        assert act() is False
        return time.perf_counter() - start

    wrong = Secret("wrong")
    known, unknown = [], []
    for _ in range(9):
        known.append(took(lambda: verify_password(stored, wrong, PEPPER)))
        unknown.append(took(lambda: burn(wrong, PEPPER, cost=FLOOR)))
    ratio = statistics.median(unknown) / statistics.median(known)
    assert 0.6 < ratio < 1.7


@pytest.mark.security
def test_a_one_time_password_has_at_least_128_bits():
    made = [new_password().reveal() for _ in range(500)]
    assert len(set(made)) == 500
    assert all(len(text.replace("-", "")) * 5 >= 128 for text in made)


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_a_passphrase_is_stretched_by_its_salt_and_cost_and_reads_the_same_from_each_keyboard():
    salt = new_salt()
    made = stretch(Secret("a caf\u00e9 by the sea"), salt, FLOOR).raw
    assert made == stretch(Secret("a cafe\u0301 by the sea"), salt, FLOOR).raw
    dearer = Cost(memory=FLOOR.memory, passes=FLOOR.passes + 1)
    others = [stretch(Secret("a café by the sea"), new_salt(), FLOOR), stretch(Secret("a cafe by the sea"), salt, FLOOR),
              stretch(Secret("a café by the sea"), salt, dearer)]  # fmt: skip
    assert made not in [each.raw for each in others]
    with pytest.raises(Invalid, match="salt"):
        stretch(Secret("a café by the sea"), b"short", FLOOR)
