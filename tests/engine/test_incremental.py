"""Reading only what is new, run after run, against a plain Python oracle: runs that are killed lose and double nothing.

Rows come, some late, some with the value that was highest; a run is killed before anything lands, or after all of it
has landed and before anybody knows. Source and target are real databases; the store is real; the runner's part is
played by ``Flow.run``, which calls what it calls.
"""

from __future__ import annotations

import gc
import sqlite3
import time
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Conflict, Failed, Invalid, Unavailable
from sluicegate.base.model import new_id
from sluicegate.engine import incremental, stage
from sluicegate.engine.job import Job
from sluicegate.engine.plan import plan, steps
from sluicegate.kit.document import parse_definition
from sluicegate.store.runs import State
from sluicegate.store.watermarks import Watermarks
from tests.fixtures.flow import add_run, put

CONNECTIONS = {
    name: {"kind": "connection", "name": name, "type": "sqlite", "path": f"{name}.db"} for name in ("shop", "house")
}
KEYED = {"mode": {"type": "merge", "keys": ["id"]}}


class Killed(BaseException):
    """The process is gone."""


def flow_of(name, write, **since):
    read = {"name": "a", "connection": "shop", "item": name, "since": {"column": "at", **since}}
    to = {"from": "a", "connection": "house", "item": name, **write}
    return {"kind": "flow", "name": name, "steps": [{"read": read}, {"write": to}]}


class Town:
    """A flow, its two databases, and the store."""

    def __init__(self, place, root, body):
        self._place, self._root, self._body = place, root, body
        self.scope = place.scope("north")
        self._flow = parse_definition(body)

    def execute(self, run, kill=""):
        """Carry out one attempt of a run, as the runner does; it may be killed at a point."""
        scope, stored = self.scope, self.scope.runs().get(run)
        state = incremental.begin(scope, stored, self._flow)
        job = Job(
            what="run", run=run, root=self._root, flow=self._body, connections=CONNECTIONS, local=True, state=state
        )

        def report(kind, body):
            if kind == "watermark":
                if kill == "before":
                    raise Killed
                scope.watermarks().see(run, **body)
                if kill == "seen":
                    raise Killed

        (segment,) = plan(self._flow)
        stage.execute(job, segment.name, report, lambda: False)
        if kill == "landed":
            raise Killed
        for step in incremental.steps(self._flow, segment):
            scope.watermarks().land(run, step)
        scope.runs().advance(run, State.SUCCEEDED)

    def run(self, kills):
        """Carry out a run that is killed at each of these points and taken up again."""
        run = add_run(self._place, self.scope, flow=self._flow.name)
        self.scope.runs().advance(run, State.RUNNING)
        for kill in kills:
            try:
                return self.execute(run, kill)  # what has landed is not told of twice
            except Killed:
                pass
            gc.collect()  # a process that is gone holds no lock on its source
            yield
        self.execute(run)


def change(root, sql, rows=(), name="shop"):
    with closing(sqlite3.connect(root / f"{name}.db")) as link, link:
        link.executemany(sql, rows) if rows else link.execute(sql)


def all_of(root, table, name="house"):
    with closing(sqlite3.connect(root / f"{name}.db")) as link:
        return sorted(link.execute(f"select id, at, v from {table}").fetchall())


KILLS = st.lists(st.sampled_from(["before", "seen", "landed"]), max_size=2)
ARRIVALS = st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 4)), max_size=5)


class Source:
    """Rows as they come: late by the overlap at the most, or never; with the highest value again, or above it."""

    def __init__(self, root, table, *, late):
        self._root, self._table, self._late = root, table, late
        self._top, self._count = 0, 0
        change(root, f"create table {table} (id integer primary key, at integer, v integer)")

    def arrive(self, drawn):
        rows = []
        for id_, above in drawn:
            self._count += 1
            at = self._top + (above if self._late else max(above, 1))
            rows.append((id_ if self._late else self._count, at, self._count))
        if rows:
            change(self._root, f"insert or replace into {self._table} values (?, ?, ?)", rows)
        self._top = max([self._top, *(at for _, at, _ in rows)])


