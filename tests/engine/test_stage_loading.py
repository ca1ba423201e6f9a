"""What a writing step says about its table reaches the table, and is asked for again when the run comes to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from sluicegate.base.errors import Invalid
from tests.engine.test_stage import CONNECTIONS, READ, carry, rows

__all__ = ["carry"]

STOCK = {"read": {"name": "a", "connection": "shop", "item": "s"}}
KNOWN = CONNECTIONS | {"shop": {"kind": "connection", "name": "shop", "type": "sqlite", "path": "s.db"}}


def asked(tmp_path, sql, file="t.db"):
    with closing(sqlite3.connect(tmp_path / file)) as link, link:
        return link.execute(sql).fetchall()


def write(**more):
    return {"write": {"name": "w", "from": "a", "connection": "db", "item": "t", **more}}


@pytest.mark.security
@pytest.mark.parametrize("mode", ["replace", "truncate", {"type": "delete", "keys": ["id"]}], ids=str)
def test_the_run_itself_refuses_what_is_not_allowed(carry, tmp_path, mode):
    """A flow that was saved before the rule, or came past the check of documents, must not take rows away."""
    rows(tmp_path)
    asked(tmp_path, "create table t (id integer primary key, v integer)")
    asked(tmp_path, "insert into t values (1, 1), (7, 7)")
    with pytest.raises(Invalid, match="step w.*allow: ") as caught:
        carry(READ, write(mode=mode, allow=["drop"]))
    assert "not allow" in caught.value.message
    assert asked(tmp_path, "select id from t") == [(1,), (7,)]


def test_receipts_say_what_became_of_the_rows(carry, tmp_path):
    rows(tmp_path)
    merge = {"type": "merge", "keys": ["id"]}
    carry(READ, write(mode=merge))
    rows(tmp_path, "id,v\n3,31\n4,40\n4,41\n")
    done = carry(READ, write(mode=merge | {"duplicates": "last", "order_by": ["v"]}), run="run-2")
    receipt = done["receipts"]["w"]
    assert {name: receipt[name] for name in ("rows", "inserted", "updated")} == {"rows": 3, "inserted": 1, "updated": 1}
    assert "deleted" not in receipt
    assert asked(tmp_path, "select * from t order by id") == [(1, 10), (2, 20), (3, 31), (4, 41)]


def test_keys_are_copied_from_the_table_that_was_read(carry, tmp_path):
    asked(tmp_path, "create table s (id integer not null, v integer, primary key (id))", "s.db")
    asked(tmp_path, "create index i on s (v)", "s.db")
    asked(tmp_path, "insert into s values (1, 10), (2, 20)", "s.db")
    check = {"check": {"name": "c", "from": "a", "rules": [{"column": "id", "not_null": True}], "on_fail": "skip"}}
    table = {"copies": ["keys", "indexes"]}
    carry(STOCK, check, {"write": {"from": "c", "connection": "db", "item": "t", "table": table}}, connections=KNOWN)
    made = asked(tmp_path, "select sql from sqlite_schema where tbl_name = 't' and sql is not null order by type desc")
    assert 'primary key ("id")' in made[0][0]
    assert made[1][0].endswith('on "t" ("v")')


def test_keys_cannot_be_copied_from_a_file(carry, tmp_path):
    rows(tmp_path)
    with pytest.raises(Invalid, match="the rows come from none"):
        carry(READ, write(table={"copies": ["keys"]}))
    assert not (tmp_path / "t.db").exists()
