"""What every seal keeps to, whoever opens it: the conformance suite. Services are the real ones in files of their own."""

from __future__ import annotations

import base64
import json

import pytest

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.seals import Passphrase
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Settings
from sluicegate.crypto.keys import new_key
from sluicegate.guard import seals
from sluicegate.guard.seals.seal import name_of, opener_of
from tests.fixtures.unsealing import WORDS, key_of


@pytest.fixture(params=["file", "passphrase", "shamir"])
def kind(request):
    return request.param


@pytest.fixture(params=["S1", "S2"])
def seal(request, kind):
    given = {"passphrase": Passphrase(memory=19456, rounds=2), "vault": {"suite": request.param}}
    return seals.find(kind, Settings.model_validate(given))


def make(seal):
    """Return a root key, its state, and what opens it."""
    root = new_key()
    made = seal.make(root, Secret(WORDS) if seal.kind == "passphrase" else None)
    return root, made.state, key_of(seal, made)


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_what_was_sealed_opens_and_nothing_of_it_is_in_the_state(seal):
    root, state, given = make(seal)
    assert seal.open(json.loads(json.dumps(state)), given).raw == root.raw
    assert (state["seal"], state["root"]) == (seal.kind, name_of(root))
    if seal.kind != "file":
        text = json.dumps(state)
        for form in (root.raw.hex(), base64.b64encode(root.raw).decode(), *(each.reveal() for each in given)):
            assert form not in text


@pytest.mark.security
@pytest.mark.req("SEC-V11")
def test_every_failure_is_the_same(seal):
    _, state, given = make(seal)
    _, other, other_given = make(seal)
    wrong = [({**state, "root": other["root"]}, given)]
    for name in set(state) - {"seal", "root", "made", "shares", "sealing"}:
        wrong += [({key: each for key, each in state.items() if key != name}, given), ({**state, name: "!"}, given)]
        wrong += [({**state, name: other[name]}, given)] * (state[name] != other[name])
    if seal.people:
        wrong += [(state, ()), (state, given[1:]), (state, (Secret("x"),))]
        wrong += [(state, other_given)] * (seal.kind == "shamir")
    if seal.kind == "file":
        wrong = [each for each in wrong if each[0].get("key") != state["key"] or each[0]["root"] != state["root"]]
    for each in wrong:
        with pytest.raises(Corrupt) as told:
            seal.open(*each)
        assert str(told.value) == "Stored data does not verify."


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_new_root_key_needs_nothing_new_of_people_and_ends_the_old_one(seal):
    root, state, given = make(seal)
    fresh = new_key()
    after = seal.renew(state, opener_of(root), fresh)
    assert seal.open(after, given).raw == fresh.raw
    assert after["root"] == name_of(fresh)
    if seal.kind != "file":
        assert state["wrapped"] != after["wrapped"]
        with pytest.raises(Corrupt):
            seal.renew(after, opener_of(root), new_key())
        with pytest.raises(Corrupt):
            seal.open({**after, "wrapped": state["wrapped"]}, given)


def test_it_says_how_many_are_needed(seal):
    _, state, given = make(seal)
    assert seal.needed(state) == len(given) == {"file": 0, "passphrase": 1, "shamir": 3}[seal.kind]
    assert seal.people == (len(given) > 0)
    if seal.people:
        assert len({seal.accept(state, each) for each in given}) == len(given)
    else:
        with pytest.raises(Invalid):
            seal.accept(state, Secret("x"))


def test_a_kind_of_a_newer_version_is_told():
    for kind in ("hsm", None, 7):
        with pytest.raises(Invalid, match="not known here"):
            seals.find(kind, Settings())


@pytest.mark.security
def test_a_share_of_another_set_is_told_apart_before_it_is_tried():
    seal = seals.find("shamir", Settings())
    one, two = seal.make(new_key()), seal.make(new_key())
    with pytest.raises(Invalid, match="of another set") as told:
        seal.accept(one.state, two.shares[0])
    assert two.shares[0].reveal()[25:] not in str(told.value)
    with pytest.raises(Invalid, match="no share"):
        seal.accept(one.state, Secret("nothing"))


@pytest.mark.security
@pytest.mark.parametrize("text", ["", "short", "a" * 40, "abcabcabcabcabcabcabcabc", "x" * 1025])
def test_a_passphrase_that_can_be_guessed_is_refused(text):
    with pytest.raises(Invalid, match="20 to 1024"):
        seals.find("passphrase", Settings()).make(new_key(), Secret(text))


@pytest.mark.security
@pytest.mark.parametrize(
    "cost", [{"memory": 1024}, {"memory": 1 << 30}, {"passes": 1}, {"passes": 99}, {"lanes": 0}, {"more": 1}]
)
def test_the_cost_that_a_state_names_is_held_to_the_floor_and_to_what_we_would_spend(cost):
    seal = seals.find("passphrase", Settings(passphrase=Passphrase(memory=19456, rounds=2)))
    state = seal.make(new_key(), Secret(WORDS)).state
    assert state["cost"] == {"memory": 19456, "passes": 2, "lanes": 1}
    with pytest.raises(Corrupt):
        seal.open({**state, "cost": {**state["cost"], **cost}}, (Secret(WORDS),))