@pytest.mark.slow
@pytest.mark.parametrize("keyed", [True, False], ids=["merge, late rows", "append"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_after_any_kills_the_target_is_the_source(place, tmp_path, keyed, data):
    name = f"t{new_id()[-12:]}"
    town = Town(place, tmp_path, flow_of(name, KEYED, overlap=3) if keyed else flow_of(name, {}))
    source = Source(tmp_path, name, late=keyed)
    for _ in range(data.draw(st.integers(1, 4))):
        source.arrive(data.draw(ARRIVALS))
        for _ in town.run(data.draw(KILLS)):
            source.arrive(data.draw(ARRIVALS))
        for _ in town.run([]):
            """What came while the run before was cut off is read by the next at the latest."""
        assert all_of(tmp_path, name) == all_of(tmp_path, name, "shop")


@pytest.fixture
def ready(fresh):
    """Give the runner of an installation, a flow of a source with two rows, and its folder."""
    scope = put(fresh, *CONNECTIONS.values(), flow_of("t", {}))
    root = fresh.settings.data / scope.tenant
    root.mkdir(parents=True, exist_ok=True)
    change(root, "create table t (id integer primary key, at integer, v integer)")
    change(root, "insert into t values (?, ?, ?)", [(1, 10, 0), (2, 20, 0)])
    runner = fresh.app.worker._runner
    runner.arrive()
    yield fresh, scope, root, runner
    runner.leave()


def carry(ready, do=lambda _name, do: do()):
    place, scope, _, runner = ready
    run = add_run(place, scope, flow="t")
    runner.execute(run, scope.tenant, do)
    return scope.runs().get(run)


@pytest.mark.slow
def test_a_real_run_reads_what_is_new_and_keeps_no_value_in_its_log(ready):
    _, scope, root, _ = ready
    assert carry(ready).counts["read"] == 2
    assert scope.watermarks().current("t")["a"].value == "20"
    change(root, "insert into t values (?, ?, ?)", [(3, 987654, 0)])
    run = carry(ready)
    assert (run.state, run.counts["read"]) == ("succeeded", 1)
    assert [row[0] for row in all_of(root, "t")] == [1, 2, 3]
    assert scope.watermarks().current("t")["a"].run == run.id
    assert "987654" not in str(scope.runs().events(run.id)) + str(scope.runs().receipts(run.id))


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "not kept"])
def test_nothing_lands_before_the_store_has_what_was_seen(ready, monkeypatch, kept):
    _, scope, root, _ = ready
    carry(ready)
    change(root, "insert into t values (?, ?, ?)", [(3, 30, 0)])
    landed, see = [], Watermarks.see

    def look(*given, **more):
        time.sleep(0.3)  # a task that did not wait would have committed
        landed.append(len(all_of(root, "t")))
        if not kept:
            raise Unavailable("The store does not answer.")
        see(*given, **more)

    monkeypatch.setattr(Watermarks, "see", look)
    run = carry(ready)
    assert landed == [2], "the task has not waited"
    assert (run.state, len(all_of(root, "t"))) == (("succeeded", 3) if kept else ("failed", 2))
    assert scope.watermarks().current("t")["a"].value == ("30" if kept else "20")


@pytest.mark.slow
@pytest.mark.security
def test_a_run_that_fails_keeps_the_old_state_and_says_where(ready):
    _, scope, root, _ = ready
    carry(ready)
    change(root, "insert into t values (?, ?, ?)", [(3, None, 0), (4, 30, 0)])
    run = carry(ready)
    assert (run.state, run.error["where"].split(",")[0]) == ("failed", "step a")
    assert scope.watermarks().current("t")["a"].value == "20"
    assert len(all_of(root, "t")) == 2


@pytest.mark.slow
def test_another_column_ends_the_run_before_a_row_is_read(ready):
    place, scope, _, _ = ready
    carry(ready)
    other = flow_of("t", {})
    other["steps"][0]["read"]["since"] = {"column": "id"}
    put(place, other)
    with pytest.raises(Failed, match="'at', and now it is to be 'id'") as told:
        incremental.find(scope, parse_definition(other))
    assert "sluice state reset t a" in told.value.hint


def test_two_runs_that_add_are_not_carried_out_at_once(place):
    flow, scope = parse_definition(flow_of("two", {})), place.scope("north")
    runs = [add_run(place, scope, flow="two") for _ in range(2)]
    for run in runs:
        scope.runs().advance(run, State.RUNNING)
    incremental.begin(scope, scope.runs().get(runs[0]), flow)
    with pytest.raises(Conflict):
        incremental.begin(scope, scope.runs().get(runs[1]), flow)
    keyed = parse_definition(flow_of("two", KEYED))
    assert incremental.begin(scope, scope.runs().get(runs[1]), keyed)["a"]["value"] is None


def test_rows_that_would_be_read_twice_are_refused():
    body = flow_of("t", {})
    body["steps"].append({"write": {"from": "a", "connection": "house", "item": "u"}})
    flow = parse_definition(body)
    with pytest.raises(Invalid, match="one load at a time"):
        plan(flow, frozenset({"house"}))
    assert list(steps(flow)) == ["a", "write-2", "write-3"]
