"""Days without a row: a header alone must not contradict what the target has, nor be remembered as a type."""

from __future__ import annotations

import sqlite3

import pyarrow.parquet as pq
import pytest

from sluicegate.base.errors import DataError
from sluicegate.engine import stage
from sluicegate.engine.job import Job
from sluicegate.engine.plan import plan

COLUMNS = "id INTEGER PRIMARY KEY, price DECIMAL_TEXT(9,2), at TIMESTAMP, note TEXT"


@pytest.fixture
def carry(tmp_path):
    def run(*steps: dict, text="id,price,at,note\n", more=None):
        (tmp_path / "in.csv").write_text(text)
        connections = {
            "here": {"kind": "connection", "name": "here", "type": "files", "root": "."},
            "db": {"kind": "connection", "name": "db", "type": "sqlite", "path": "t.db"},
            **(more or {}),
        }
        read = {"read": {"name": "a", "connection": "here", "item": "in.csv"}}
        body = {"kind": "flow", "name": "f", "steps": [read, *steps]}
        job = Job("run", f"r{len(told)}", tmp_path, flow=body, connections=connections, local=True)
        segment = plan(stage.read_flow(job))[0].name
        return stage.execute(job, segment, lambda kind, each: told.append((kind, each)), lambda: False)

    told: list = []
    run.told = told
    return run


def asked(path, sql):
    link = sqlite3.connect(path / "t.db")
    try:
        return link.execute(sql).fetchall()
    finally:
        link.close()


def made(path):
    link = sqlite3.connect(path / "t.db")
    link.execute(f"create table t ({COLUMNS})")
    link.execute("insert into t values (1, '2.50', '2024-01-01 00:00:00', 'x')")
    link.commit()
    link.close()


def write(mode="append", source="a", connection="db"):
    return {"write": {"from": source, "connection": connection, "item": "t", "mode": mode, "allow": ["replace"]}}


@pytest.mark.security
@pytest.mark.parametrize(
    ("mode", "left"), [("append", 1), ({"type": "merge", "keys": ["id"]}, 1), ("replace", 0)], ids=str
)
@pytest.mark.parametrize("mapped", [False, True])
def test_an_empty_day_fits_any_table_and_changes_none_of_its_types(carry, tmp_path, mode, left, mapped):
    made(tmp_path)
    before = asked(tmp_path, "select sql from sqlite_schema where name = 't'")
    columns = {"id": "id + 1", "price": "price * 2", "at": "at", "note": "upper(note)"}
    steps = [{"map": {"name": "m", "from": "a", "columns": columns}}] if mapped else []
    done = carry(*steps, write(mode, "m" if mapped else "a"))
    assert [receipt["rows"] for receipt in done["receipts"].values()] == [0]
    assert asked(tmp_path, "select count(*) from t") == [(left,)]
    assert asked(tmp_path, "select sql from sqlite_schema where name = 't'") == before
    assert [body for kind, body in carry.told if kind == "schema"] == []


def test_columns_are_still_matched_by_name(carry, tmp_path):
    made(tmp_path)
    with pytest.raises(DataError, match="has no column 'zap'"):
        carry(write(), text="id,price,at,note,zap\n")


@pytest.mark.security
def test_one_row_is_enough_to_be_held_to_the_types(carry, tmp_path):
    made(tmp_path)
    with pytest.raises(DataError, match="declared INTEGER and cannot hold text"):
        carry(write(), text="id,price,at,note\nx,1.00,2024-01-01T00:00:00,y\n")


def test_a_file_gets_its_header(carry, tmp_path):
    carry({"write": {"from": "a", "connection": "here", "item": "out.parquet"}})
    assert str(pq.read_schema(tmp_path / "out.parquet").field("id").type) == "string"
