"""Up to where a flow has read: shown to who may see rows, set and taken back by who may run it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing
from sluicegate.base.principal import Role
from tests.fixtures.flow import wait_run

FLOW = """\
kind: connection
name: base
type: sqlite
path: base.db
---
kind: connection
name: house
type: sqlite
path: house.db
---
kind: flow
name: news
steps:
  - read: { name: a, connection: base, item: t, since: { column: at, start: 2024-01-01 } }
  - write: { from: a, connection: house, item: u, mode: { type: merge, keys: [id] } }
"""


@pytest.fixture
def ready(engine):
    engine.call("definition.apply", {"source": FLOW}, engine.token(Role.EDITOR))
    folder = engine.settings.data / engine.tenants["north"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.db").unlink(missing_ok=True)
    with closing(sqlite3.connect(folder / "base.db")) as link, link:
        link.execute("create table t (id integer primary key, at timestamp)")
        rows = [(1, "2023-12-31 23:59:59"), (2, "2024-01-01"), (3, "2024-01-31T12:00:00.5")]
        link.executemany("insert into t values (?, ?)", rows)
    return engine


def ask(place, verb, role=Role.OPERATOR, **more):
    return place.call(f"state.{verb}", {"name": "news", **more}, place.token(role))


def run(place, **more):
    started = place.call("run.start", {"name": "news", **more}, place.token(Role.OPERATOR))
    found = wait_run(place.scope("north"), started.id)
    assert found.state == "succeeded"
    return found


@pytest.mark.slow
def test_a_state_is_seen_set_taken_back_and_begun_anew(ready):
    assert run(ready).counts["read"] == 2
    (held,) = ask(ready, "list").items
    assert (held.step, held.column, held.value) == ("a", "at", "2024-01-31T12:00:00.500000")
    assert run(ready).counts["read"] == 0
    ask(ready, "set", step="a", above="2024-01-01")
    explained = ready.call("flow.explain", {"name": "news"}, ready.token(Role.OPERATOR))
    assert explained.steps[0].since.model_dump() == {
        "column": "at", "value": "2024-01-01T00:00:00", "inclusive": False, "filtered_by": "source",
    }  # fmt: skip
    ask(ready, "undo", step="a")
    assert ask(ready, "list").items[0].value == held.value
    assert run(ready, full=True).counts["read"] == 2
    assert ask(ready, "list").items[0].value == held.value
    ask(ready, "reset", step="a")
    assert ask(ready, "list").items[0].value is None
    assert run(ready).counts["read"] == 2
    by = [each.run is None for each in ask(ready, "list", step="a").items]
    assert by == [False, True, True, True, False]


@pytest.mark.security
def test_who_may_run_a_flow_sets_its_state_and_a_value_is_for_who_may_see_rows(place):
    place.call("definition.apply", {"source": FLOW}, place.token(Role.EDITOR))
    ask(place, "set", Role.SUPERADMIN, step="a", above="987654")
    for role, verb in ((Role.VIEWER, "list"), (Role.SUPERADMIN, "list"), (Role.VIEWER, "set"), (Role.VIEWER, "undo")):
        with pytest.raises(Denied):
            ask(
                place,
                verb,
                role,
                **({} if verb == "list" else {"step": "a", "above": "7"} if verb == "set" else {"step": "a"}),
            )
    told = place.call("audit.list", {"limit": 50}, place.token(Role.ADMINISTRATOR)).model_dump_json()
    assert "state.set" in told
    assert "987654" not in told, "a record of the audit trail holds names, and no value of a row"


@pytest.mark.security
def test_what_cannot_be_a_state_is_refused(place):
    place.call("definition.apply", {"source": FLOW}, place.token(Role.EDITOR))
    for value in ("soon", "1; drop table t", "2024-13", "9" * 129, ""):
        with pytest.raises(Invalid):
            ask(place, "set", step="a", above=value)
    for verb in ("set", "reset", "undo"):
        with pytest.raises(Missing, match="no step b"):
            ask(place, verb, step="b", **({"above": "1"} if verb == "set" else {}))
    ask(place, "reset", step="a")
    for _ in range(3):
        try:
            ask(place, "undo", step="a")
        except Conflict:
            break
    with pytest.raises(Conflict):
        ask(place, "undo", step="a")
