"""One segment with real connections: files and SQLite in a folder, the real jail."""

from __future__ import annotations

import sqlite3

import pyarrow.parquet as pq
import pytest

from sluicegate.base.errors import Cancelled, DataError, Failed, Invalid, SluiceError
from sluicegate.crypto import seal
from sluicegate.engine import stage
from sluicegate.engine.job import Job
from sluicegate.engine.plan import plan

CONNECTIONS = {
    "here": {"kind": "connection", "name": "here", "type": "files", "root": "."},
    "db": {"kind": "connection", "name": "db", "type": "sqlite", "path": "t.db"},
}


@pytest.fixture
def carry(tmp_path):
    def run(*steps: dict, cancelled=lambda: False, told=None, **job):
        body = {"kind": "flow", "name": "f", "params": {"low": {"type": "int64", "default": 0}}, "steps": list(steps)}
        made = Job(
            **{
                "what": "run",
                "run": "run-1",
                "root": tmp_path,
                "flow": body,
                "connections": CONNECTIONS,
                "local": True,
                **job,
            }
        )
        segment = plan(stage.read_flow(made))[0]
        return stage.execute(
            made, segment.name, lambda kind, each: (told if told is not None else []).append((kind, each)), cancelled
        )

    return run


READ = {"read": {"name": "a", "connection": "here", "item": "in.csv"}}


def rows(tmp_path, text="id,v\n1,10\n2,20\n3,30\n"):
    (tmp_path / "in.csv").write_text(text)


def test_two_sinks_take_the_same_rows(carry, tmp_path):
    rows(tmp_path)
    done = carry(
        READ,
        {"map": {"name": "m", "from": "a", "where": "v > :low", "columns": {"id": "id", "w": "v + 1"}}},
        {"write": {"from": "m", "connection": "db", "item": "t", "mode": {"type": "merge", "keys": ["id"]}}},
        {"write": {"from": "m", "connection": "here", "item": "out-{low}.parquet"}},
        params={"low": 15},
    )
    assert pq.read_table(tmp_path / "out-15.parquet").to_pydict() == {"id": [2, 3], "w": [21, 31]}
    with sqlite3.connect(tmp_path / "t.db") as target:
        assert target.execute("SELECT * FROM t ORDER BY id").fetchall() == [(2, 21), (3, 31)]
    target.close()
    assert {name: receipt["rows"] for name, receipt in done["receipts"].items()} == {"write-3": 2, "write-4": 2}


def test_a_segment_done_before_is_not_done_again(carry, tmp_path):
    rows(tmp_path)
    write = {"write": {"from": "a", "connection": "db", "item": "t", "mode": "append"}}
    carry(READ, write)
    again = carry(READ, write)
    assert again["receipts"]["write-2"]["repeated"] is True
    with sqlite3.connect(tmp_path / "t.db") as target:
        assert target.execute("SELECT count(*) FROM t").fetchone() == (3,)
    target.close()


def test_one_sink_that_fails_stops_all(carry, tmp_path):
    rows(tmp_path, "id,v\n1,10\n1,20\n")
    with pytest.raises(DataError) as caught:
        carry(
            READ,
            {"write": {"from": "a", "connection": "here", "item": "out.parquet"}},
            {"write": {"from": "a", "connection": "db", "item": "t", "mode": {"type": "merge", "keys": ["id"]}}},
        )
    assert caught.value.where.startswith("step write-3")
    assert not (tmp_path / "out.parquet").exists()


def test_a_step_used_twice_in_one_query_is_read_once(carry, tmp_path):
    rows(tmp_path)
    done = carry(
        READ,
        {"map": {"name": "l", "from": "a", "columns": {"id": "id", "v": "v"}}},
        {"map": {"name": "r", "from": "a", "columns": {"id": "id", "double": "v * 2"}}},
        {"join": {"name": "j", "left": "l", "right": "r", "on": ["id"]}},
        {"write": {"from": "j", "connection": "here", "item": "out.parquet"}},
    )
    assert done["counts"]["steps"]["a"]["rows"] == 3
    assert sorted(pq.read_table(tmp_path / "out.parquet").column("double").to_pylist()) == [20, 40, 60]


