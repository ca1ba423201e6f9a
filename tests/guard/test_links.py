"""One-time links, as the guard makes and takes them."""

from __future__ import annotations

import sqlite3

import pytest

from sluicegate.base.errors import Unauthenticated
from sluicegate.base.principal import Peer, Role
from sluicegate.base.secret import Secret
from sluicegate.guard.limits import Limits, Rates
from sluicegate.guard.links import Links
from tests.fixtures.server import address


@pytest.fixture
def user(fresh):
    return fresh.app.services.system.accounts().get(fresh.people["north", Role.EDITOR].id)


@pytest.fixture
def links(fresh):
    return Links(fresh.main_key(), fresh.app.services.system, Limits(Rates(failures="3/hour")))


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_a_link_has_256_bits_and_only_its_digest_is_kept(fresh, links, user):
    token, made = links.make("reset", user, 60)
    text = token.reveal()
    assert len(text) == 46
    assert links.find("reset", token, Peer(address())).id == made.id
    assert len({links.make("reset", user, 60)[0].reveal() for _ in range(50)}) == 50
    for file in fresh.home.glob("store.db*"):
        assert text.encode() not in file.read_bytes()


@pytest.mark.security
@pytest.mark.req("SEC-T17")
def test_the_same_text_is_another_link_for_another_purpose(fresh, links, user):
    token, _ = links.make("reset", user, 60)
    with sqlite3.connect(fresh.home / "store.db") as raw:  # as if somebody changed what a stored link is for
        raw.execute("update links set purpose = 'email'")
    raw.close()
    with pytest.raises(Unauthenticated):
        links.find("email", token, Peer(address()))


@pytest.mark.security
@pytest.mark.req("SEC-A06")
def test_each_wrong_one_counts_against_its_address(links, user):
    peer = Peer(address())
    limits = links._limits
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            links.find("reset", Secret("lt_wrong"), peer)
    from sluicegate.base.errors import Throttled

    with pytest.raises(Throttled):
        limits.admit(peer, knocks=True)
    limits.admit(Peer(address()), knocks=True)


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_a_link_is_taken_once(links, user):
    token, _ = links.make("reset", user, 60)
    links.take("reset", token, Peer(address()))
    with pytest.raises(Unauthenticated, match="wrong, has been used, or is over"):
        links.take("reset", token, Peer(address()))
