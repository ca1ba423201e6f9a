from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from sluicegate.base.model import made_at, new_id
from sluicegate.base.secret import Secret
from sluicegate.guard import keeping
from sluicegate.guard.keeping import DAY, Calendar


def a_run(year, month, day):
    at = int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)
    return f"{at >> 16:08x}-{at & 0xFFFF:04x}-7000-8000-000000000000"


def test_a_run_belongs_to_the_week_in_which_it_was_made():
    assert keeping.week(a_run(2026, 1, 1)) == "2026-w01"
    assert keeping.week(a_run(2027, 1, 1)) == "2026-w53", "the year of the week, not of the day"
    assert abs(made_at(new_id()) - time.time()) < 5
    assert keeping.key_of("rows", a_run(2026, 1, 1)) == "sluicegate-rows-2026-w01"
    with pytest.raises(ValueError, match="badly formed"):
        keeping.week("run-1")


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_keys_of_weeks_that_are_over_are_destroyed_on_record_and_no_others(fresh):
    scope, vault = fresh.scope("north"), fresh.app.services.vault
    names = ["sluicegate-rows-2026-w01", "sluicegate-rows-2026-w03", "sluicegate-other-2026-w01", "rows-2026-w01",
             "sluicegate-rows-2026-w01x", "sluicegate-rows-2026-w02"]  # fmt: skip
    for name in names:
        vault.put(scope, name, Secret("canary"))
    seen = fresh.head()
    before = datetime(2026, 1, 15, tzinfo=UTC).timestamp()  # within the third week
    assert keeping.destroy(scope, "rows", before, fresh.app.services.audit, {"2026-w02"}) == ("2026-w01",)
    assert {each.name for each in scope.secrets().list()} == set(names[1:])
    (record,) = fresh.records(after=seen)
    assert (record["action"], record["about"]) == ("rows.expire", {"what": "rows", "week": "2026-w01"})
    assert keeping.destroy(scope, "rows", before, fresh.app.services.audit) == ("2026-w02",)


@pytest.mark.security
@pytest.mark.req("SEC-B02")
@pytest.mark.parametrize(
    ("walls", "ticks", "told"),
    [
        ([0, 3600, 7200], [0, 3600, 7200], [0, 3600, 7200]),
        ([0, 900 * DAY, 900 * DAY + 3600], [0, 3600, 7200], [0, None, 900 * DAY + 3600]),  # set forward: a look later
        ([900 * DAY, 3600, 7200], [0, 3600, 7200], [900 * DAY, 3600, 7200]),  # set back: less is past its days
        ([0, 30 * DAY], [0, 30 * DAY], [0, 30 * DAY]),  # the machine slept a month
        ([0, 5000], [0, 3600], [0, 5000]),  # a clock that is set right by minutes is one
    ],
)
def test_nothing_is_deleted_by_a_clock_that_has_just_jumped_ahead(walls, ticks, told):
    wall, tick = iter(walls), iter(ticks)
    calendar = Calendar(Kept(), lambda: float(next(wall)), lambda: float(next(tick)))
    assert [calendar.now() for _ in walls] == told


@pytest.mark.security
@pytest.mark.req("SEC-B02")
@pytest.mark.parametrize(
    ("walls", "told"),
    [
        ([0, DAY, 2 * DAY], [0, DAY, 2 * DAY]),  # it was down for a day: what was due then goes at the start
        ([0, 900 * DAY], [0, None]),  # it has started with a wrong clock, or was down for long
        ([0, 900 * DAY, 900 * DAY + 60, 900 * DAY + 3600], [0, None, None, 900 * DAY + 3600]),
        ([0, 900 * DAY, 3600, 900 * DAY], [0, None, 3600, None]),  # it was wrong, and is again
        ([900 * DAY, 3600, 3 * DAY], [900 * DAY, 3600, None]),  # what was believed by mistake is no measure for long
        ([0, 900 * DAY, 800 * DAY, 800 * DAY + 3600], [0, None, None, 800 * DAY + 3600]),
    ],
)
def test_nothing_is_deleted_at_a_start_whose_clock_may_be_wrong(fresh, walls, told):
    blobs = fresh.app.services.system.blobs()
    assert [Calendar(blobs, lambda wall=wall: float(wall)).now() for wall in walls] == told


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_a_jump_is_doubted_though_the_server_starts_anew():
    kept, wall, ticks = Kept(), iter([0.0, 900 * DAY]), iter([0.0, 3600.0])
    running = Calendar(kept, lambda: next(wall), lambda: next(ticks))
    assert [running.now(), running.now()] == [0, None]
    assert Calendar(kept, lambda: 900 * DAY + 60).now() is None


def test_the_calendar_tells_the_time():
    assert abs(Calendar(Kept()).now() - time.time()) < 5


class Kept(dict):
    """Blobs in memory."""

    put = dict.__setitem__
