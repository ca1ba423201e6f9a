"""Masking keys: what each makes, what it opens, and what it does not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import Key
from sluicegate.crypto.masking import FRESH, STABLE, MaskingKey, new_masking_key, opening

TEXT = Secret(base64.b64encode(bytes(range(64))).decode())
KEY, OTHER = MaskingKey(TEXT, "north"), MaskingKey(new_masking_key(), "north")


def forms(key, domain=""):
    return {STABLE: key.tokens(domain), FRESH: key.fields(domain)}


@given(st.binary(max_size=100))
def test_what_is_sealed_opens_to_itself(value):
    for form, seal in forms(KEY).items():
        assert opening(form, "", [OTHER, KEY])(seal(value)) == value


def test_hashes_and_tokens_stay_what_they_are():
    """What stands in people's databases must be the same in the next release."""
    assert KEY.mark.hex() == "56fef6c7"
    assert KEY.digests("d")(b"a value").hex() == "8c3e9a93964e116cc35a0cab2ab7bf2985479843bcd17a6c853316f941efb4c9"
    assert KEY.tokens("d")(b"a value") == "tok1_Vv72x2rsr-HDBMx4BMfY-IZuVSsYE3HS6dh2vVbqyaR5kKg3"
    assert (
        opening(FRESH, "d", [KEY])("enc1_Vv72xwAAAAAAAAAAAAAAAAAAAAChlIOd1wS24hUGLwWDgvNkHp0jX2b6EB-Dr2tsyIb-xw")
        == b"a value"
    )


def test_the_hash_is_that_of_rfc_4868():
    """Test case AUTH512-1 of RFC 4868 §2.7.2.3, by the way the key goes."""
    KEY._derive = lambda _purpose, _domain: Key(b"\x0b" * 64)
    try:
        tag = KEY.digests("")(b"Hi There")
    finally:
        del KEY._derive
    assert tag.hex() == "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize("form", [STABLE, FRESH])
def test_nothing_opens_for_another_key_tenant_domain_or_form(form):
    sealed = forms(KEY, "names")[form](b"a value")
    assert opening(form, "names", [KEY])(sealed) == b"a value"
    strangers = [
        opening(form, "", [KEY]),
        opening(form, "name", [KEY]),
        opening(form, "names", [OTHER]),
        opening(form, "names", [MaskingKey(TEXT, "south")]),
        opening(form, "names", [MaskingKey(TEXT, "")]),
        opening(STABLE if form == FRESH else FRESH, "names", [KEY]),
        opening(form, "names", []),
    ]
    for open_ in strangers:
        with pytest.raises(Corrupt):
            open_(sealed)


@pytest.mark.security
def test_a_key_that_bears_anothers_mark_opens_nothing_of_it():
    """The tenant is in the key and not only in its mark."""
    south = MaskingKey(TEXT, "south")
    sealed = forms(KEY)[STABLE](b"a value")
    south.mark = KEY.mark
    with pytest.raises(Corrupt):
        opening(STABLE, "", [south])(sealed)


@pytest.mark.security
@pytest.mark.parametrize("form", [STABLE, FRESH])
def test_every_change_closes_it(form):
    sealed, open_ = forms(KEY)[form](b"a value"), opening(form, "", [KEY])
    letters = "Ab-_9=. \n"
    changed = {sealed[:place] + letter + sealed[place + 1 :] for place in range(len(sealed)) for letter in letters}
    changed |= {sealed[:cut] for cut in range(len(sealed))} | {sealed + each for each in letters}
    changed |= {sealed.replace("-", "+").replace("_", "/"), sealed.upper(), "", "ß", form + "é" * 80}
    for text in changed - {sealed}:
        with pytest.raises(Corrupt):
            open_(text)


@pytest.mark.security
def test_equal_values_have_equal_tokens_and_different_fields():
    assert KEY.tokens("")(b"x") == KEY.tokens("")(b"x") != KEY.tokens("")(b"y")
    assert len({KEY.fields("")(b"x") for _ in range(1000)}) == 1000


@pytest.mark.security
def test_lengths_tell_little():
    for seal in forms(KEY).values():
        assert len({len(seal(b"x" * size)) for size in range(16)}) == 1


@pytest.mark.security
@pytest.mark.parametrize(
    "text", ["", "hunter2", "A" * 88, base64.b64encode(bytes(64)).decode(), base64.b64encode(b"x" * 63).decode(), "é"]
)
def test_weak_keys_are_none_and_are_not_shown(text):
    with pytest.raises(Invalid) as caught:
        MaskingKey(Secret(text), "north")
    assert text not in str(caught.value) or not text


@pytest.mark.security
def test_a_new_key_is_new():
    assert len({new_masking_key().reveal() for _ in range(100)}) == 100
