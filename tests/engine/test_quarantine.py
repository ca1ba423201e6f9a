from __future__ import annotations

import json
import os
import time

import pytest

from sluicegate.base.errors import Denied, Missing, SluiceError
from sluicegate.crypto import seal
from sluicegate.engine.quarantine import KEY, Quarantine, sweep_drafts


@pytest.fixture
def quarantine(fresh):
    return Quarantine(fresh.home / "quarantine", lambda _tenant: 30, fresh.app.services.vault)


def keep(quarantine, scope, run, count=3):
    file = quarantine.folder(scope) / f"{run}.ndjson.age"
    with file.open("wb") as out, seal.seal_to([quarantine.recipient(scope)], out) as sealed:
        for line in range(count):
            sealed.write(json.dumps({"line": line, "raw": "canary"}).encode() + b"\n")
    return file


def test_rows_come_back_up_to_the_limit_with_their_number(fresh, quarantine):
    scope = fresh.scope("north")
    keep(quarantine, scope, "run-1")
    assert quarantine.read(scope, "run-1", 2) == {"items": [{"line": n, "raw": "canary"} for n in range(2)], "total": 3}
    assert quarantine.read(scope, "run-2", 2) == {"items": [], "total": 0}


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_a_tenant_s_key_is_made_once_and_opens_no_other_tenant_s_rows(fresh, quarantine):
    north, south = fresh.scope("north"), fresh.scope("south")
    assert quarantine.recipient(north) == quarantine.recipient(north) != quarantine.recipient(south)
    file = keep(quarantine, north, "run-1")
    assert b"canary" not in file.read_bytes()
    assert quarantine.read(south, "run-1", 5) == {"items": [], "total": 0}
    (quarantine.folder(south) / file.name).write_bytes(file.read_bytes())
    with pytest.raises(SluiceError):
        quarantine.read(south, "run-1", 5)


@pytest.mark.security
def test_each_look_is_on_record(fresh, quarantine):
    scope = fresh.scope("north")
    keep(quarantine, scope, "run-1")
    seen = fresh.head()
    quarantine.read(scope, "run-1", 1)
    (record,) = fresh.records(after=seen)
    assert (record["action"], record["about"]["purpose"]) == ("secret.use", "rejects of run-1")


@pytest.mark.security
def test_the_key_is_kept_from_users(fresh, quarantine):
    quarantine.recipient(fresh.scope("north"))
    from sluicegate.base.principal import Role

    with pytest.raises((Denied, Missing, SluiceError)):
        fresh.call("secret.delete", {"name": KEY}, fresh.token(Role.EDITOR))
    assert quarantine.recipient(fresh.scope("north"))


@pytest.mark.security
def test_the_sweep_takes_rows_past_their_days_and_drafts_and_nothing_else(fresh, quarantine):
    scope = fresh.scope("north")
    old, new = (keep(quarantine, scope, name) for name in ("old", "new"))
    os.utime(old, (time.time() - 31 * 86400,) * 2)
    draft = quarantine.folder(scope) / f".sluice-{'0' * 32}.tmp"
    draft.touch()
    other = quarantine.folder(scope) / "note.txt"
    other.touch()
    quarantine.sweep()
    assert [each.exists() for each in (old, new, draft, other)] == [False, True, False, True]


def test_nothing_to_sweep_is_fine(tmp_path):
    sweep_drafts(tmp_path / "not-there")


@pytest.mark.security
def test_the_folder_is_for_its_owner(fresh, quarantine):
    assert quarantine.folder(fresh.scope("north")).stat().st_mode & 0o077 == 0


def test_all_rows_come_line_by_line_and_none_where_there_are_none(fresh, quarantine):
    scope = fresh.scope("north")
    keep(quarantine, scope, "run-1", 5000)
    assert [json.loads(line)["line"] for line in quarantine.lines(scope, "run-1")] == list(range(5000))
    assert list(quarantine.lines(scope, "run-2")) == []
    assert fresh.records()[-1]["about"] == {"name": KEY, "purpose": "rejects of run-1"}
