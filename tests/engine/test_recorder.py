from __future__ import annotations

import pytest

from sluicegate.base.errors import Missing
from sluicegate.engine.events import Events
from sluicegate.engine.recorder import Recorder
from tests.fixtures.flow import add_run, put_flow


@pytest.fixture
def run(fresh):
    scope, _ = put_flow(fresh)
    return scope, add_run(fresh, scope), fresh.app.services.quotes


class Ended:
    def __init__(self):
        self.times = 0

    def cancel(self):
        self.times += 1


def test_events_are_kept_in_their_order(run):
    scope, id_, quotes = run
    record = Recorder(scope, Events(), id_, quotes)
    record("progress", {"rate": 1})
    record.write("log", {"message": "m"})
    assert [(each.kind, each.body) for each in scope.runs().events(id_)] == [
        ("progress", {"rate": 1}),
        ("log", {"message": "m"}),
    ]


def test_the_first_schema_of_a_step_is_the_flow_s_snapshot(run):
    scope, id_, quotes = run
    record = Recorder(scope, Events(), id_, quotes)
    record("schema", {"step": "a", "columns": {"id": "int64"}})
    record("schema", {"step": "a", "columns": {"id": "text"}})
    assert scope.runs().snapshot("f") == {"a": {"id": "int64"}}


def test_a_cancel_that_another_node_took_ends_the_task(run, monkeypatch):
    monkeypatch.setattr("sluicegate.engine.recorder._CANCEL_LOOK", 0)
    scope, id_, quotes = run
    record = Recorder(scope, Events(), id_, quotes)
    task = record.task = Ended()
    record("progress", {})
    assert task.times == 0
    scope.runs().request_cancel(id_)
    record("progress", {})
    assert task.times == 1


@pytest.mark.security
def test_a_record_of_another_tenant_s_run_is_not_written(fresh, run):
    _, id_, _ = run
    with pytest.raises(Missing):
        Recorder(fresh.scope("south"), Events(), id_, fresh.app.services.quotes).write("log", {"message": "canary"})
    assert run[0].runs().events(id_) == []
