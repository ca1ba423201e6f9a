"""The only file that knows which database it is: one SQLite file, or PostgreSQL.

*SQLite*: WAL; readers begin deferred and may not write (``query_only``), the one writer of a process begins
IMMEDIATE, so that two writers wait instead of failing half way. *PostgreSQL*: the application signs in as a role that
neither owns the tables nor passes row-level security; each transaction says with ``set_config(…, true)`` for which
tenant it works. ``migrate`` signs in as the owner. What is to be done once by hand for PostgreSQL:

    CREATE ROLE sluice_owner LOGIN PASSWORD '…';  CREATE ROLE sluice_app LOGIN PASSWORD '…';
    CREATE DATABASE sluice OWNER sluice_owner;
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, exc, make_url, text
from sqlalchemy.engine import URL

from sluicegate.base.clock import Clock, system
from sluicegate.base.errors import Conflict, Invalid, Unavailable

REVISIONS = ("0001",)
"""Every migration, oldest first; the last is the head. A test compares it with the files in ``migrations/versions``."""

WAIT = 10.0
"""Seconds that a writer or a caller without a connection waits before it is told ``Unavailable``."""


def pack(value: object) -> str:
    """Return ``value`` as the JSON text that is stored: ASCII, no blanks, keys as they come; no NaN."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def unpack(stored: str | None) -> Any:
    """Return the value of stored JSON text; ``None`` for NULL."""
    return None if stored is None else json.loads(stored)


@dataclass(slots=True)
class _Held:
    """The transaction that this thread has open."""

    connection: Connection
    tenant: str
    system: bool
    writes: bool
    marked: bool = False


class Database:
    """The store. One object per process, safe to share between threads.

    ``url`` is ``sqlite:///path`` or ``postgresql://app-role:…@host/db``, where ``migrate`` needs ``owner_url``.
    Raises ``Invalid`` for another kind of URL and, on connecting, for a role that row-level security would not hold.
    """

    def __init__(self, url: str, owner_url: str | None = None, *, clock: Clock = system) -> None:
        self.clock = clock
        self.marked = threading.Event()
        """Set when a mark (``grants.Marks``) has been committed, here or, while ``watch`` runs, by another process."""
        self._local = threading.local()
        self._backend = _choose(url, owner_url)

    @contextmanager
    def read(self, tenant: str = "", *, system: bool = False) -> Iterator[Connection]:
        """Open a read-only transaction for ``tenant``, or join the one this thread has open, whether it writes or not.

        ``system`` lifts the row filter and is for ``scope.System`` alone. Raises ``Unavailable``.
        """
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None:
            with _as(self._backend, held, tenant, system):
                yield held.connection
            return
        with _told(), self._backend.reader.begin() as connection:
            self._backend.bind(connection, tenant, system)
            with self._holding(_Held(connection, tenant, system, writes=False)):
                yield connection

    @contextmanager
    def write(self, tenant: str = "", *, system: bool = False) -> Iterator[Connection]:
        """Open a write transaction, or a savepoint in the one this thread has open: all or nothing.

        Raises ``Conflict`` for what constraints refuse, ``Invalid`` for text that cannot be stored, ``Unavailable``.
        """
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None and held.writes:
            with _as(self._backend, held, tenant, system), _told(), held.connection.begin_nested():
                yield held.connection
            return
        with _told(), self._backend.writer.begin() as connection:
            self._backend.bind(connection, tenant, system)
            mine = _Held(connection, tenant, system, writes=True)
            with self._holding(mine):
                yield connection
        if mine.marked:
            self.marked.set()

    @contextmanager
    def _holding(self, held: _Held) -> Iterator[None]:
        before: _Held | None = getattr(self._local, "held", None)
        self._local.held = held
        try:
            yield
        finally:
            self._local.held = before

    def lock(self, connection: Connection, name: str) -> None:
        """Wait until no other write transaction holds ``name``; held until this one ends.

        Order against deadlock: definitions, secrets, marks, audit. The ledger is appended to last.
        """
        self._backend.lock(connection, name)

    def announce(self, connection: Connection) -> None:
        """Have ``marked`` set, in every process, once the write transaction of this thread is committed."""
        self._local.held.marked = True
        self._backend.announce(connection)

    def watch(self, stop: threading.Event) -> None:
        """Set ``marked`` when another process commits a mark, until ``stop``. Raises ``Unavailable`` when cut off."""
        with _told():
            self._backend.watch(self.marked, stop)

    def migrate(self) -> None:
        """Bring the tables up to date; cheap when they are. Raises ``Conflict`` for a newer database (SEC-C12)."""
        with _told():
            found = self._backend.version()
            if found == REVISIONS[-1]:
                return
            if found is not None and found not in REVISIONS:
                raise Conflict(
                    f"The database is at version {found}, which this program does not know.",
                    hint="It was written by a newer Sluicegate: start that one, or restore the backup made before it.",
                )
            self.move("upgrade", "head")

    def move(self, direction: str, revision: str) -> None:
        """Run Alembic's ``upgrade`` or ``downgrade`` to ``revision``, in one transaction. A downgrade loses data."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "sluicegate.store:migrations")
        config.set_main_option("path_separator", "os")
        with self._backend.owner() as connection:
            config.attributes["connection"] = connection
            (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)

    def close(self) -> None:
        """Close every connection."""
        self._backend.close()


@contextmanager
def _as(backend: _Backend, held: _Held, tenant: str, system: bool) -> Iterator[None]:
    """Work for somebody else within an open transaction, and go back."""
    before = (held.tenant, held.system)
    if before == (tenant, system):
        yield
        return
    backend.bind(held.connection, tenant, system)
    held.tenant, held.system = tenant, system
    try:
        yield
    finally:
        held.tenant, held.system = before
        if not _broken(held.connection):
            backend.bind(held.connection, *before)


def _broken(connection: Connection) -> bool:
    """Tell whether only a rollback is left: the transaction's settings go with it."""
    return connection.invalidated or not connection.in_transaction()


