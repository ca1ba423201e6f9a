"""``postgres``: tables and views in a PostgreSQL database.

Reading is one COPY in a read-only transaction that sees one moment. Writing is one transaction from the first row
to the marker: see ``stage.py``.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import DataError, Missing
from sluicegate.connectors.postgres import catalogue, reading
from sluicegate.connectors.postgres.copying import copy_out
from sluicegate.connectors.postgres.link import connect, quoted, told
from sluicegate.connectors.postgres.passage import made, obstacle
from sluicegate.connectors.postgres.stage import MARKERS, PostgresStage
from sluicegate.kit import tables
from sluicegate.kit.connection import Connection, Entry, Host, Read, SecretName, Tls
from sluicegate.kit.mode import Keyed
from sluicegate.kit.target import PLAIN, Ddl
from sluicegate.kit.text import shown

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import psycopg
    import pyarrow as pa

    from sluicegate.kit.context import Context
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker, Parcel, Stage
    from sluicegate.kit.target import Keys, Target


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
    ddl: ClassVar[Ddl] = catalogue.DDL

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PostgresSession]:
        """Sign in. ``Egress``, ``Unreachable``, or ``SignInRefused``; never with the password."""
        session = PostgresSession(self, ctx)
        try:
            yield session
        finally:
            session.close()


class PostgresSession:
    """Tests, Lists, ReadsRows, FiltersRows, PassesRows, WritesRows."""

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
            Entry(tables.spell_item(schema, name), "view" if kind in "vm" else "table", None if kind in "vf" else size)
            for schema, name, kind, size in rows
        ]
        yield from sorted(entry for entry in found if entry.name.startswith(under))

    def read(self, ask: Read) -> pa.RecordBatchReader:
        """Return the rows lazily, all from one moment (REPEATABLE READ, READ ONLY)."""
        import pyarrow as pa

        link, table, wanted = self._look(ask)
        with told(self._where):
            where = reading.condition(link, wanted, ask.since)
        query = reading.query_for(table, [column.select() for column in wanted], ask.limit, where)
        rows = reading.batches(link, query, wanted, self._ctx, f"{self._where}: {ask.item}")
        return pa.RecordBatchReader.from_batches(reading.schema_of(wanted), rows)

    def filters(self, ask: Read) -> bool:
        """Tell whether the server leaves out rows below ``ask.since``."""
        link, _, wanted = self._look(ask)
        with told(self._where):
            return reading.condition(link, wanted, ask.since) != ""

    def passage(self, ask: Read, stage: Stage) -> Iterator[Parcel] | None:
        """Return the rows in COPY's binary form when ``stage`` is PostgreSQL's and takes each column as it is."""
        if not isinstance(stage, PostgresStage):
            return None
        link, table, wanted = self._look(ask)
        if stage.obstacle(wanted):
            return None
        where = f"{self._where}: {ask.item}"
        query = reading.query_for(table, [quoted(column.name) for column in wanted], ask.limit)
        return _told(copy_out(link, query, self._ctx, where, binary=True), where)

    def obstacle(self, ask: Read, target: object, item: str, mode: Mode) -> str:
        """Return why ``passage`` would give nothing for a load into ``item``; empty when it would. Nothing changes."""
        if not isinstance(target, PostgresSession):
            return "the target is no PostgreSQL"
        if isinstance(mode, Keyed):
            return f"mode {mode.type} looks at each key"
        _, _, wanted = self._look(ask)
        schema = reading.schema_of(wanted)
        there = target.columns(item)
        if there is None:
            return obstacle(wanted, made(wanted, schema))
        by_name = {column.name: column for column in there}
        if any(column.name not in by_name for column in wanted):
            return "the target has other columns"
        return obstacle(wanted, [by_name[column.name] for column in wanted])

    def columns(self, item: str) -> list[catalogue.Column] | None:
        """Return the columns of a table; ``None`` when there is none."""
        link = self._take()
        with told(self._where):
            table = catalogue.find(link, item)
            found = catalogue.columns(link, table) if table else None
        self._idle = link
        return found

    def keys(self, item: str) -> Keys:
        """Return the primary key and the indexes of a table."""
        link = self._take()
        with told(self._where):
            table = catalogue.find(link, item)
            if table is None:
                raise Missing(f"There is no table or view {shown(item)}.", where=self._where)
            found = catalogue.keys(link, table)
        self._idle = link
        return found

    def _look(self, ask: Read) -> tuple[psycopg.Connection[Any], catalogue.Table, list[catalogue.Column]]:
        """Begin a transaction that sees one moment; return it, the table and the columns asked for."""
        import psycopg

        link, where = self._take(), f"{self._where}: {ask.item}"
        with told(where):
            link.autocommit = False
            link.isolation_level, link.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
            table = catalogue.find(link, ask.item)
            if table is None:
                raise Missing(f"There is no table or view {shown(ask.item)}.", where=self._where)
            found = catalogue.columns(link, table)
        wanted = tables.choose(found, ask, where)
        if not wanted:
            raise DataError("The table has no columns.", where=where)
        return link, table, wanted

    def stage(
        self, item: str, schema: pa.Schema, mode: Mode, marker: Marker, target: Target = PLAIN
    ) -> Stage:  # fmt: skip
        """Begin a load in one transaction of its own: nobody sees anything of it before ``commit``."""
        stage = PostgresStage(self._take(), self._where, item, schema, mode, marker, self._ctx.log, target)
        self._stages.append(stage)
        try:
            stage.begin()
        except BaseException:
            stage.abort()
            raise
        return stage


def _told(parcels: Generator[Parcel], where: str) -> Iterator[Parcel]:
    with told(where), closing(parcels):
        yield from parcels
