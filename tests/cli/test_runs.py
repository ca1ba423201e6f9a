from __future__ import annotations

import json
import time

import pytest

from sluicegate.base.model import new_id
from sluicegate.cli import runs

pytestmark = pytest.mark.slow


def test_a_green_run_exits_with_zero(place, call):
    told = call("run", "copy", "-p", "most=3", "--wait", "--json", home=place.editor)
    assert (told.code, told.json["state"]) == (0, "succeeded")
    assert told.json["counts"]["written"] == 2
    assert (place.data / "out-3.parquet").exists()
    shown = call("run", "copy", "--wait", home=place.editor)
    assert shown.out.splitlines()[0].startswith("run ")
    assert shown.out.splitlines()[-1].startswith("succeeded: 3 read, 3 written, 0 rejected")
    assert "landed  write-3: 3 rows" in shown.err


def test_a_failed_run_exits_with_one_and_says_where(place, call):
    told = call("run", "strict", "--wait", home=place.editor)
    assert told.code == 1
    assert "sluice: step valid" in told.err
    assert not (place.data / "strict.parquet").exists()
    assert call("run", "strict", "--wait", "--json", home=place.editor).json["error"]["code"] == "data"


def test_rejects_exit_with_three_and_can_be_read(place, call):
    told = call("run", "lenient", "--wait", "--json", home=place.editor)
    assert (told.code, told.json["state"]) == (3, "finished_with_rejects")
    found = call("rejects", told.json["id"], "--json", home=place.editor).json
    assert found["total"] == 1
    assert found["items"][0]["reason"] == "price must be between 0 and 2"
    assert "price must be" in call("rejects", told.json["id"], home=place.editor).out


def test_a_cancelled_run_exits_with_130(place, call):
    (place.data / "long.csv").write_text("id,price\n" + "".join(f"{n},{n}\n" for n in range(3_000_000)))
    run = call("run", "long", "--json", home=place.editor).json["id"]
    time.sleep(0.7)
    assert call("cancel", run, "--json", home=place.editor).json["id"] == run
    told = call("logs", run, "--follow", home=place.editor)
    assert told.code == 130
    assert told.out.startswith("cancelled:")
    assert not (place.data / "long.parquet").exists()


def test_runs_and_logs_are_listed(place, call):
    run = call("run", "copy", "--wait", "--json", home=place.editor).json["id"]
    told = call("runs", "--flow", "copy", "--limit", 1, "--json", home=place.editor)
    assert [each["id"] for each in told.json["items"]] == [run]
    assert call("runs", home=place.editor).out.startswith("ID ")
    events = call("logs", run, "--json", home=place.editor).json["items"]
    assert [each["seq"] for each in events] == sorted(each["seq"] for each in events)
    assert [each["body"]["state"] for each in events if each["kind"] == "state"] == ["queued", "running", "succeeded"]
    told = call("logs", run, home=place.editor)
    assert (told.code, told.err.splitlines()[-1]) == (0, "state   succeeded")


def test_wrong_use_is_two_and_unknown_things_are_one(place, call):
    assert call("run", home=place.editor).code == 2
    assert call("run", "copy", "--secret", "a=b", home=place.editor).code == 2
    assert call("run", "copy", "-p", "most", home=place.editor).code == 2
    assert call("run", "copy", "-p", "most=x", home=place.editor).code == 2
    assert call("run", "nowhere", home=place.editor).code == 1
    assert call("logs", "0" * 26, home=place.editor).code in (1, 2)


@pytest.mark.parametrize(
    ("state", "code"),
    [("succeeded", 0), ("finished_with_rejects", 3), ("failed", 1), ("cancelled", 130), ("never heard of", 1)],
)
def test_each_end_has_its_exit_code(state, code, capsys):
    error = {"title": "no\x1b[2J", "where": "here", "hint": "Mend it."}
    found = {"state": state, "counts": {"read": 1000, "seconds": 1.5}, "error": error}
    assert runs.ended(found, as_json=False) == code
    told = capsys.readouterr()
    assert told.out == f"{state}: 1,000 read, 0 written, 0 rejected, 1.50 s\n"
    assert told.err == "sluice: here: no�[2J\n        Mend it.\n"


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_logs_and_rejects_go_into_a_new_file_whole_or_not_at_all(place, call, tmp_path):
    run = call("run", "lenient", "--wait", "--json", home=place.editor).json["id"]
    log, rows = tmp_path / "log.ndjson", tmp_path / "rows.ndjson"
    told = call("logs", run, "--output", log, "--json", home=place.editor)
    assert told.json == {"file": str(log), "bytes": log.stat().st_size}
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert events == call("logs", run, "--json", home=place.editor).json["items"]
    call("rejects", run, "--output", rows, "--json", home=place.editor)
    assert json.loads(rows.read_text())["reason"] == "price must be between 0 and 2"
    before = log.read_bytes()
    again = call("logs", run, "--output", log, home=place.editor)
    assert (again.code, "already" in again.err, log.read_bytes()) == (1, True, before)
    assert call("logs", run, "--output", tmp_path / "no" / "such", home=place.editor).code == 2
    none = call("logs", new_id(), "--output", tmp_path / "none", home=place.editor)
    assert none.code == 1
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["log.ndjson", "rows.ndjson"]
