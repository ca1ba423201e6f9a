"""Runs, their events, receipts and snapshots."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Conflict, Missing
from sluicegate.base.model import new_id
from sluicegate.store.runs import BEFORE, ENDED, Event, State
from tests.store.rows import a_run


@pytest.fixture
def runs(ours):
    return ours.runs()


@pytest.fixture
def run(runs):
    return runs.add(a_run()).id


def test_a_run_comes_back_as_it_was_added(runs):
    made = a_run(params={"day": "2013-01-01", "ü": [1, None, 0.1]}, executor="e", counts={"read": 1}, plan=[{"a": 1}])
    assert runs.add(made) == made
    assert runs.get(made.id) == made
    with pytest.raises(Conflict):
        runs.add(made)


def test_unknown_runs_are_missing(runs):
    nobody = new_id()
    for ask in (runs.get, runs.cancel_requested, runs.events, runs.receipts, runs.request_cancel):
        with pytest.raises(Missing):
            ask(nobody)
    for do in (
        lambda: runs.event(nobody, "log", {}),
        lambda: runs.events_many(nobody, []),
        lambda: runs.receipt(nobody, "1", {}),
        lambda: runs.advance(nobody, State.RUNNING),
        lambda: runs.amend(nobody, plan={}),
    ):
        with pytest.raises(Missing):
            do()


def test_a_run_goes_its_way(runs, run, clock):
    runs.advance(run, State.RUNNING, executor="e1")
    clock.now += 5
    runs.amend(run, plan={"segments": 2})
    runs.advance(run, State.FINISHED_WITH_REJECTS, counts={"read": 3, "rejected": 1})
    found = runs.get(run)
    assert (found.state, found.executor) == (State.FINISHED_WITH_REJECTS, "e1")
    assert (found.started, found.finished) == (clock.now - 5, clock.now)
    assert (found.counts, found.plan) == ({"read": 3, "rejected": 1}, {"segments": 2})
    with pytest.raises(Conflict):
        runs.amend(run, plan={})


def test_a_failure_keeps_its_problem(runs, run):
    runs.advance(run, "running")
    runs.advance(run, "failed", error={"code": "data", "title": "bad"}, finished=7.0)
    assert (runs.get(run).error, runs.get(run).finished) == ({"code": "data", "title": "bad"}, 7.0)


@pytest.mark.security
def test_only_known_fields_are_set(runs, run):
    for field in ("tenant_id", "id", "state", "by_user", "cancel_requested", "nonsense"):
        with pytest.raises(TypeError):
            runs.amend(run, **{field: "x"})
    with pytest.raises(TypeError):
        runs.advance(run, State.RUNNING, tenant_id="x")
    assert runs.get(run).state is State.QUEUED


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(st.sampled_from(State), max_size=6))
def test_only_allowed_moves_happen(runs, steps):
    made = runs.add(a_run()).id
    state = State.QUEUED
    for step in steps:
        if state in BEFORE[step]:
            runs.advance(made, step)
            state = step
        else:
            with pytest.raises(Conflict):
                runs.advance(made, step)
        assert runs.get(made).state is state


def test_the_table_of_moves_is_the_agreed_one():
    moves = {(before, after) for after, befores in BEFORE.items() for before in befores}
    assert moves == {("queued", "running"), ("queued", "cancelled"), *(("running", end) for end in ENDED)}
    assert set(BEFORE) == set(State)


@pytest.mark.security
def test_of_many_who_move_a_run_one_gets_through(runs, run):
    runs.advance(run, State.RUNNING)
    outcomes, gate = [], threading.Barrier(16)

    def move(state):
        gate.wait()
        try:
            runs.advance(run, state)
            outcomes.append(state)
        except Conflict:
            outcomes.append(None)

    threads = [threading.Thread(target=move, args=(state,)) for state in list(ENDED) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 16
    assert [state for state in outcomes if state] == [runs.get(run).state]


def test_cancelling(runs, run):
    assert runs.cancel_requested(run) is False
    runs.request_cancel(run)
    assert runs.cancel_requested(run) is True
    assert runs.get(run).state is State.QUEUED
    runs.advance(run, State.CANCELLED)
    with pytest.raises(Conflict):
        runs.request_cancel(run)


def test_pages_of_runs(runs):
    ids = [runs.add(a_run(id=f"{number:03}", flow="fg"[number % 2], plan={"big": 1})).id for number in range(10)]
    newest = list(reversed(ids))
    first = runs.list(4)
    assert [run.id for run in first] == newest[:4]
    assert {run.plan for run in first} == {None}
    assert [run.id for run in runs.list(100, before=first[-1].id)] == newest[4:]
    assert [run.id for run in runs.list(3, flow="g")] == ["009", "007", "005"]
    runs.advance("004", State.RUNNING)
    assert [run.id for run in runs.list(state=State.RUNNING)] == ["004"]


def test_events_are_numbered_in_order_without_gaps(runs, run, clock):
    assert runs.event(run, "log", {"m": "ü\0\ud800"}) == 1
    assert runs.events_many(run, [("count", {"n": 1}), ("count", {"n": 2})]) == 3
    assert runs.events_many(run, []) == 3
    assert runs.events(run) == [
        Event(1, clock.now, "log", {"m": "ü\0\ud800"}),
        Event(2, clock.now, "count", {"n": 1}),
        Event(3, clock.now, "count", {"n": 2}),
    ]
    assert [event.seq for event in runs.events(run, after=1, limit=1)] == [2]
    assert runs.events(run, after=3) == []


def test_events_of_many_threads(runs, run):
    def work():
        for _ in range(5):
            runs.events_many(run, [("log", {}), ("log", {})])

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in runs.events(run)] == list(range(1, 101))


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # PostgreSQL waits for its disk
def test_events_are_quick(runs, run):
    batch, taken = [("log", {"message": "x" * 100, "n": n}) for n in range(10)], []
    for _ in range(100):
        start = time.perf_counter()
        runs.events_many(run, batch)
        taken.append(time.perf_counter() - start)
    assert sorted(taken)[10] < 0.003  # 0.5 ms on an idle machine; this one may be busy


def test_receipts(runs, run):
    assert runs.receipts(run) == {}
    runs.receipt(run, "s1", {"rows": 1})
    runs.receipt(run, "s2", {"rows": 2})
    runs.receipt(run, "s1", {"rows": 3})
    assert runs.receipts(run) == {"s1": {"rows": 3}, "s2": {"rows": 2}}


def test_snapshots(runs):
    assert runs.snapshot("f") == {}
    runs.put_snapshot("f", "read", {"a": "int64"})
    runs.put_snapshot("f", "read", {"a": "text"})
    runs.put_snapshot("f", "map", {"b": "text"})
    runs.put_snapshot("g", "read", {"c": "text"})
    assert runs.snapshot("f") == {"map": {"b": "text"}, "read": {"a": "text"}}
