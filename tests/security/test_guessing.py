"""Guessing is slowed, and no stranger locks anybody out: through the gate, with real keys of clients (SEC-A06)."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Throttled, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Peer, Role
from sluicegate.crypto.dpop import ProofKey
from tests.fixtures.server import BY_NAME, PASSWORD, address


class Owner:
    """Somebody whose laptop has signed in once, from home."""

    def __init__(self, place):
        self.place = place
        self.who = place.add("north", Role.VIEWER, f"{new_id()}@north.example")
        self.laptop, self.home = ProofKey.new(), address()
        self.sign_in(self.laptop, self.home)

    def sign_in(self, key, peer, password=PASSWORD):
        ask = {"tenant": "north", "email": self.who.email, "password": password}
        told = self.place.credentials(None, "POST", key)
        return self.place.app.gate.call(BY_NAME["session.login"], ask, told, Peer(peer, "a test", "request-1"))


@pytest.fixture
def owner(place):
    return Owner(place)


def hammer(owner, times, key=None, peers=None):
    """Give wrong passwords; return how many were looked at, and the last refusal."""
    looked, last = 0, None
    key = key or ProofKey.new()
    for n in range(times):
        try:
            owner.sign_in(key, peers[n % len(peers)], "a wrong guess")
        except Unauthenticated:
            looked += 1
        except Throttled as fault:
            last = fault
    return looked, last


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_a_hundred_wrong_ones_stop_the_attacker_and_not_the_owner(owner):
    attacker, there = ProofKey.new(), address()
    looked, last = hammer(owner, 100, attacker, [there])
    assert looked <= 8, "five, and one or two whose wait was over"
    assert last.after > 0
    with pytest.raises(Throttled):
        owner.sign_in(attacker, there)  # even with the right password
    assert owner.sign_in(owner.laptop, address()).access
    assert owner.sign_in(ProofKey.new(), address()).access, "one address stops itself only"


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_a_hundred_addresses_stop_strangers_and_neither_the_known_laptop_nor_the_known_home(owner):
    looked, _ = hammer(owner, 100, peers=[address() for _ in range(100)])
    assert 20 <= looked <= 25
    with pytest.raises(Throttled) as told:
        owner.sign_in(ProofKey.new(), address())
    assert 0 < told.value.after <= 900
    assert owner.sign_in(owner.laptop, address()).access
    assert owner.sign_in(ProofKey.new(), owner.home).access


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_a_device_is_known_by_its_own_user_alone(owner, place):
    other = Owner(place)
    hammer(owner, 60, peers=[address() for _ in range(60)])
    with pytest.raises(Throttled):
        owner.sign_in(other.laptop, other.home)


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_over_http_the_answer_says_when_to_come_back(place, owner):
    ask = {"tenant": "north", "email": owner.who.email, "password": "a wrong guess"}
    hammer(owner, 60, peers=[address() for _ in range(60)])
    stranger = place.add("north", Role.VIEWER, f"{new_id()}@north.example")  # whose key this test's requests bear
    assert stranger.id
    got = place.request("POST", "/api/v1/session/login", json=ask)
    assert got.status_code == 429
    assert 1 <= int(got.headers["retry-after"]) <= 900
    assert got.json()["code"] == "throttled"
    assert owner.who.email not in got.text