@contextmanager
def _told() -> Iterator[None]:
    """Say what the driver says in our words; its own words may hold values."""
    try:
        yield
    except exc.IntegrityError:
        raise Conflict("What is stored does not allow this change.") from None
    except exc.DataError:
        raise Invalid("The text holds a character that cannot be stored (such as NUL).") from None
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as fault:
        raise _silent() from fault


class _Backend(Protocol):
    """What differs between the two."""

    @property
    def reader(self) -> Engine:
        """Give connections that only read."""

    @property
    def writer(self) -> Engine:
        """Give connections that may write."""

    def bind(self, connection: Connection, tenant: str, system: bool) -> None:
        """Say for whom this transaction works."""

    def lock(self, connection: Connection, name: str) -> None:
        """See ``Database.lock``."""

    def announce(self, connection: Connection) -> None:
        """See ``Database.announce``."""

    def watch(self, marked: threading.Event, stop: threading.Event) -> None:
        """See ``Database.watch``."""

    def version(self) -> str | None:
        """Return the revision the database is at, without Alembic; ``None`` when there is none to be read."""

    def owner(self) -> Any:
        """Open a transaction in which tables may be changed; nobody else migrates meanwhile."""

    def close(self) -> None:
        """Close every connection."""


def _choose(url: str, owner_url: str | None) -> _Backend:
    try:
        address = make_url(url)
        owner = make_url(owner_url) if owner_url else None
    except (exc.ArgumentError, ValueError):
        raise Invalid("This is not the URL of a database.", hint="sqlite:///path or postgresql://…") from None
    if address.get_backend_name() == "sqlite":
        return _Sqlite(address)
    if address.get_backend_name() == "postgresql":
        return _Postgres(address, owner)
    raise Invalid(f"The store can't be kept in {address.get_backend_name()}.", hint="sqlite:///path or postgresql://…")


class _Sqlite:
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
        with self.reader.begin() as connection:
            if not connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")):
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        engine = self._engine(poolclass=NullPool)
        # SQLite changes a table by copying it: references are checked once, at the end (sqlite.org/lang_altertable).
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys = OFF"))
        event.listen(engine, "begin", lambda connection: _begin(connection, "BEGIN IMMEDIATE"))
        with engine.begin() as connection:
            yield connection
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise Conflict("The migration would leave rows that point nowhere; nothing was changed.")

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()


def _begin(connection: Connection, statement: str) -> None:
    """Begin a transaction past SQLAlchemy's statement machinery: it is said before every read."""
    try:
        connection.connection.dbapi_connection.execute(statement)  # type: ignore[union-attr]
    except sqlite3.OperationalError as fault:
        raise _silent() from fault


def _silent() -> Unavailable:
    return Unavailable("The store does not answer.", hint="Try again; the log of the server says more.")


