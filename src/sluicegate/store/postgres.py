"""The store in PostgreSQL: the application is a role that neither owns the tables nor passes their policies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sqlalchemy import Connection, NullPool, create_engine, event, text
from sqlalchemy.engine import URL, Engine

from sluicegate.base.errors import Invalid
from sluicegate.store.backend import WAIT

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


class Postgres:
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
        """See ``Backend.bind``."""
        connection.execute(_BIND, {"tenant": tenant, "system": "on" if system else ""})

    def lock(self, connection: Connection, name: str) -> None:
        """See ``Backend.lock``."""
        connection.execute(_LOCK, {"name": name})

    def announce(self, connection: Connection) -> None:
        """See ``Backend.announce``."""
        connection.execute(_NOTIFY)

    def watch(self, marked: threading.Event, stop: threading.Event) -> None:
        """See ``Backend.watch``."""
        with self._engine(self._address, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(_LISTEN)
            line: Any = connection.connection.driver_connection
            marked.set()  # what was committed before we listened
            while not stop.is_set():
                for _ in line.notifies(timeout=0.5, stop_after=1):
                    marked.set()

    def version(self) -> str | None:
        """See ``Backend.version``."""
        with self.reader.begin() as connection:
            # A table that this role may not read is one that the owner has yet to grant.
            readable = "SELECT coalesce(has_table_privilege(to_regclass('public.alembic_version'), 'SELECT'), false)"
            if not connection.scalar(text(readable)):
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        """See ``Backend.owner``."""
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

    def flush(self) -> None:
        """See ``Backend.flush``: one commit that waits for the disk takes all before it along, whatever is set."""
        with self.writer.begin() as connection:
            connection.execute(text("SET LOCAL synchronous_commit = on"))
            connection.execute(text("SELECT pg_current_xact_id()"))  # else there is nothing to commit

    def close(self) -> None:
        """See ``Backend.close``."""
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
