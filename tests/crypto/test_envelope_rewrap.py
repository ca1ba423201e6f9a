"""Many keys from under one key to under another: the same as one by one, whatever the suite and whatever is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt
from sluicegate.crypto.envelope import S1, S2, Rewrap, unwrap, wrap
from sluicegate.crypto.keys import new_key

OLD, NEW = new_key(), new_key()
SUITE = st.sampled_from([S1, S2])
AADS = st.lists(st.text(max_size=9), max_size=5).map(tuple)


@given(AADS, SUITE, SUITE)
@settings(max_examples=60, deadline=None)
def test_it_is_unwrap_and_wrap(aad, before, after):
    key = new_key()
    moved = Rewrap(OLD, NEW, "1", "2", after)(wrap(OLD, key, (*aad, "1"), before), aad)
    assert moved[0] == after
    assert unwrap(NEW, moved, (*aad, "2")).raw == key.raw
    if after == S1:
        assert moved == wrap(NEW, key, (*aad, "2"))


@pytest.mark.security
@pytest.mark.req("SEC-V03", "SEC-V11")
@given(AADS, SUITE, st.data())
@settings(max_examples=80, deadline=None)
def test_what_does_not_verify_is_not_moved(aad, suite, data):
    blob = wrap(OLD, new_key(), (*aad, "1"), suite)
    place, bit = data.draw(st.integers(0, len(blob) - 1)), 1 << data.draw(st.integers(0, 7))
    bent = blob[:place] + bytes([blob[place] ^ bit]) + blob[place + 1 :]
    move = Rewrap(OLD, NEW, "1", "2", suite)
    wrong = [(bent, aad), (blob[:-1], aad), (blob + b"x", aad), (b"", aad), (blob, (*aad, "more"))]
    wrong += [(wrap(OLD, new_key(), (*aad, "3"), suite), aad), (wrap(NEW, new_key(), (*aad, "1"), suite), aad)]
    for each in wrong:
        with pytest.raises(Corrupt) as told:
            move(*each)
        assert str(told.value) == "Stored data does not verify."
