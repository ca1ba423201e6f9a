"""The audit chain names the first record that was touched."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid
from sluicegate.crypto.chain import GENESIS, Chain
from sluicegate.crypto.keys import Key

KEY = Key(bytes(range(64)))
CHAIN = Chain(KEY)
pytestmark = [pytest.mark.security, pytest.mark.req("SEC-L01")]

json_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
record = st.dictionaries(st.sampled_from(["who", "what", "when", "tenant", "more"]), json_value, max_size=5)


def linked(records, chain=CHAIN, start=GENESIS):
    made, previous = [], start
    for item in records:
        previous = chain.link(previous, item)
        made.append((item, previous))
    return made


def events(count):
    return [{"n": n, "who": f"user-{n % 3}", "what": "login"} for n in range(count)]


def test_a_link_is_hmac_sha_512_over_the_link_before_and_canonical_json():
    text = b'{"a":1,"\xc3\xa9":[1.5,true,null]}'
    expected = hmac.digest(KEY.raw, b"sluicegate audit chain 1\n" + GENESIS + text, hashlib.sha512)
    assert CHAIN.link(GENESIS, {"é": [1.5, True, None], "a": 1}) == expected


@given(st.lists(record, max_size=8))
def test_an_honest_chain_verifies(records):
    chain = linked(records)
    assert CHAIN.verify(iter(chain), GENESIS) is None
    for cut in range(len(chain)):
        assert CHAIN.verify(chain[cut:], chain[cut - 1][1] if cut else GENESIS) is None


@given(st.integers(0, 9), st.data())
def test_an_edit_is_named(place, data):
    chain = linked(events(10))
    item, link = chain[place]
    changed = {
        **item,
        **data.draw(record.filter(lambda more: any(k not in item or item[k] != v for k, v in more.items()))),
    }
    chain[place] = (changed, link)
    assert CHAIN.verify(chain, GENESIS) == place


@pytest.mark.parametrize("place", [0, 4, 8])
def test_deleting_inserting_and_reordering_are_named(place):
    chain = linked(events(10))
    assert CHAIN.verify(chain[:place] + chain[place + 1 :], GENESIS) == place
    assert CHAIN.verify([*chain[:place], ({"n": 99}, bytes(64)), *chain[place:]], GENESIS) == place
    assert CHAIN.verify([*chain[:place], chain[place], *chain[place:]], GENESIS) == place + 1
    swapped = [*chain[:place], chain[place + 1], chain[place], *chain[place + 2 :]]
    assert CHAIN.verify(swapped, GENESIS) == place


def test_the_owner_of_the_database_cannot_write_the_chain_anew():
    """Without the key no relinking passes, however consistent it is in itself."""
    forged = linked([{"n": 0, "who": "nobody"}], Chain(Key(bytes(range(1, 65)))))
    assert CHAIN.verify(forged, GENESIS) == 0
    plain = hashlib.sha512(GENESIS + b'{"n":0}').digest()
    assert CHAIN.verify([({"n": 0}, plain)], GENESIS) == 0


def test_a_wrong_start_is_named():
    chain = linked(events(3))
    assert CHAIN.verify(chain, b"\x01" * 64) == 0
    assert CHAIN.verify(chain[1:], GENESIS) == 0


def test_a_cut_end_shows_only_against_a_checkpoint():
    """The limit that the module's page states: the caller keeps count and last link elsewhere."""
    chain = linked(events(10))
    assert CHAIN.verify(chain[:7], GENESIS) is None
    assert chain[:7][-1][1] != chain[-1][1]


@pytest.mark.parametrize(
    "bad",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 2**53},
        {"a": b"x"},
        {"a": "\ud800"},
        {"a": {1: 2}},
        {"\ud800": 1},
    ],
)
def test_what_is_not_json_is_refused_when_written_and_named_when_found(bad):
    with pytest.raises(Invalid, match="not plain JSON"):
        CHAIN.link(GENESIS, bad)
    chain = linked(events(3))
    chain[1] = (bad, chain[1][1])
    assert CHAIN.verify(chain, GENESIS) == 1


def test_a_record_nested_without_end_is_refused():
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    try:
        with pytest.raises(Invalid):
            CHAIN.link(GENESIS, deep)
    finally:
        while deep:  # taken apart by hand: the interpreter's own way down would be as deep
            deep = deep["a"]


@pytest.mark.parametrize("link", [b"", b"x", bytes(63), bytes(65)])
def test_a_link_of_another_size_is_refused(link):
    with pytest.raises(Invalid, match="64 bytes"):
        CHAIN.link(link, {})
    chain = linked(events(2))
    chain[0] = (chain[0][0], link)
    assert CHAIN.verify(chain, GENESIS) == 0


@given(record, record)
def test_equal_links_mean_equal_records(a, b):
    import rfc8785

    assert (CHAIN.link(GENESIS, a) == CHAIN.link(GENESIS, b)) == (rfc8785.dumps(a) == rfc8785.dumps(b))
