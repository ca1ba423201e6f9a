from __future__ import annotations

import time

import pytest

from sluicegate.base.errors import Conflict, Invalid, Missing
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.engine.events import Events
from sluicegate.engine.recorder import Recorder
from sluicegate.store.runs import State

DOCUMENTS = """\
kind: connection
name: here
type: files
root: .
---
kind: flow
name: copy
params: { day: { type: date, default: 2013-01-01 }, most: { type: int64 } }
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - write: { name: out, from: rows, connection: here, item: "out-{day}.csv" }
"""


@pytest.fixture
def operator(place):
    return place.token(Role.OPERATOR)


@pytest.fixture
def ready(engine):
    """Give an open engine with a flow and its data."""
    engine.call("definition.apply", {"source": DOCUMENTS}, engine.token(Role.EDITOR))
    folder = engine.settings.data / engine.tenants["north"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.csv").write_text("id,price\n1,2\n3,4\n")
    return engine, folder


def finish(place, run, token):
    latest = time.monotonic() + 60
    while time.monotonic() < latest:
        got = place.call("run.get", {"id": run}, token)
        if got.finished:
            return got
        time.sleep(0.05)
    raise AssertionError("the run did not end")


@pytest.mark.slow
def test_a_run_is_started_watched_and_accounted_for(ready):
    place, folder = ready
    token = place.token(Role.OPERATOR)
    started = place.call("run.start", {"name": "copy", "params": {"most": 5}}, token)
    assert (started.flow, started.version) == ("copy", 1)
    got = finish(place, started.id, token)
    assert (got.state, got.error, got.by) == ("succeeded", None, place.people["north", Role.OPERATOR].id)
    assert (got.counts["read"], got.counts["written"], got.counts["rejected"]) == (2, 2, 0)
    assert got.params == {"day": "2013-01-01", "most": 5}
    assert got.receipts["out"]["rows"] == 2
    assert (folder / "out-2013-01-01.csv").read_text().splitlines()[1:] == ["1,2", "3,4"]
    events = place.call("run.events", {"id": started.id}, token)
    assert events.done
    assert [each.body["state"] for each in events.items if each.kind == "state"] == ["queued", "running", "succeeded"]
    assert [each.seq for each in events.items] == sorted(each.seq for each in events.items)


@pytest.mark.slow
def test_a_run_that_fails_says_where_and_leaves_nothing(ready):
    place, folder = ready
    (folder / "in.csv").unlink()
    token = place.token(Role.OPERATOR)
    got = finish(place, place.call("run.start", {"name": "copy", "params": {"most": 5}}, token).id, token)
    assert (got.state, got.receipts) == ("failed", {})
    assert "in.csv" in got.error["title"] + got.error.get("where", "")
    assert not list(folder.glob("out*"))


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize(
    ("params", "says"),
    [({}, "most"), ({"most": "many"}, "most"), ({"most": 1, "extra": 1}, "extra"), ({"most": 1, "day": "someday"}, "day"), ({"most": None}, "most"),
     ({"most": {"$gt": 0}}, "most")],
)  # fmt: skip
def test_what_a_run_is_told_must_fit_before_anything_is_stored(place, operator, params, says):
    place.call("definition.apply", {"source": DOCUMENTS}, place.token(Role.EDITOR))
    before = place.call("run.list", {"flow": "copy"}, operator).items
    with pytest.raises(Invalid) as told:
        place.call("run.start", {"name": "copy", "params": params}, operator)
    assert says in str(told.value)
    assert place.call("run.list", {"flow": "copy"}, operator).items == before


def test_a_flow_or_run_that_is_not_there_is_missing(place, operator):
    for operation, ask in (
        ("run.start", {"name": "nowhere"}), ("run.get", {"id": new_id()}), ("run.events", {"id": new_id()}), ("run.cancel", {"id": new_id()}),
    ):  # fmt: skip
        with pytest.raises(Missing):
            place.call(operation, ask, operator)


def test_runs_are_listed_newest_first_by_flow_and_by_page(place, operator):
    made = []
    for _ in range(5):
        made.append(place.a_run("north", "listed"))
        time.sleep(0.002)  # runs of one millisecond have no order
    place.a_run("north", "other")
    page = place.call("run.list", {"flow": "listed", "limit": 2}, operator).items
    rest = place.call("run.list", {"flow": "listed", "before": page[-1].id}, operator).items
    assert [each.id for each in (*page, *rest)] == made[::-1]
    assert all(each.receipts == {} and each.state == "queued" for each in page)


def test_events_come_in_order_by_page_and_end_with_the_run(place, operator):
    run = place.a_run("north")
    runs = place.scope("north").runs()
    for number in range(5):
        runs.event(run, "log", {"message": str(number)})
    first = place.call("run.events", {"id": run, "limit": 3}, operator)
    rest = place.call("run.events", {"id": run, "after": first.items[-1].seq}, operator)
    assert [each.body["message"] for each in (*first.items, *rest.items)] == list("01234")
    assert not first.done
    assert not rest.done, "the run goes on"
    runs.advance(run, State.RUNNING)
    runs.advance(run, State.SUCCEEDED, counts={}, error=None)
    assert place.call("run.events", {"id": run, "after": rest.items[-1].seq}, operator).done
    assert not place.call("run.events", {"id": run, "limit": 5}, operator).done, "a full page may not be the last"


def test_a_cancelled_run_is_asked_to_end_and_asking_again_is_no_error(place, operator):
    run = place.a_run("north")
    for _ in range(2):
        assert place.call("run.cancel", {"id": run}, operator).id == run
    assert place.scope("north").runs().cancel_requested(run)


def test_a_run_that_is_over_stays_as_it_ended(place, operator):
    run = place.a_run("north")
    runs = place.scope("north").runs()
    runs.advance(run, State.RUNNING)
    runs.advance(run, State.FAILED, counts={"read": 1}, error={"code": "data", "title": "wrong"})
    with pytest.raises(Conflict, match="The run is failed"):
        place.call("run.cancel", {"id": run}, operator)
    got = place.call("run.get", {"id": run}, operator)
    assert (got.state, got.error["code"], got.counts) == ("failed", "data", {"read": 1})


@pytest.mark.security
@pytest.mark.req("SEC-D05")
@pytest.mark.parametrize(
    ("operation", "ask"),
    [("run.list", {"limit": 501}), ("run.list", {"limit": 0}), ("run.list", {"before": "1"}), ("run.list", {"flow": "a b"}),
     ("run.events", {"limit": 501}), ("run.events", {"after": -1}), ("run.events", {"wait": 21}), ("run.events", {"wait": -1})],
)  # fmt: skip
def test_a_page_has_a_form_and_a_largest_size(place, operator, operation, ask):
    whole = {"id": place.a_run("north"), **ask} if operation == "run.events" else ask
    with pytest.raises(Invalid):
        place.call(operation, whole, operator)


@pytest.mark.security
def test_a_run_is_told_no_more_than_a_hundred_things(place, operator):
    with pytest.raises(Invalid, match="params"):
        place.call("run.start", {"name": "copy", "params": {f"p{each}": 1 for each in range(101)}}, operator)


# -- rows are for those who may read rows ------------------------------------------------------------------------------

CANARY = "CANARY-91000"
VALUES = """\
kind: connection
name: here
type: files
root: .
---
kind: connection
name: base
type: sqlite
path: base.db
---
kind: flow
name: cast
steps:
  - read: { name: rows, connection: here, item: pay.csv }
  - map: { name: typed, from: rows, columns: { id: id, pay: "cast(pay as integer)" } }
  - write: { name: out, from: typed, connection: here, item: out.csv }
---
kind: flow
name: keys
steps:
  - read: { name: rows, connection: here, item: twice.csv }
  - write: { name: out, from: rows, connection: base, item: pays, mode: { type: merge, keys: [pay] } }
---
kind: flow
name: shape
steps:
  - read:
      name: rows
      connection: here
      item: pay.csv
      format: { type: csv, columns: { id: int64, pay: int64 } }
      on_reject: skip
      max_rejects: 0
  - write: { name: out, from: rows, connection: here, item: out.csv }
---
kind: flow
name: skip
steps:
  - read:
      name: rows
      connection: here
      item: pay.csv
      format: { type: csv, columns: { id: int64, pay: int64 } }
      on_reject: skip
  - write: { name: out, from: rows, connection: here, item: out.csv }
"""


@pytest.mark.security
@pytest.mark.req("SEC-Z07")
@pytest.mark.parametrize("flow", ["cast", "keys", "shape", "skip"])
def test_values_of_rows_are_told_only_to_those_who_may_read_rows(engine, flow):
    engine.call("definition.apply", {"source": VALUES}, engine.token(Role.EDITOR))
    folder = engine.settings.data / engine.tenants["north"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pay.csv").write_text(f"id,pay\n1,{CANARY}\n")
    (folder / "twice.csv").write_text(f"id,pay\n1,{CANARY}\n2,{CANARY}\n")
    operator, viewer = engine.token(Role.OPERATOR), engine.token(Role.VIEWER)
    run = engine.call("run.start", {"name": flow}, operator).id
    whole = finish(engine, run, operator)
    asks = [("run.get", {"id": run}), ("run.list", {}), ("run.events", {"id": run})]
    for who in (viewer, engine.token(Role.SUPERADMIN)):
        for name, ask in asks:
            assert CANARY not in engine.call(name, ask, who).model_dump_json()
    seen, events = engine.call("run.get", {"id": run}, viewer), engine.call("run.events", {"id": run}, viewer).items
    assert (seen.state, seen.counts) == (whole.state, whole.counts)
    if flow == "skip":
        assert seen.state == "finished_with_rejects"
        (reject,) = [each.body for each in events if each.kind == "reject"]
        assert (reject["step"], reject["line"], reject["column"]) == ("rows", 2, "pay")
        told = [each.body for each in engine.call("run.events", {"id": run}, operator).items if each.kind == "reject"]
        assert CANARY in told[0]["reason"]
        return
    assert CANARY in whole.error["title"], "who may read rows is told, so that the row can be mended"
    assert {name: seen.error[name] for name in ("code", "where")} == {
        name: whole.error[name] for name in ("code", "where")
    }
    assert seen.error["title"] == "A value does not fit."
    told = [
        each.body["message"] for each in engine.call("run.events", {"id": run}, operator).items if each.kind == "log"
    ]
    assert any(CANARY in each for each in told)


@pytest.mark.security
@pytest.mark.req("SEC-Z07")
def test_what_plugins_say_in_the_log_is_for_those_who_may_read_rows(place, operator):
    run = place.a_run("north")
    Recorder(place.scope("north"), Events(), run, place.app.services.quotes)(
        "log", {"level": "info", "message": CANARY, "why": CANARY}
    )
    place.scope("north").runs().event(run, "log", {"level": "warning", "message": "The run goes on after a restart."})
    said, ours = place.call("run.events", {"id": run}, place.token(Role.VIEWER)).items
    assert CANARY not in said.model_dump_json()
    assert ours.body["message"] == "The run goes on after a restart."
    assert CANARY in place.call("run.events", {"id": run}, operator).model_dump_json()
