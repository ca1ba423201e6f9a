"""The store in a file: whose it is, how it is set up, and who waits."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sluicegate.base.errors import Unavailable
from sluicegate.store import sqlite
from sluicegate.store.database import Database
from sluicegate.store.scope import System


def mode(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


@pytest.mark.security
def test_file_and_journals_are_this_users_alone(tmp_path):
    path = f"{tmp_path}/deep/store.db"
    before = os.umask(0)
    try:
        store = Database(f"sqlite:///{path}")
        store.migrate()
    finally:
        os.umask(before)
    assert [mode(path + end) for end in ("", "-wal", "-shm")] == [0o600] * 3
    assert mode(os.path.dirname(path)) == 0o700  # noqa: PTH120 - text here
    store.close()


@pytest.mark.security
def test_a_file_left_open_to_others_is_closed_to_them(tmp_path):
    path = tmp_path / "store.db"
    path.touch(0o666)
    path.chmod(0o666)
    Database(f"sqlite:///{path}").close()
    assert mode(str(path)) == 0o600


def test_sqlite_is_set_up_for_many_threads(tmp_path):
    store = Database(f"sqlite:///{tmp_path}/store.db")
    with store.write() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked] == ["wal", 1, 1, 10000]
    store.close()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # on PostgreSQL writers do not wait for each other
def test_a_writer_that_waits_too_long_is_told(place, monkeypatch):
    monkeypatch.setattr(sqlite, "WAIT", 0.2)
    first, second = Database(place.url), Database(place.url)
    with first.write(system=True), pytest.raises(Unavailable), second.write(system=True):
        pass
    first.close()
    second.close()


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_what_is_flushed_is_in_the_file_and_gone_from_the_journal(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    database.migrate()
    System(database).blobs().put("key", b"under the old one" * 20)
    System(database).blobs().put("key", b"under the new one" * 20)
    database.flush()
    journal = tmp_path / "store.db-wal"
    assert journal.stat().st_size == 0
    content = (tmp_path / "store.db").read_bytes()
    assert b"under the new one" in content
    assert b"under the old one" not in content
    database.close()


def test_a_reader_that_does_not_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sluicegate.store.sqlite.WAIT", 0.1)
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    database.migrate()
    with database.read(system=True) as connection:
        connection.exec_driver_sql("select count(*) from blobs").fetchall()
        writer = threading.Thread(target=System(database).blobs().put, args=("key", b"x"))
        writer.start()
        writer.join()
        with pytest.raises(Unavailable):
            database.flush()
    database.flush()
    database.close()