@pytest.mark.parametrize(("policy", "kept"), [("skip", 2), ("quarantine", 2)])
def test_rows_that_fail_a_check_are_left_out_and_told(carry, tmp_path, policy, kept):
    rows(tmp_path)
    told = []
    done = carry(
        READ,
        {"check": {"name": "c", "from": "a", "rules": [{"column": "v", "between": [0, 25]}], "on_fail": policy}},
        {"write": {"from": "c", "connection": "here", "item": "out.parquet"}},
        told=told,
        quarantine_folder=tmp_path / "q",
    )
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == kept
    assert done["counts"]["steps"]["c"]["rejected"] == 1
    assert [body["reason"] for kind, body in told if kind == "reject"] == ["v must be between 0 and 25"]
    assert len(list((tmp_path / "q").glob("*"))) == (policy == "quarantine")


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_quarantine_is_sealed_for_the_tenants_key(carry, tmp_path):
    rows(tmp_path, "id,v\n1,10\n2,987654321\n")
    identity, recipient = seal.new_identity()
    carry(
        READ,
        {"check": {"name": "c", "from": "a", "rules": [{"column": "v", "between": [0, 25]}], "on_fail": "quarantine"}},
        {"write": {"from": "c", "connection": "here", "item": "out.parquet"}},
        quarantine=recipient,
        quarantine_folder=tmp_path / "q",
    )
    file = next((tmp_path / "q").glob("*.age"))
    assert b"987654321" not in file.read_bytes()
    with file.open("rb") as sealed:
        assert b"987654321" in seal.open_sealed(identity, sealed).read()


def test_too_many_rejects_stop_the_run(carry, tmp_path):
    rows(tmp_path)
    with pytest.raises(DataError, match="more than 1 rows"):
        carry(
            READ,
            {
                "check": {
                    "name": "c",
                    "from": "a",
                    "rules": [{"column": "v", "between": [0, 5]}],
                    "on_fail": "skip",
                    "max_rejects": 1,
                }
            },
            {"write": {"from": "c", "connection": "here", "item": "out.parquet"}},
        )
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.security
def test_an_archive_opens_only_for_its_recipient(carry, tmp_path):
    rows(tmp_path)
    identity, recipient = seal.new_identity()
    stranger, _ = seal.new_identity()
    carry(
        READ,
        {"archive": {"from": "a", "connection": "here", "item": "x.parquet.age", "seal": {"to": ["dpo"]}}},
        recipients={"dpo": recipient},
    )
    with (tmp_path / "x.parquet.age").open("rb") as sealed:
        opened = seal.open_sealed(identity, sealed).read()
    (tmp_path / "x.parquet").write_bytes(opened)
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 3
    with (tmp_path / "x.parquet.age").open("rb") as sealed, pytest.raises(SluiceError):
        seal.open_sealed(stranger, sealed).read()


def test_an_unknown_recipient_is_told_before_anything_is_written(carry, tmp_path):
    rows(tmp_path)
    with pytest.raises(Invalid, match="no recipient 'dpo'"):
        carry(READ, {"archive": {"from": "a", "connection": "here", "item": "x.parquet", "seal": {"to": ["dpo"]}}})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.csv"]


def test_cancel_ends_the_run_and_leaves_nothing(carry, tmp_path):
    rows(tmp_path, "id,v\n" + "".join(f"{n},{n}\n" for n in range(200_000)))
    seen = []

    def cancelled() -> bool:
        seen.append(1)
        return len(seen) > 2

    with pytest.raises(Cancelled):
        carry(READ, {"write": {"from": "a", "connection": "here", "item": "out.parquet"}}, cancelled=cancelled)
    assert not (tmp_path / "out.parquet").exists()


def test_files_take_no_merge(carry, tmp_path):
    rows(tmp_path)
    with pytest.raises(Invalid, match="cannot be written with mode 'append'"):
        carry(READ, {"write": {"from": "a", "connection": "here", "item": "out.parquet", "mode": "append"}})


def test_a_name_that_tells_no_format_is_told(carry, tmp_path):
    rows(tmp_path)
    with pytest.raises(Invalid, match="does not tell a format"):
        carry(READ, {"write": {"from": "a", "connection": "here", "item": "out.zap"}})


def test_the_destination_must_confirm_what_was_sent(carry, tmp_path, monkeypatch):
    rows(tmp_path)
    from sluicegate.engine.outlet import Outlet

    true = Outlet.commit
    monkeypatch.setattr(Outlet, "commit", lambda self: true(self).model_copy(update={"rows": 2}))
    with pytest.raises(Failed, match="confirms 2 rows, but 3 were sent"):
        carry(READ, {"write": {"from": "a", "connection": "here", "item": "out.parquet"}})


def test_a_preview_shows_rows_and_writes_nothing(tmp_path):
    rows(tmp_path)
    body = {
        "kind": "flow",
        "name": "f",
        "steps": [
            READ,
            {"map": {"name": "m", "from": "a", "columns": {"big": "cast(v as hugeint) * 1000000000000000000"}}},
        ],
    }
    job = Job("preview", "", tmp_path, flow=body, connections=CONNECTIONS, local=True, ask={"step": "m", "limit": 2})
    found = stage.preview(job, lambda *_: None, lambda: False)
    assert found["rows"] == [["10000000000000000000"], ["20000000000000000000"]]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.csv"]


def test_connections_are_tested_and_listed(tmp_path):
    rows(tmp_path)
    for what, key in (("test", "answer"), ("items", "items")):
        job = Job(what, "", tmp_path, connections=CONNECTIONS, local=True, ask={"connection": "here"})
        assert stage.explore(job, lambda *_: None, lambda: False)[key]
