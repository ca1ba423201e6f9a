"""A run runs with the rights that its person has when it runs, and its end is on record."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing

import pytest

from sluicegate.base.principal import Role
from sluicegate.base.settings import Limits
from tests.fixtures.server import Place

SOURCE = """\
kind: connection
name: here
type: files
---
kind: connection
name: target
type: sqlite
path: t.db
---
kind: flow
name: copy
steps:
- read: { name: a, connection: here, item: in.csv }
- write: { from: a, connection: here, item: out.csv }
---
kind: flow
name: load
steps:
- read: { name: a, connection: here, item: in.csv }
- write: { from: a, connection: target, item: t }
"""


@pytest.fixture
def narrow(tmp_path):
    """Give an installation that carries out one run at a time."""
    made = Place(tmp_path / "home", limits=Limits(runs=1, public="100000/minute")).settle()
    made.app.worker.open()
    for thread in threading.enumerate():
        if thread.name == "jail-probe":
            thread.join(20)
    folder = made.home / "data" / made.tenants["north"]
    folder.mkdir(parents=True)
    (folder / "in.csv").write_text("a\n1\n")
    made.call("definition.apply", {"source": SOURCE}, made.token(Role.EDITOR))
    yield made
    made.app.worker.close()
    made.close()


def ended(place, run, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = place.scope("north").runs().get(run)
        if found.finished:
            return found
        time.sleep(0.05)
    raise AssertionError(found.state)


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@pytest.mark.parametrize("change", ["deactivated", "role", None])
def test_a_run_that_waited_while_its_person_lost_the_right_does_not_run(narrow, change):
    place = narrow
    folder = place.home / "data" / place.tenants["north"]
    who = place.people["north", Role.OPERATOR]
    with closing(sqlite3.connect(folder / "t.db", isolation_level=None)) as held:
        held.execute("begin immediate")  # the first run waits for this, the second for the first
        first = place.call("run.start", {"name": "load"}, place.token(Role.EDITOR)).id
        second = place.call("run.start", {"name": "copy"}, place.token(Role.OPERATOR)).id
        if change == "deactivated":
            place.call("user.deactivate", {"id": who.id}, place.token(Role.ADMINISTRATOR))
        elif change == "role":
            place.scope("north").people().set_role(who.id, Role.VIEWER)
        assert place.scope("north").runs().get(second).state == "queued"
        held.execute("commit")
    assert ended(place, first).state == "succeeded"
    found = ended(place, second)
    if change is None:
        assert found.state == "succeeded"
        assert (folder / "out.csv").exists()
        return
    assert (found.state, found.error["code"]) == ("failed", "denied")
    assert not (folder / "out.csv").exists()


OWN = "kind: flow\nname: own\nsteps:\n- read: { name: a, connection: here, item: in.csv }\n"
ELSEWHERE = "kind: connection\nname: here\ntype: files\nroot: .\ndescription: led elsewhere\n"


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@pytest.mark.parametrize("wrote", ["nothing", "flow", "connection"])
def test_a_superadmin_runs_what_the_tenant_wrote_and_nothing_of_their_own(narrow, wrote):
    """Else whoever may write and run, and may read no rows, would have them sent to themselves."""
    place, root = narrow, narrow.token(Role.SUPERADMIN)
    if wrote == "flow":
        place.call("definition.apply", {"source": OWN}, root)
    elif wrote == "connection":
        place.call("definition.apply", {"source": ELSEWHERE}, root)
    run = place.call("run.start", {"name": "own" if wrote == "flow" else "copy"}, root).id
    found = ended(place, run)
    if wrote == "nothing":
        assert found.state == "succeeded"
        return
    assert (found.state, found.error["code"]) == ("failed", "denied")
    assert not (place.home / "data" / place.tenants["north"] / "out.csv").exists()
    if wrote == "connection":  # somebody of the tenant runs it as ever
        run = place.call("run.start", {"name": "copy"}, place.token(Role.OPERATOR)).id
        assert ended(place, run).state == "succeeded"


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-Z08")
def test_a_run_of_a_tenant_that_is_suspended_ends_before_its_next_segment(narrow):
    place, folder = narrow, narrow.home / "data" / narrow.tenants["north"]
    with closing(sqlite3.connect(folder / "t.db", isolation_level=None)) as held:
        held.execute("begin immediate")
        first = place.call("run.start", {"name": "load"}, place.token(Role.EDITOR)).id
        second = place.call("run.start", {"name": "copy"}, place.token(Role.OPERATOR)).id
        root = place.token(Role.SUPERADMIN, None)
        place.call("tenant.suspend", {"id": place.tenants["north"]}, root)
        held.execute("commit")
    ended(place, first)
    found = ended(place, second)
    assert (found.state, found.error["code"]) == ("failed", "denied")
    assert not (folder / "out.csv").exists()


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_how_a_run_ended_is_on_record(narrow):
    place = narrow
    folder = place.home / "data" / place.tenants["north"]
    who = place.people["north", Role.OPERATOR].id
    before = place.head()
    good = place.call("run.start", {"name": "copy"}, place.token(Role.OPERATOR)).id
    ended(place, good)
    (folder / "in.csv").unlink()
    bad = place.call("run.start", {"name": "copy"}, place.token(Role.OPERATOR)).id
    ended(place, bad)
    found = [each for each in place.records(after=before) if each["action"] == "run.finish"]
    assert [(each["about"]["run"], each["result"], each["who"]) for each in found] == [
        (good, "succeeded", who),
        (bad, "failed", who),
    ]