def _keep_private(path: Path) -> None:
    """Make ``path`` this user's alone (0600); SQLite gives its journals the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


# Each line is one parameter of the session; a temporary table can't stand in for one of ours.
_SESSION = (
    "statement_timeout=30000",
    "lock_timeout=10000",
    "idle_in_transaction_session_timeout=60000",
    "search_path=public,pg_temp",
)

_POWERS = text(
    "SELECT rolsuper OR rolbypassrls, EXISTS (SELECT 1 FROM pg_class WHERE relname = 'audit' AND relkind = 'r'"
    " AND relnamespace = to_regnamespace('public') AND pg_has_role(current_user, relowner, 'MEMBER'))"
    " FROM pg_roles WHERE rolname = current_user"
)


class _Postgres:
    """A pool for the application's role; the owner is used for migrations only."""

    def __init__(self, address: URL, owner: URL | None) -> None:
        self.role = address.username or ""
        self._address = address
        self._owner = owner
        self.writer = self._engine(address, pool_size=10, max_overflow=30, pool_timeout=WAIT, pool_use_lifo=True,
                                   pool_pre_ping=True)  # fmt: skip
        self.reader = self.writer.execution_options(postgresql_readonly=True)  # the same pool
        event.listen(self.writer, "connect", _refuse_power)

    def _engine(self, address: URL, **options: Any) -> Engine:
        arguments = {
            "options": " ".join(f"-c {line}" for line in _SESSION),
            "connect_timeout": int(WAIT),
            "application_name": "sluicegate",
        }
        return create_engine(
            address.set(drivername="postgresql+psycopg"), connect_args=arguments, hide_parameters=True, **options
        )

    def bind(self, connection: Connection, tenant: str, system: bool) -> None:
        connection.execute(_BIND, {"tenant": tenant, "system": "on" if system else ""})

    def lock(self, connection: Connection, name: str) -> None:
        connection.execute(_LOCK, {"name": name})

    def announce(self, connection: Connection) -> None:
        connection.execute(_NOTIFY)

    def watch(self, marked: threading.Event, stop: threading.Event) -> None:
        with self._engine(self._address, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(_LISTEN)
            line: Any = connection.connection.driver_connection
            marked.set()  # what was committed before we listened
            while not stop.is_set():
                for _ in line.notifies(timeout=0.5, stop_after=1):
                    marked.set()

    def version(self) -> str | None:
        with self.reader.begin() as connection:
            # A table that this role may not read is one that the owner has yet to grant.
            readable = "SELECT coalesce(has_table_privilege(to_regclass('public.alembic_version'), 'SELECT'), false)"
            if not connection.scalar(text(readable)):
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        if self._owner is None:
            raise Invalid(
                "The tables must be brought up to date, and only their owner can do that.",
                where="database",
                hint="Give the owner's URL once, next to the application's.",
            )
        if self._owner.username == self.role:
            _too_strong("owns the tables")
        with self._engine(self._owner, poolclass=NullPool).begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(_LOCK, {"name": "migrate"})
            # FORCE holds the owner to the policies, too: a migration that touches rows works for the system.
            connection.execute(_BIND, {"tenant": "", "system": "on"})
            yield connection
            self._grant(connection)

    def _grant(self, connection: Connection) -> None:
        """Give the application's role what it needs, table by table, and nothing on what is append-only."""
        from sluicegate.store.tables import APPEND_ONLY, metadata

        role = connection.dialect.identifier_preparer.quote_identifier(self.role)
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {role}")
        there = set(connection.dialect.get_table_names(connection, schema="public"))
        for name in sorted(there & set(metadata.tables)):
            verbs = "SELECT, INSERT" if name in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
            table = connection.dialect.identifier_preparer.quote_identifier(name)
            connection.exec_driver_sql(f"GRANT {verbs} ON {table} TO {role}")
        if "alembic_version" in there:
            connection.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {role}")

    def close(self) -> None:
        self.writer.dispose()


_BIND = text("SELECT set_config('app.tenant', :tenant, true), set_config('app.system', :system, true)")
_NOTIFY = text("NOTIFY sluicegate_marks")
_LISTEN = text("LISTEN sluicegate_marks")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('sluicegate:' || :name, 0))")


def _refuse_power(raw: Any, _record: object) -> None:
    """Refuse a session that row-level security would not hold (SEC-Z04)."""
    with raw.cursor() as cursor:
        power, owns = cursor.execute(str(_POWERS)).fetchone()
    raw.rollback()
    if power or owns:
        raw.close()
        _too_strong("is a superuser or bypasses row-level security" if power else "owns the tables")


def _too_strong(what: str) -> NoReturn:
    raise Invalid(
        f"The store's PostgreSQL role {what}, so tenants would not be kept apart.",
        where="database",
        hint="Connect as a plain role (CREATE ROLE … LOGIN) and give the owner's URL for migrations only.",
    )
