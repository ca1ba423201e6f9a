"""Shares: enough give the key back, fewer tell nothing; vectors of FIPS 197 and draft-mcgrew-tss-03."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import MASK, Secret, hide_tokens
from sluicegate.crypto import shares
from sluicegate.crypto.keys import SIZE, Key, new_key
from sluicegate.crypto.shares import Share, combine, interpolate, inverse, read_share, split, spread, times


@pytest.mark.security
@pytest.mark.req("SEC-V15")
def test_the_field_is_that_of_fips_197():
    assert (times(0x57, 0x83), times(0x57, 0x13), times(0x57, 0x02), times(0x57, 0x10)) == (0xC1, 0xFE, 0xAE, 0x07)
    assert all(times(each, inverse(each)) == 1 for each in range(1, 256))


@pytest.mark.security
@pytest.mark.req("SEC-V15")
def test_the_vector_of_draft_mcgrew_tss():
    points = {1: bytes.fromhex("B9FA07E185"), 2: bytes.fromhex("F5409B4511")}
    assert interpolate(points) == b"test\0"


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_it_is_a_field(one, two, three):
    assert times(one, two) == times(two, one) < 256
    assert times(one, times(two, three)) == times(times(one, two), three)
    assert times(one, two ^ three) == times(one, two) ^ times(one, three)


@pytest.mark.security
@pytest.mark.req("SEC-V06")
@given(st.integers(2, 6).flatmap(lambda count: st.tuples(st.just(count), st.integers(2, count))), st.randoms())
@settings(max_examples=40, deadline=None)
def test_any_that_are_enough_give_the_key_back(counts, random):
    key = new_key()
    made = list(split(key, *counts))
    random.shuffle(made)
    for size in range(counts[1], counts[0] + 1):
        assert combine(made[:size]).raw == key.raw


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_three_of_five_and_no_two():
    key = new_key()
    made = split(key, 5, 3)
    assert all(combine(each).raw == key.raw for each in combinations(made, 3))
    for each in combinations(made, 2):
        with pytest.raises(Corrupt):
            combine(each)
        assert interpolate({share.index: share.body for share in each}) != key.raw


@pytest.mark.security
def test_too_few_tell_nothing():
    """For whatever secret there may be, there is a share that goes with the ones at hand: all are as likely."""
    one, two = spread(b"\x2a", 2, 3)
    found = set()
    for third in range(256):
        found.add(interpolate({1: one, 2: two, 3: bytes([third])}))
    assert len(found) == 256


@pytest.mark.security
def test_shares_differ_each_time_and_from_the_key():
    key = new_key()
    bodies = {each.body for _ in range(20) for each in split(key, 5, 3)}
    assert len(bodies) == 100
    assert key.raw not in bodies


@pytest.mark.security
@pytest.mark.req("SEC-V06")
@given(st.integers(0, SIZE - 1), st.integers(1, 255))
@settings(max_examples=30, deadline=None)
def test_a_wrong_share_gives_another_key(place, change):
    key = new_key()
    one, two, three = split(key, 3, 3)
    bent = bytearray(three.body)
    bent[place] ^= change
    assert combine((one, two, Share(three.set, 3, 3, bytes(bent)))).raw != key.raw


@pytest.mark.security
def test_what_does_not_belong_together_is_refused():
    one, other = split(new_key(), 3, 2), split(new_key(), 3, 2)
    for wrong in ((one[0], other[1]), (one[0], one[0]), (one[0],), (one[0], Share(one[1].set, 3, 2, one[1].body))):
        with pytest.raises(Corrupt):
            combine(wrong)
    for count, threshold in ((1, 1), (3, 1), (2, 3), (256, 2)):
        with pytest.raises(Invalid):
            split(new_key(), count, threshold)


# -- on paper ----------------------------------------------------------------------------------------------------------

BODIES = st.binary(min_size=SIZE, max_size=SIZE)
SHARES = st.builds(
    Share, st.text("0123456789abcdef", min_size=8, max_size=8), st.integers(2, 255), st.integers(1, 255), BODIES
)


@given(SHARES)
@settings(max_examples=100, deadline=None)
def test_a_share_is_read_as_it_was_written_whatever_the_hand(share):
    text = share.text().reveal()
    for written in (
        text,
        text.upper(),
        text.replace("-", " "),
        f" {text.replace('-', '')}\n",
        text.replace("0", "o").replace("1", "l"),
    ):
        assert read_share(Secret(written.replace("sgsl", "sgs1"))) == share


@pytest.mark.security
@given(SHARES, st.data())
@settings(max_examples=100, deadline=None)
def test_a_slip_of_the_pen_is_found(share, data):
    text = share.text().reveal()
    place = data.draw(st.integers(0, len(text) - 1).filter(lambda at: text[at] != "-"))
    other = data.draw(st.sampled_from(sorted(set(shares.LETTERS) - {text[place]})))
    with pytest.raises(Invalid, match="no share") as told:
        read_share(Secret(text[:place] + other + text[place + 1 :]))
    assert text[-20:] not in str(told.value)


@pytest.mark.security
@pytest.mark.req("SEC-P11")
@given(st.text(max_size=500) | st.text("sgs1-0123456789abcdef", max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_share_or_one_error(text):
    try:
        assert read_share(Secret(text)).index
    except Invalid as fault:
        assert "no share" in str(fault)


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_share_shows_itself_to_nobody():
    share = split(Key(b"k" * 64), 2, 2)[0]
    assert repr(share.body) not in repr(share)
    text = share.text()
    assert str(text) == MASK
    for written in (text.reveal(), text.reveal().upper()):
        assert hide_tokens(f"got {written} from me") == f"got {MASK} from me"
