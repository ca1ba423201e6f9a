from __future__ import annotations

import json
import os
import time

import pytest

from sluicegate.base.errors import Denied, Missing, SluiceError
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.crypto import seal
from sluicegate.engine.quarantine import WHAT, Quarantine, sweep_drafts
from sluicegate.guard import keeping

DAYS = 30


@pytest.fixture
def quarantine(fresh):
    return Quarantine(fresh.home / "quarantine", fresh.app.services.vault, fresh.app.services.audit)


def keep(quarantine, scope, run, count=3):
    file = quarantine.folder(scope) / f"{run}.ndjson.age"
    with file.open("wb") as out, seal.seal_to([quarantine.recipient(scope, run)], out) as sealed:
        for line in range(count):
            sealed.write(json.dumps({"line": line, "raw": "canary"}).encode() + b"\n")
    return file


def test_rows_come_back_up_to_the_limit_with_their_number(fresh, quarantine):
    scope, run = fresh.scope("north"), new_id()
    keep(quarantine, scope, run)
    assert quarantine.read(scope, run, 2) == {"items": [{"line": n, "raw": "canary"} for n in range(2)], "total": 3}
    assert quarantine.read(scope, new_id(), 2) == {"items": [], "total": 0}


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_a_tenant_s_key_is_made_once_and_opens_no_other_tenant_s_rows(fresh, quarantine):
    north, south, run = fresh.scope("north"), fresh.scope("south"), new_id()
    assert quarantine.recipient(north, run) == quarantine.recipient(north, run) != quarantine.recipient(south, run)
    file = keep(quarantine, north, run)
    assert b"canary" not in file.read_bytes()
    assert quarantine.read(south, run, 5) == {"items": [], "total": 0}
    (quarantine.folder(south) / file.name).write_bytes(file.read_bytes())
    with pytest.raises(SluiceError):
        quarantine.read(south, run, 5)


@pytest.mark.security
def test_each_look_is_on_record(fresh, quarantine):
    scope, run = fresh.scope("north"), new_id()
    keep(quarantine, scope, run)
    seen = fresh.head()
    quarantine.read(scope, run, 1)
    (record,) = fresh.records(after=seen)
    assert (record["action"], record["about"]["purpose"]) == ("secret.use", f"rejects of {run}")


@pytest.mark.security
def test_the_key_is_kept_from_users(fresh, quarantine):
    run = new_id()
    quarantine.recipient(fresh.scope("north"), run)
    with pytest.raises((Denied, Missing, SluiceError)):
        fresh.call("secret.delete", {"name": keeping.key_of(WHAT, run)}, fresh.token(Role.EDITOR))
    assert quarantine.recipient(fresh.scope("north"), run)


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_the_sweep_takes_rows_past_their_days_and_drafts_and_nothing_else(fresh, quarantine):
    scope, now = fresh.scope("north"), time.time()
    old, new, ahead = (keep(quarantine, scope, new_id()) for _ in range(3))
    os.utime(old, (now - 31 * keeping.DAY,) * 2)
    os.utime(ahead, (now + 900 * keeping.DAY,) * 2)  # written while the clock was wrong
    draft = quarantine.folder(scope) / f".sluice-{'0' * 32}.tmp"
    draft.touch()
    other = quarantine.folder(scope) / "note.txt"
    other.touch()
    quarantine.sweep(scope.tenant, DAYS, now)
    assert [each.exists() for each in (old, new, ahead, draft, other)] == [False, True, True, False, True]
    quarantine.sweep(scope.tenant, DAYS, now + 31 * keeping.DAY)
    assert [each.exists() for each in (new, ahead)] == [False, False], "it was kept no longer than the rest"


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_the_key_of_a_week_past_its_days_is_destroyed_and_a_copy_opens_no_more(fresh, quarantine):
    scope, run, now = fresh.scope("north"), new_id(), time.time()
    file = keep(quarantine, scope, run)
    copy = file.read_bytes()
    later = now + (DAYS + 15) * keeping.DAY
    quarantine.destroy(scope, DAYS, later)
    assert quarantine.read(scope, run, 1)["total"] == 3, "a key is not destroyed while something is under it"
    quarantine.sweep(scope.tenant, DAYS, later)
    quarantine.destroy(scope, DAYS, now)
    scope.secrets().get(keeping.key_of(WHAT, run))
    seen = fresh.head()
    quarantine.destroy(scope, DAYS, later)
    (record,) = fresh.records(after=seen)
    assert (record["action"], record["about"]) == ("rows.expire", {"what": WHAT, "week": keeping.week(run)})
    file.write_bytes(copy)
    with pytest.raises(Missing):
        quarantine.read(scope, run, 1)


def test_nothing_to_sweep_is_fine(tmp_path, quarantine):
    sweep_drafts(tmp_path / "not-there")
    quarantine.sweep("nobody", DAYS, time.time())
    assert quarantine.tenants == ()


@pytest.mark.security
def test_the_folder_is_for_its_owner(fresh, quarantine):
    assert quarantine.folder(fresh.scope("north")).stat().st_mode & 0o077 == 0


def test_all_rows_come_line_by_line_and_none_where_there_are_none(fresh, quarantine):
    scope, run = fresh.scope("north"), new_id()
    keep(quarantine, scope, run, 5000)
    assert [json.loads(line)["line"] for line in quarantine.lines(scope, run)] == list(range(5000))
    assert list(quarantine.lines(scope, new_id())) == []
