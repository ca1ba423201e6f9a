"""The store in one SQLite file: WAL; readers may not write, and writers of this process queue in order."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL

from sluicegate.base.errors import Conflict, Invalid
from sluicegate.store.backend import WAIT, silent


class Sqlite:
    """One file, this user's alone."""

    def __init__(self, address: URL) -> None:
        if not address.database or address.database == ":memory:" or address.query:
            raise Invalid("The store needs a file.", hint="sqlite:///path/to/store.db")
        self.path = Path(address.database)
        _keep_private(self.path)
        self.reader = self._engine(pool_size=16, max_overflow=48)
        # One connection: writers of this process queue here, in order, instead of polling SQLite's lock.
        self.writer = self._engine(pool_size=1, max_overflow=0)
        event.listen(self.reader, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))
        event.listen(self.reader, "begin", lambda connection: _begin(connection, "BEGIN"))
        event.listen(self.writer, "begin", lambda connection: _begin(connection, "BEGIN IMMEDIATE"))

    def _engine(self, **options: Any) -> Engine:
        address = URL.create("sqlite+pysqlite", database=str(self.path))
        # isolation_level None: the driver begins nothing by itself, we say BEGIN.
        arguments = {"isolation_level": None, "check_same_thread": False, "timeout": WAIT}
        if "poolclass" not in options:
            options |= {"pool_timeout": WAIT, "pool_use_lifo": True}
        engine = create_engine(
            address, connect_args=arguments, hide_parameters=True, pool_reset_on_return=None, **options
        )
        event.listen(engine, "connect", self._prepare)
        return engine

    def _prepare(self, raw: Any, _record: object) -> None:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = NORMAL")
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA secure_delete = ON")  # a key that is dropped is overwritten, too
        raw.execute(f"PRAGMA busy_timeout = {int(WAIT * 1000)}")

    def bind(self, connection: Connection, tenant: str, system: bool) -> None:
        """Do nothing: there is no row-level security here; the statements themselves name the tenant."""

    def lock(self, connection: Connection, name: str) -> None:
        """Do nothing: BEGIN IMMEDIATE already is the only writer."""

    def announce(self, connection: Connection) -> None:
        """Do nothing: one process holds the file."""

    def watch(self, marked: threading.Event, stop: threading.Event) -> None:  # noqa: ARG002 - nothing to hear of
        """Wait for ``stop``: there is no other process."""
        stop.wait()

    def version(self) -> str | None:
        """See ``Backend.version``."""
        with self.reader.begin() as connection:
            if not connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")):
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        """See ``Backend.owner``."""
        engine = self._engine(poolclass=NullPool)
        # SQLite changes a table by copying it: references are checked once, at the end (sqlite.org/lang_altertable).
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys = OFF"))
        event.listen(engine, "begin", lambda connection: _begin(connection, "BEGIN IMMEDIATE"))
        with engine.begin() as connection:
            yield connection
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise Conflict("The migration would leave rows that point nowhere; nothing was changed.")

    def flush(self) -> None:
        """See ``Backend.flush``: with ``synchronous = NORMAL`` the last commits wait for a checkpoint."""
        until = time.monotonic() + WAIT
        raw = self.writer.raw_connection()
        try:
            while True:
                busy, _, _ = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return
                if time.monotonic() > until:  # a reader that does not end
                    raise silent()
                time.sleep(0.02)
        finally:
            raw.close()

    def close(self) -> None:
        """See ``Backend.close``."""
        self.reader.dispose()
        self.writer.dispose()


def _begin(connection: Connection, statement: str) -> None:
    """Begin a transaction past SQLAlchemy's statement machinery: it is said before every read."""
    try:
        connection.connection.dbapi_connection.execute(statement)  # type: ignore[union-attr]
    except sqlite3.OperationalError as fault:
        raise silent() from fault


def _keep_private(path: Path) -> None:
    """Make ``path`` this user's alone (0600); SQLite gives its journals the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
