"""One run with a real task; the record of steps is the test's own."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Conflict
from sluicegate.base.principal import Role
from sluicegate.engine.runner import Left
from sluicegate.engine.task import Task
from sluicegate.store.runs import Runs
from tests.fixtures.flow import HERE, READ, WRITE, add_run, put, put_flow, wait_for

pytestmark = pytest.mark.slow

MANY = "id,v\n" + "".join(f"{n},{n % 97}\n" for n in range(5_000_000))


@pytest.fixture
def runner(fresh):
    made = fresh.app.worker._runner
    made.arrive()
    yield made
    made.leave()


def plain(name, do):
    return do()


def test_a_run_lands_and_its_record_is_complete(fresh, runner):
    scope, folder = put_flow(fresh)
    run = add_run(fresh, scope)
    runner.execute(run, scope.tenant, plain)
    found = scope.runs().get(run)
    assert (found.state, found.error) == ("succeeded", None)
    assert {name: found.counts[name] for name in ("read", "written", "rejected")} == {
        "read": 3,
        "written": 3,
        "rejected": 0,
    }
    assert (folder / "out.csv").read_text().splitlines()[0] == "id,v"
    assert scope.runs().receipts(run)["write-2"]["rows"] == 3
    kinds = [each.kind for each in scope.runs().events(run)]
    assert (kinds[0], kinds[-1]) == ("state", "state")
    assert {"schema", "progress", "receipt"} <= set(kinds)
    assert runner.running == 0


def test_a_run_that_is_over_is_not_carried_out_again(fresh, runner):
    scope, folder = put_flow(fresh)
    run = add_run(fresh, scope)
    runner.execute(run, scope.tenant, plain)
    (folder / "out.csv").unlink()
    runner.execute(run, scope.tenant, plain)
    assert not (folder / "out.csv").exists()


def test_a_failure_is_on_record_and_no_fault_of_the_engine(fresh, runner):
    scope, folder = put_flow(fresh)
    (folder / "in.csv").unlink()
    run = add_run(fresh, scope)
    runner.execute(run, scope.tenant, plain)
    found = scope.runs().get(run)
    assert found.state == "failed"
    assert found.error["where"].startswith("step a")


def test_rejects_show_in_the_state(fresh, runner):
    check = {
        "check": {"name": "c", "from": "a", "rules": [{"column": "v", "between": [15, 99]}], "on_fail": "quarantine"}
    }
    scope, _ = put_flow(fresh, READ, check, {"write": {**WRITE["write"], "from": "c"}})
    run = add_run(fresh, scope)
    runner.execute(run, scope.tenant, plain)
    found = scope.runs().get(run)
    assert (found.state, found.counts["rejected"], found.counts["written"]) == ("finished_with_rejects", 1, 2)
    rejects = fresh.app.worker.ask(scope, "rejects", {"run": run, "limit": 5})
    assert [each["reason"] for each in rejects["items"]] == ["v must be between 15 and 99"]


def test_segments_on_record_are_not_done_again_and_start_no_task(fresh, runner):
    scope, folder = put_flow(fresh)
    run = add_run(fresh, scope)
    answers = {}
    runner.execute(run, scope.tenant, lambda name, do: answers.setdefault(name, do()))
    (folder / "out.csv").unlink()
    again = add_run(fresh, scope)
    runner.execute(again, scope.tenant, lambda name, do: answers[name])
    assert scope.runs().get(again).state == "succeeded"
    assert not (folder / "out.csv").exists()


def test_a_cancelled_run_lands_nothing(fresh, runner):
    scope, folder = put_flow(fresh, rows=MANY)
    run = add_run(fresh, scope)
    thread = threading.Thread(target=runner.execute, args=(run, scope.tenant, plain))
    thread.start()
    wait_for(lambda: any(each.kind == "progress" and each.body["steps"].get("a", {}).get("rows")
                         for each in scope.runs().events(run)))  # fmt: skip
    scope.runs().request_cancel(run)
    runner.cancel(run)
    thread.join(30)
    found = scope.runs().get(run)
    assert found.state == "cancelled"
    assert found.counts["read"] > 0, "what it did read is on record"
    assert (found.counts["written"], found.counts["seconds"] > 0) == (0, True)
    assert [each.name for each in folder.iterdir()] == ["in.csv"]


def test_a_run_cancelled_before_it_began_starts_no_task(fresh, runner):
    scope, _ = put_flow(fresh)
    run = add_run(fresh, scope)
    scope.runs().request_cancel(run)
    runner.execute(run, scope.tenant, lambda *_: pytest.fail("a step was begun"))
    assert scope.runs().get(run).state == "cancelled"


def test_a_node_that_stops_is_no_outcome_of_its_runs(fresh, runner):
    scope, _ = put_flow(fresh, rows=MANY)
    run = add_run(fresh, scope)
    ended = []

    def carry():
        try:
            runner.execute(run, scope.tenant, plain)
        except BaseException as fault:  # noqa: BLE001 - it is looked at below
            ended.append(fault)

    thread = threading.Thread(target=carry)
    thread.start()
    wait_for(lambda: any(each.kind == "progress" for each in scope.runs().events(run)))
    runner.leave()
    thread.join(30)
    assert [type(each) for each in ended] == [Left]
    assert scope.runs().get(run).state == "running"
    assert runner.running == 0
    runner.arrive()
    runner.execute(run, scope.tenant, plain)
    assert (scope.runs().get(run).state, scope.runs().get(run).counts["written"]) == ("succeeded", 5_000_000)


@pytest.mark.security
@pytest.mark.parametrize(("change", "to"), [("set_state", "disabled"), ("set_role", Role.VIEWER)])
def test_whoever_may_not_run_flows_any_more_runs_none(fresh, runner, change, to):
    scope, folder = put_flow(fresh)
    run = add_run(fresh, scope)
    person = fresh.people["north", Role.EDITOR]
    getattr(scope.people(), change)(person.id, to)
    runner.execute(run, scope.tenant, lambda *_: pytest.fail("a step was begun"))
    found = scope.runs().get(run)
    assert (found.state, found.error["code"]) == ("failed", "denied")
    assert not (folder / "out.csv").exists()


@pytest.mark.security
def test_the_end_of_a_run_is_audited(fresh, runner):
    scope, _ = put_flow(fresh)
    run = add_run(fresh, scope)
    seen = fresh.head()
    runner.execute(run, scope.tenant, plain)
    (record,) = [each for each in fresh.records(after=seen) if each["action"] == "run.finish"]
    assert (record["result"], record["about"]["run"]) == ("succeeded", run)


@pytest.mark.security
def test_a_run_of_another_tenant_s_is_not_found(fresh, runner):
    from sluicegate.base.errors import Missing

    scope, _ = put_flow(fresh)
    run = add_run(fresh, scope)
    put(fresh, HERE, tenant="south")
    with pytest.raises(Missing):
        runner.execute(run, fresh.tenants["south"], plain)
    assert scope.runs().get(run).state == "queued"


# -- rights that are taken away meanwhile ------------------------------------------------------------------------------

SECOND = {"read": {"name": "b", "connection": "here", "item": "in.csv"}}
TWO = (
    READ, SECOND, {"write": {**WRITE["write"], "name": "one", "item": "one.csv"}},
    {"write": {"name": "two", "from": "b", "connection": "here", "item": "two.csv"}},
)  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-Z09")
@pytest.mark.parametrize("way", ["deactivated", "role lowered", "tenant suspended"])
def test_rights_are_checked_again_before_each_segment(fresh, runner, way):
    scope, folder = put_flow(fresh, *TWO)
    run = add_run(fresh, scope)
    person = fresh.people["north", Role.EDITOR]
    take = {
        "deactivated": lambda: scope.people().set_state(person.id, "disabled"),
        "role lowered": lambda: scope.people().set_role(person.id, Role.VIEWER),
        "tenant suspended": lambda: fresh.app.services.system.tenants().set_state(scope.tenant, "suspended"),
    }[way]

    def step(name, do):
        done = do()
        if name == "one":
            take()
        return done

    seen = fresh.head()
    runner.execute(run, scope.tenant, step)
    found = scope.runs().get(run)
    assert (found.state, found.error["code"]) == ("failed", "denied")
    assert found.error["title"].endswith("Landed before that: one.")
    assert sorted(each.name for each in folder.iterdir()) == ["in.csv", "one.csv"]
    assert list(scope.runs().receipts(run)) == ["one"]
    assert found.counts["written"] == 3
    assert [each["result"] for each in fresh.records(after=seen) if each["action"] == "run.finish"] == ["failed"]


# -- faults of our own -------------------------------------------------------------------------------------------------


def test_what_has_landed_is_on_record_when_a_later_segment_fails_unforeseen(fresh, runner, monkeypatch):
    scope, folder = put_flow(fresh, *TWO)
    run = add_run(fresh, scope)
    kept = Task.do

    def do(task, order):
        return kept(task, order) if order == "one" else 1 / 0

    monkeypatch.setattr(Task, "do", do)
    runner.execute(run, scope.tenant, plain)
    found = scope.runs().get(run)
    assert (found.state, found.error["code"], found.counts["written"]) == ("failed", "internal", 3)
    assert (folder / "one.csv").exists()
    assert runner.running == 0


def test_a_fault_before_the_run_begins_ends_it_too(fresh, runner, monkeypatch):
    scope, _ = put_flow(fresh)
    run = add_run(fresh, scope)
    monkeypatch.setattr(runner, "_principal", lambda *_: 1 / 0)
    runner.execute(run, scope.tenant, plain)
    found = scope.runs().get(run)
    assert (found.state, found.error["code"]) == ("failed", "internal")


def test_a_run_whose_end_cannot_be_written_is_left_for_the_next_start(fresh, runner, monkeypatch):
    scope, folder = put_flow(fresh)
    run = add_run(fresh, scope)
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_finish", lambda *_: 1 / 0)
        with pytest.raises(Left):
            runner.execute(run, scope.tenant, plain)
    assert scope.runs().get(run).state == "running"
    runner.execute(run, scope.tenant, plain)
    assert scope.runs().get(run).state == "succeeded"
    assert (folder / "out.csv").exists()


def test_a_run_that_another_has_begun_is_not_ended(fresh, runner, monkeypatch):
    scope, _ = put_flow(fresh)
    run = add_run(fresh, scope)
    kept = Runs.cancel_requested

    def first(runs, id_):
        scope.runs().advance(id_, "running")
        return kept(runs, id_)

    monkeypatch.setattr(Runs, "cancel_requested", first)
    with pytest.raises(Conflict):
        runner.execute(run, scope.tenant, plain)
    assert scope.runs().get(run).state == "running"
