"""The gate of a sealed server, as a state machine: sealed, on its way, open; and nothing tells right from wrong early."""

from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sluicegate.base.errors import Denied, Invalid, Throttled, Unavailable
from sluicegate.base.principal import Peer
from sluicegate.base.seals import Passphrase
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Limits, Server, Settings
from sluicegate.crypto.keys import new_key
from sluicegate.crypto.shares import Share, read_share
from sluicegate.guard import seals
from sluicegate.guard.sealed import FREE, KEPT, Gate
from tests.fixtures.unsealing import WORDS

HERE = Peer("192.0.2.1", "a test", "r1")


class Clock:
    """Time that stands until it is moved."""

    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


class Door:
    """A sealed server, and what went through."""

    def __init__(self, kind="shamir", **settings):
        self.settings = Settings(passphrase=Passphrase(memory=19456, rounds=2), **settings)
        self.root, self.clock, self.entered = new_key(), Clock(), []
        seal = seals.find(kind, self.settings)
        made = seal.make(self.root, Secret(WORDS) if kind == "passphrase" else None)
        self.shares = made.shares
        self.gate = Gate(self.settings, made.state, self.enter, self.clock)

    def enter(self, root):
        self.entered.append(root.raw)

    def forged(self, index):
        """Return a share that looks right and is not."""
        real = read_share(self.shares[index])
        return Share(real.set, real.threshold, real.index, new_key().raw).text()


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_two_of_three_do_not_open_and_the_third_does():
    door = Door()
    assert [door.gate.give(door.shares[each], HERE) for each in (4, 1)] == [False, False]
    assert (door.gate.progress().given, door.gate.progress().needed, door.entered) == (2, 3, [])
    assert door.gate.give(door.shares[4], HERE) is False, "the same share again is no third one"
    assert door.gate.give(door.shares[0], HERE) is True
    assert door.entered == [door.root.raw]
    assert door.gate.give(Secret("anything"), HERE) is True
    assert len(door.entered) == 1


@pytest.mark.security
@pytest.mark.req("SEC-V06", "SEC-V11")
def test_a_wrong_share_tells_nothing():
    """What is answered to a right share and to a forged one, alone and as the last one, is the same in all places."""

    def answers(wrong):
        door, told = Door(), []
        for number in range(3):
            given = door.forged(number) if number in wrong else door.shares[number]
            try:
                told.append((door.gate.give(given, HERE), door.gate.progress().given))
            except Denied as fault:
                told.append((str(fault), fault.hint, door.gate.progress().given))
        return told

    found = {str(answers(wrong)) for wrong in ({0}, {1}, {2}, {0, 1}, {0, 1, 2})}
    assert len(found) == 1
    assert str(answers(set())) not in found
    assert answers(set())[:2] == answers({0})[:2]


@pytest.mark.security
def test_shares_do_not_wait_for_ever():
    door = Door()
    door.gate.give(door.shares[0], HERE)
    door.clock.now += KEPT + 1
    assert door.gate.progress().given == 0
    assert door.gate._given == {}


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_guessing_is_slowed_and_the_right_passphrase_comes_after_the_wait():
    door = Door("passphrase")
    for _ in range(FREE):
        with pytest.raises(Denied):
            door.gate.give(Secret("a wrong passphrase, and a long one"), HERE)
    with pytest.raises(Throttled) as told:
        door.gate.give(Secret(WORDS), HERE)
    door.clock.now += told.value.after
    assert door.gate.give(Secret(WORDS), HERE)
    assert door.entered == [door.root.raw]


@pytest.mark.security
@pytest.mark.req("SEC-N08")
def test_the_installations_list_of_addresses_holds_here_too():
    door = Door(server=Server(addresses=("192.0.2.0/24",)), limits=Limits(public="2/minute"))
    door.gate.admit(HERE, knocks=True)
    with pytest.raises(Denied):
        door.gate.admit(Peer("198.51.100.1"), knocks=False)
    door.gate.admit(HERE, knocks=True)
    with pytest.raises(Throttled):
        door.gate.admit(HERE, knocks=True)
    door.gate.admit(HERE, knocks=False)


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-V02")
def test_each_try_is_logged_and_put_on_record_once_that_can_be(capfd, place):
    door = Door()
    with pytest.raises(Invalid):
        door.gate.give(Secret("canary-hunter2"), HERE)
    for each in (door.forged(0), *door.shares[1:3]):
        try:
            door.gate.give(each, HERE)
        except Denied:
            continue
    for each in door.shares[:3]:
        door.gate.give(each, HERE)
    before = place.head(None)
    door.gate.report(place.app.services.audit)
    told = [(each["action"], each["result"], each["address"]) for each in place.records(None, after=before)]
    results = ["invalid", "given", "given", "refused", "given", "given", "opened"]
    assert told == [("seal.open", result, "192.0.2.1") for result in results]
    logged = capfd.readouterr().err
    assert logged.count("seal.open") == len(results)
    for text in (logged, str(place.records(None, after=before))):
        assert "canary" not in text
        assert not any(each.reveal()[30:60] in text for each in door.shares)


@pytest.mark.security
def test_what_keeps_the_installation_from_starting_is_told_and_it_stays_sealed():
    door = Door()

    def broken(_root):
        raise Unavailable("the store does not answer")

    door.gate._enter = broken
    for each in door.shares[:2]:
        door.gate.give(each, HERE)
    with pytest.raises(Unavailable, match="the store"):
        door.gate.give(door.shares[2], HERE)
    assert door.gate.open is False
    door.gate._enter = door.enter
    assert [door.gate.give(each, HERE) for each in door.shares[:3]] == [False, False, True]


class Sealed(RuleBasedStateMachine):
    """People come and go, time passes, some lie."""

    @initialize()
    def begin(self):
        self.door, self.right, self.wrong, self.last = Door(), set(), set(), 0.0

    def bring(self, index, given, *, right):
        now = self.door.clock.now
        if now - self.last > KEPT:
            self.right, self.wrong = set(), set()
        was_open = self.door.gate.open
        try:
            opened = self.door.gate.give(given, HERE)
        except Throttled:
            return
        except Denied:
            there = (self.right | self.wrong) | {index}
            assert len(there) == 3
            assert self.wrong - {index} or not right
            self.right, self.wrong = set(), set()
            return
        if was_open:
            assert opened
            return
        self.last = now
        (self.right if right else self.wrong).add(index)
        (self.wrong if right else self.right).discard(index)
        if opened:
            assert len(self.right) == 3
            assert not self.wrong
        else:
            assert len(self.right | self.wrong) < 3

    @rule(index=st.integers(0, 4))
    def bring_a_share(self, index):
        self.bring(index, self.door.shares[index], right=True)

    @rule(index=st.integers(0, 4))
    def bring_a_forged_one(self, index):
        self.bring(index, self.door.forged(index), right=False)

    @rule(text=st.text(max_size=40))
    def bring_nonsense(self, text):
        try:
            assert self.door.gate.give(Secret(text), HERE) is self.door.gate.open
        except (Invalid, Throttled):
            assert not self.door.gate.open

    @rule(seconds=st.sampled_from([1.0, 60.0, KEPT + 1]))
    def wait(self, seconds):
        self.door.clock.now += seconds

    @invariant()
    def open_means_the_root_key_and_sealed_means_no_key(self):
        assert self.door.entered == ([self.door.root.raw] if self.door.gate.open else [])
        if not self.door.gate.open:
            assert self.door.gate.progress().given < 3


TestSealed = pytest.mark.security(Sealed.TestCase)
TestSealed.settings = hypothesis(max_examples=15, stateful_step_count=25, deadline=None)
