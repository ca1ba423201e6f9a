"""Support accesses: given for a while, ended for good, and told to every node."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Missing
from sluicegate.base.model import new_id
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.store.marks import Kind

ROWS = frozenset({Permission.DATA_READ})


def give(scope, clock, user=None, hours=1):
    return scope.support().grant(new_id(), user, "r@x.y" if user else "", ROWS, "a fault", expires=clock.now + hours)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_it_holds_until_it_is_over_or_ended_and_every_node_hears_of_it(ours, theirs, system, clock):
    root = system.accounts().create("r@x.y", "R", Role.SUPERADMIN, "h").id
    short, long = give(ours, clock, root, hours=1), give(ours, clock, hours=9)
    assert (short.tenant, short.user, short.email, short.scopes, short.created_by) == (
        ours.tenant, root, "r@x.y", ROWS, ours.who.id,
    )  # fmt: skip
    assert ours.support().list() == [long, short]
    assert system.support().holding(ours.tenant) == (short, long)
    assert system.support().holding(theirs.tenant) == ()
    clock.now += 1
    assert system.support().holding(ours.tenant) == (long,), "over at the second it says"
    assert not short.holds(clock.now)
    assert ours.support().end(short.id) is False
    assert ours.support().end(long.id) is True
    assert ours.support().end(long.id) is False
    assert system.support().holding(ours.tenant) == ()
    ended = {each.id: each for each in ours.support().list()}
    assert (ended[long.id].ended, ended[long.id].ended_by) == (clock.now, ours.who.id)
    assert ended[short.id].ended is None
    told = system.marks().since(0)
    assert {(each.kind, each.subject) for each in told} == {(Kind.RULES, ours.tenant)}
    assert len(told) == 5


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_another_tenants_and_nobodys_are_missing(ours, theirs, clock):
    mine = give(ours, clock)
    for id_ in (mine.id, new_id()):
        with pytest.raises(Missing, match="no such support access"):
            theirs.support().end(id_)
    assert ours.support().list() == [mine]


def test_one_for_nobody_is_not_kept(ours, clock):
    with pytest.raises(Conflict):
        give(ours, clock, new_id())
    assert ours.support().list() == []
