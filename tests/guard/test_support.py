"""Support access: only what was lent, only where, only for as long."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid, Missing
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Principal, Role
from sluicegate.guard.support import KEPT, USUAL, Support

ROWS = frozenset({Permission.DATA_READ})


class Hand:
    """A clock moved by hand."""

    def __init__(self, start):
        self.now = start

    def __call__(self):
        return self.now


@pytest.fixture
def hand(fresh):
    return Hand(fresh.app.services.system.database.clock())


@pytest.fixture
def node(fresh, hand):
    return Support(fresh.app.services.system, fresh.app.services.rules, hand)


def root(place, tenant="north"):
    who = place.people[None, Role.SUPERADMIN]
    return Principal(who.id, place.tenants[tenant] if tenant else None, Role.SUPERADMIN)


def give(place, email="root@example.org", hours=None, scopes=ROWS, tenant="north"):
    return place.app.services.support.grant(place.scope(tenant), email, scopes, "a fault", hours)


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-Z03")
def test_it_lends_to_whom_it_names_where_it_was_given_and_for_as_long(fresh, node, hand):
    other = fresh.app.services.system.accounts().create("two@example.org", "Two", Role.SUPERADMIN, fresh.hash)
    assert node.lend(root(fresh)) == root(fresh)
    made = give(fresh, hours=2)
    node.forget(fresh.tenants["north"])
    lent = node.lend(root(fresh))
    assert (lent.lent, lent.support) == (ROWS, made.id)
    for who in (
        root(fresh, "south"),
        root(fresh, None),
        Principal(other.id, fresh.tenants["north"], Role.SUPERADMIN),
        Principal(root(fresh).id, fresh.tenants["north"], Role.ADMINISTRATOR),
    ):
        assert node.lend(who) == who
    hand.now = made.expires - 1
    node.require(lent)
    assert node.lend(root(fresh)).lent == ROWS
    hand.now = made.expires
    assert node.lend(root(fresh)) == root(fresh), "over at the second it says, whatever is kept in memory"
    with pytest.raises(Denied, match="has ended"):
        node.require(lent)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_revoked_one_ends_here_at_once_and_elsewhere_by_its_mark(fresh, node, hand):
    made = give(fresh, None)
    node.forget(fresh.tenants["north"])
    lent = node.lend(root(fresh))
    assert lent.support == made.id, "given to any of them"
    ours = fresh.app.services.support
    assert ours.lend(root(fresh)).support == made.id
    ours.revoke(fresh.scope("north"), made.id)
    assert ours.lend(root(fresh)) == root(fresh)
    assert node.lend(root(fresh)) == lent, "another node has heard nothing yet"
    hand.now += KEPT + 1
    assert node.lend(root(fresh)) == root(fresh), "and believes what it knows for a minute at the most"


@pytest.mark.security
def test_what_was_read_before_a_change_is_not_kept_after_it(fresh, node, monkeypatch):
    made = give(fresh)
    store = type(fresh.app.services.system.support())
    read = store.holding

    def slow(self, tenant):
        found = read(self, tenant)
        fresh.scope("north").support().end(made.id)
        node.forget(tenant)  # the mark comes while the old list is on its way
        return found

    with monkeypatch.context() as patch:
        patch.setattr(store, "holding", slow)
        node.lend(root(fresh))
    assert node.lend(root(fresh)) == root(fresh)


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_it_is_given_within_the_policy_and_lends_nothing_but_rows(fresh, hand):
    made = give(fresh)
    assert made.expires - hand.now == pytest.approx(USUAL * 3600, abs=60)
    with pytest.raises(Invalid, match="4 hours at the most"):
        give(fresh, hours=5)
    fresh.set_policy(support_hours=1)
    with pytest.raises(Invalid, match="1 hours at the most"):
        give(fresh, hours=2)
    assert give(fresh).expires - hand.now == pytest.approx(3600, abs=60)
    for more in Permission:
        if more is not Permission.DATA_READ:
            with pytest.raises(Denied, match="cannot be lent"):
                give(fresh, scopes=ROWS | {more})
    for nobody in ("nobody@example.org", "administrator@north.example"):
        with pytest.raises(Missing, match="no such SuperAdmin"):
            give(fresh, nobody)
    assert len(fresh.scope("north").support().list()) == 2
