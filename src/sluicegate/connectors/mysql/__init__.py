"""``mysql``: tables and views in a MySQL or MariaDB database.

Reading is one query in a read-only transaction that sees one moment. Writing: see ``stage.py``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import Failed, Missing
from sluicegate.connectors.mysql import catalogue, reading
from sluicegate.connectors.mysql.link import connect, told
from sluicegate.connectors.mysql.stage import ASIDE, MysqlStage
from sluicegate.kit import tables
from sluicegate.kit.connection import Connection, Entry, Host, Read, SecretName, Tls
from sluicegate.kit.target import PLAIN, Ddl
from sluicegate.kit.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from sluicegate.connectors.mysql.protocol import Link
    from sluicegate.kit.context import Context
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker, Stage
    from sluicegate.kit.target import Keys, Target


class Mysql(Connection):
    """Tables and views in a MySQL or MariaDB database."""

    type: Literal["mysql"] = "mysql"
    host: Host
    """Server name or address; must be allowed by the egress policy."""
    port: int = Field(default=3306, ge=1, le=65535)
    """TCP port."""
    database: str = Field(min_length=1, max_length=64)
    """Name of the database (MySQL also says schema)."""
    user: str = Field(min_length=1, max_length=128)
    """User to sign in as."""
    password: SecretName | None = None
    """Name of the secret that holds the password."""
    tls: Tls = "verify-full"
    """How the database must prove who it is; on a server, the setting ``tls.weakest`` says how weak it may be."""
    ca: str | None = Field(default=None, max_length=1 << 20)
    """Certificate authority that signs the server's certificate, as PEM text; the system's when absent."""

    destination: ClassVar[frozenset[str]] = frozenset({"host", "port", "database", "tls", "ca"})
    ddl: ClassVar[Ddl] = catalogue.DDL

    @contextmanager
    def open(self, ctx: Context) -> Iterator[MysqlSession]:
        """Sign in. ``Egress``, ``Unreachable``, or ``SignInRefused``; never with the password."""
        session = MysqlSession(self, ctx)
        try:
            yield session
        finally:
            session.close()


class MysqlSession:
    """Tests, Lists, ReadsRows, FiltersRows, WritesRows."""

    def __init__(self, connection: Mysql, ctx: Context) -> None:
        """Sign in once; each read and each load then gets a connection of its own."""
        self._connection, self._ctx = connection, ctx
        self._where = f"{connection.host}:{connection.port}/{connection.database}"
        self._links: list[Link] = []
        self._stages: list[MysqlStage] = []
        self._idle: Link | None = self._link()

    def _link(self) -> Link:
        link = connect(self._connection, self._ctx)
        self._links.append(link)
        return link

    def _take(self) -> Link:
        """Return a connection that nobody uses: the first one if it is free still."""
        link, self._idle = self._idle, None
        return link or self._link()

    def close(self) -> None:
        """Close all connections; the server rolls back what was not committed."""
        for stage in self._stages:
            stage.abort()
        for link in self._links:
            link.drop()

    def test(self) -> str:
        """Return product and version."""
        link = self._take()
        with told(self._where):
            version, user = (catalogue.text(each) for each in link.rows("select version(), current_user()")[0])
        self._idle = link
        return f"{'MariaDB' if catalogue.is_mariadb(link) else 'MySQL'} {version[:64]}, signed in as {user[:200]}"

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield tables and views whose name begins with ``under``, sorted by name."""
        link = self._take()
        with told(self._where):
            rows = link.rows(
                "select table_name, table_type, data_length + index_length from information_schema.tables "
                "where table_schema = database()"
            )
        self._idle = link
        for found, kind, size in sorted(rows, key=lambda row: catalogue.text(row[0])):
            name, view = catalogue.text(found), "VIEW" in catalogue.text(kind)
            if name.startswith(under) and not name.startswith(ASIDE):
                yield Entry(name, "view" if view else "table", None if view or size is None else int(size))

    def read(self, ask: Read) -> pa.RecordBatchReader:
        """Return the rows lazily, all from one moment (one snapshot, READ ONLY)."""
        import pyarrow as pa

        link, wanted, where = self._look(ask)
        schema = pa.schema([(column.name, column.kind) for column in wanted])
        return pa.RecordBatchReader.from_batches(schema, reading.batches(link, ask, wanted, self._ctx, where))

    def filters(self, ask: Read) -> bool:
        """Tell whether the server leaves out rows below ``ask.since``."""
        _, wanted, _ = self._look(ask)
        return reading.condition(wanted, ask.since)[0] != ""

    def _look(self, ask: Read) -> tuple[Link, list[catalogue.Column], str]:
        """Begin a transaction that sees one moment; return it, the columns asked for, and how errors call the place."""
        link, where = self._take(), f"{self._where}: {ask.item}"
        with told(where):
            link.run("set session transaction isolation level repeatable read")
            link.run("start transaction with consistent snapshot, read only")
            if catalogue.find(link, ask.item) is None:
                raise Missing(f"There is no table or view {shown(ask.item)}.", where=self._where)
            found = catalogue.columns(link, ask.item)
        if not found:  # the catalogue cannot look into such a view
            raise Failed("The view cannot be read: it refers to what is not there, or writes.", where=where)
        return link, tables.choose(found, ask, where), where

    def keys(self, item: str) -> Keys:
        """Return the primary key and the indexes of a table."""
        link = self._take()
        with told(self._where):
            if catalogue.find(link, item) is None:
                raise Missing(f"There is no table or view {shown(item)}.", where=self._where)
            found = catalogue.keys(link, item)
        self._idle = link
        return found

    def stage(
        self, item: str, schema: pa.Schema, mode: Mode, marker: Marker, target: Target = PLAIN
    ) -> Stage:  # fmt: skip
        """Begin a load: nobody sees anything of it before ``commit``."""
        stage = MysqlStage(self._take(), self._where, item, schema, mode, marker, self._ctx.log, target)
        self._stages.append(stage)
        try:
            stage.begin()
        except BaseException:
            stage.abort()
            raise
        return stage
