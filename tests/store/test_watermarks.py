"""Up to where flows have read: what a run has seen counts when it lands, people can set it, and go back."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Missing
from sluicegate.store.runs import State
from sluicegate.store.watermarks import VERSIONS_MAX
from tests.store.rows import a_run

SEEN = {"column": "at", "type": "int64"}


@pytest.fixture
def marks(ours):
    return ours.watermarks()


def start(scope, **plan):
    run = scope.runs().add(a_run(plan=plan or None)).id
    scope.runs().advance(run, State.RUNNING)
    return run


def read(scope, run, value, *, alone=False):
    """Carry out a run that sees ``value``; return where it began."""
    began = scope.watermarks().begin(run, "f", {"s": "at"}, alone=alone)["s"]
    scope.watermarks().see(run, "s", **SEEN, value=value)
    return began["value"]


def land(scope, run):
    scope.watermarks().land(run, "s")
    scope.runs().advance(run, State.SUCCEEDED)


def held(marks):
    return marks.current("f")["s"].value


def test_what_a_run_has_seen_counts_when_it_has_landed(ours, marks):
    first = start(ours)
    assert read(ours, first, "7") is None
    assert marks.current("f") == {}, "nothing has landed yet"
    land(ours, first)
    assert (held(marks), marks.current("f")["s"].run, marks.current("f")["s"].type) == ("7", first, "int64")
    failed = start(ours)
    assert read(ours, failed, "9") == "7"
    ours.runs().advance(failed, State.FAILED)
    assert read(ours, start(ours), None) == "7"


def test_a_run_that_goes_on_begins_where_it_began(ours, marks):
    run = start(ours)
    read(ours, run, "7")
    marks.put("f", "s", "at", "100")
    again = marks.begin(run, "f", {"s": "at"}, alone=False)["s"]
    assert (again["value"], again["seen"]) == (None, {**SEEN, "value": "7"})


def test_a_run_without_rows_and_one_that_saw_the_same_make_no_version(ours, marks):
    for value in ("7", None, "7"):
        run = start(ours)
        read(ours, run, value)
        land(ours, run)
    assert [each.value for each in marks.versions("f", "s")] == ["7"]


@pytest.mark.parametrize("order", [("9", "12"), ("12", "9")])
def test_of_two_runs_at_once_the_higher_value_holds(ours, marks, order):
    marks.put("f", "s", "at", "7")
    runs = [start(ours), start(ours)]
    for run, value in zip(runs, order, strict=True):
        assert read(ours, run, value) == "7"
    for run in runs:
        land(ours, run)
    assert held(marks) == "12"


def test_what_a_person_says_meanwhile_stays(ours, marks):
    for value in ("3", None):
        run = start(ours)
        read(ours, run, "9")
        marks.put("f", "s", "at", value)
        land(ours, run)
        assert held(marks) == value


def test_rows_that_are_only_added_are_read_by_one_run_at_a_time(ours):
    first = start(ours)
    read(ours, first, "9", alone=True)
    read(ours, first, "9", alone=True)  # it goes on after a crash
    second = start(ours)
    with pytest.raises(Conflict, match="at work"):
        read(ours, second, "9", alone=True)
    land(ours, first)
    assert read(ours, second, "9", alone=True) == "9"


def test_a_full_run_begins_at_nothing_and_sets_anew(ours, marks):
    marks.put("f", "s", "at", "50")
    for value in ("9", None):
        run = start(ours, full=True)
        assert read(ours, run, value) is None
        land(ours, run)
        assert held(marks) == value


def test_undo_goes_back_version_by_version_and_never_on(ours, marks):
    for value in ("1", "2", "3"):
        marks.put("f", "s", "at", value)
    marks.undo("f", "s")
    assert held(marks) == "2"
    marks.put("f", "s", "at", "5")
    seen = []
    for _ in range(2):
        marks.undo("f", "s")
        seen.append(held(marks))
    assert seen == ["2", "1"]
    with pytest.raises(Conflict, match="no version before"):
        marks.undo("f", "s")
    with pytest.raises(Missing):
        marks.undo("f", "other")


def test_versions_are_kept_in_bounds(ours, marks):
    for value in range(VERSIONS_MAX + 3):
        marks.put("f", "s", "at", str(value))
    kept = marks.versions("f", "s")
    assert len(kept) == VERSIONS_MAX
    assert (kept[0].value, kept[0].version) == (str(VERSIONS_MAX + 2), VERSIONS_MAX + 3)


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_another_tenants_run_and_state_are_not_reached(ours, theirs):
    run = start(ours)
    read(ours, run, "7")
    land(ours, run)
    assert theirs.watermarks().current("f") == {}
    for call in (
        lambda: theirs.watermarks().begin(run, "f", {"s": "at"}, alone=False),
        lambda: theirs.watermarks().see(run, "s", **SEEN, value="99"),
        lambda: theirs.watermarks().land(run, "s"),
    ):
        with pytest.raises(Missing):
            call()
    assert theirs.watermarks().put("f", "s", "at", "1") == 1
    assert held(ours.watermarks()) == "7"
