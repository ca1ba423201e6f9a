"""``postgres``: tables and views in a PostgreSQL database.

Reading is one COPY in a read-only transaction that sees one moment. Writing is one transaction from the first row
to the marker: see ``stage.py``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import DataError, Missing
from sluicegate.connectors.postgres import catalogue, reading
from sluicegate.connectors.postgres.link import connect, told
from sluicegate.connectors.postgres.stage import MARKERS, PostgresStage
from sluicegate.kit.connection import Connection, Entry, Host, Read, SecretName, Tls
from sluicegate.kit.items import spell_item
from sluicegate.kit.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import pyarrow as pa

    from sluicegate.kit.context import Context
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker, Stage


class Postgres(Connection):
    """Tables and views in a PostgreSQL database."""

    type: Literal["postgres"] = "postgres"
    host: Host
    """Server name or address; must be allowed by the egress policy."""
    port: int = Field(default=5432, ge=1, le=65535)
    """TCP port."""
    database: str = Field(min_length=1, max_length=63)
    """Name of the database."""
    user: str = Field(min_length=1, max_length=63)
    """Role to sign in as."""
    password: SecretName | None = None
    """Name of the secret that holds the password."""
    tls: Tls = "verify-full"
    """How the database must prove who it is; on a server, the setting ``tls.weakest`` says how weak it may be."""
    ca: str | None = Field(default=None, max_length=1 << 20)
    """Certificate authority that signs the server's certificate, as PEM text; the system's when absent."""

    destination: ClassVar[frozenset[str]] = frozenset({"host", "port", "database", "tls", "ca"})

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PostgresSession]:
        """Sign in. ``Egress``, ``Unreachable``, or ``SignInRefused``; never with the password."""
        session = PostgresSession(self, ctx)
        try:
            yield session
        finally:
            session.close()


class PostgresSession:
    """Tests, Lists, ReadsRows, WritesRows."""

    def __init__(self, connection: Postgres, ctx: Context) -> None:
        """Sign in once; each read and each load then gets a connection of its own."""
        self._connection, self._ctx = connection, ctx
        self._where = f"{connection.host}:{connection.port}/{connection.database}"
        self._links: list[psycopg.Connection[Any]] = []
        self._stages: list[PostgresStage] = []
        self._idle: psycopg.Connection[Any] | None = self._link()

    def _link(self) -> psycopg.Connection[Any]:
        link = connect(self._connection, self._ctx)
        self._links.append(link)
        return link

    def _take(self) -> psycopg.Connection[Any]:
        """Return a connection that nobody uses: the first one if it is free still."""
        link, self._idle = self._idle, None
        return link or self._link()

    def close(self) -> None:
        """Close all connections; the server rolls back what was not committed."""
        for stage in self._stages:  # first the COPY, then its connection: the driver must not find it gone
            stage.abort()
        for link in self._links:
            link.close()

    def test(self) -> str:
        """Return product and version."""
        link = self._take()
        with told(self._where):
            row = link.execute("select pg_catalog.current_setting('server_version'), current_user").fetchone()
        self._idle = link
        return f"PostgreSQL {row[0]}, signed in as {row[1]}" if row else "PostgreSQL"

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield tables and views whose name begins with ``under``; those of the current schema go without its name."""
        link = self._take()
        with told(self._where):
            rows = link.execute(
                "select case when n.nspname = pg_catalog.current_schema() then null else n.nspname end, c.relname, "
                "c.relkind::text, pg_catalog.pg_total_relation_size(c.oid) from pg_catalog.pg_class c "
                "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f') "
                "and not c.relispartition and c.relname <> %s and n.nspname !~ '^pg_' "
                "and n.nspname <> 'information_schema'", (MARKERS,),
            ).fetchall()  # fmt: skip
        self._idle = link
        found = [
            Entry(spell_item(schema, name), "view" if kind in "vm" else "table", None if kind in "vf" else size)
            for schema, name, kind, size in rows
        ]
        yield from sorted(entry for entry in found if entry.name.startswith(under))

    def read(self, ask: Read) -> pa.RecordBatchReader:
        """Return the rows lazily, all from one moment (REPEATABLE READ, READ ONLY)."""
        import psycopg
        import pyarrow as pa

        link, where = self._take(), f"{self._where}: {ask.item}"
        with told(where):
            link.autocommit = False
            link.isolation_level, link.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
            table = catalogue.find(link, ask.item)
            if table is None:
                raise Missing(f"There is no table or view {shown(ask.item)}.", where=self._where)
            found = catalogue.columns(link, table)
        by_name = {column.name: column for column in found}
        if unknown := [name for name in ask.columns or () if name not in by_name]:
            raise DataError(f"There is no column {shown(unknown[0])}.", where=where)
        wanted = [by_name[name] for name in ask.columns] if ask.columns else found
        if not wanted:
            raise DataError("The table has no columns.", where=where)
        rows = reading.batches(link, table, wanted, ask.limit, self._ctx, where)
        return pa.RecordBatchReader.from_batches(reading.schema_of(wanted), rows)

    def stage(self, item: str, schema: pa.Schema, mode: Mode, marker: Marker) -> Stage:
        """Begin a load in one transaction of its own: nobody sees anything of it before ``commit``."""
        stage = PostgresStage(self._take(), self._where, item, schema, mode, marker, self._ctx.log)
        self._stages.append(stage)
        try:
            stage.begin()
        except BaseException:
            stage.abort()
            raise
        return stage
