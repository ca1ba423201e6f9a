from __future__ import annotations

import pytest

from sluicegate.base.errors import Missing
from sluicegate.base.model import made_at, new_id
from sluicegate.store.quotes import Quote
from tests.store.rows import a_run

DAY = 86400.0


@pytest.fixture
def runs(ours):
    return [ours.runs().add(a_run()).id for _ in range(2)]


def test_quotes_come_back_by_run_and_number(ours, runs):
    one, two = runs
    for run, seq in ((one, 0), (one, 3), (one, 9), (two, 0)):
        ours.quotes().put(run, seq, f"{seq}".encode())
    ours.quotes().put(one, 3, b"again")
    assert ours.quotes().events(one, 1, 8) == [Quote(one, 3, b"again")]
    assert sorted(ours.quotes().errors(one, two)) == sorted([Quote(one, 0, b"0"), Quote(two, 0, b"0")])
    assert ours.quotes().errors() == []


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_quotes_go_after_their_days_and_a_wrong_clock_keeps_none_longer(ours, runs, monkeypatch):
    now = ours.database.clock()
    times = {0: now - 31 * DAY, 1: now - 29 * DAY, 2: now + 900 * DAY}
    for seq, at in times.items():
        monkeypatch.setattr(ours.database, "clock", lambda at=at: at)
        ours.quotes().put(runs[0], seq, b"sealed")
    assert ours.quotes().purge(now - 30 * DAY, now) == 1
    assert [each.seq for each in ours.quotes().events(runs[0], 0, 9)] == [1, 2]
    assert ours.quotes().purge(now + DAY - 30 * DAY, now + DAY) == 0
    assert ours.quotes().purge(now + 2 * DAY - 30 * DAY, now + 2 * DAY) == 1
    assert ours.quotes().purge(now + DAY, now + 31 * DAY) == 1, "what lay in the future counted from when it was seen"


def test_runs_that_were_made_before_a_moment_are_told_once(ours):
    old, edge, new = "01890000-0000-7000-8000-000000000000", "018a0000-0000-7000-8000-000000000000", new_id()
    for run in (new, old, edge):
        ours.runs().add(a_run(id=run))
        ours.quotes().put(run, 0, b"sealed")
        ours.quotes().put(run, 1, b"sealed")
    assert ours.quotes().runs(made_at(edge)) == [old]
    assert sorted(ours.quotes().runs(made_at(edge) + 0.001)) == [old, edge]
    assert ours.quotes().runs(0) == []


@pytest.mark.security
def test_a_quote_of_another_tenant_s_run_is_not_kept(theirs, runs):
    with pytest.raises(Missing):
        theirs.quotes().put(runs[0], 1, b"mine")
    with pytest.raises(Missing):
        theirs.quotes().put("no-run", 1, b"mine")
