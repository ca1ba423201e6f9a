"""``sqlite``: tables in an SQLite database file.

The file is not trusted: its schema may call no function that has effects, nothing can be attached or loaded as an
extension, and reading opens it read-only. Types come from the declared column types; a stored value that does not
fit its column's type (SQLite lets it) is an error, never a silent change.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import Cancelled, DataError, Missing, MissingFile
from sluicegate.connectors.sqlite.journal import check_companions
from sluicegate.connectors.sqlite.link import connect, quoted, told
from sluicegate.connectors.sqlite.stage import MARKERS, File, SqliteStage, Vanished
from sluicegate.connectors.sqlite.types import DDL, Column, columns, condition, from_storage, keys
from sluicegate.kit import tables
from sluicegate.kit.connection import Connection, Entry, Read
from sluicegate.kit.rows import BATCH_BYTES
from sluicegate.kit.target import PLAIN, Ddl
from sluicegate.kit.text import Unfit, shown

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    import pyarrow as pa

    from sluicegate.kit.context import Context
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker, Stage
    from sluicegate.kit.target import Keys, Target

_FIRST_ROWS = 1024
_MAX_ROWS = 1 << 16


class Sqlite(Connection):
    """Tables in an SQLite database file."""

    type: Literal["sqlite"] = "sqlite"
    path: str = Field(min_length=1, max_length=4096)
    """The database file. Locally: relative to the YAML file; on a server: beneath the tenant's own directory."""

    single_writer: ClassVar[bool] = True
    destination: ClassVar[frozenset[str]] = frozenset({"path"})
    ddl: ClassVar[Ddl] = DDL
    paths: ClassVar[frozenset[str]] = frozenset({"path"})

    @contextmanager
    def open(self, ctx: Context) -> Iterator[SqliteSession]:
        """Open a session; the file itself is opened by what is asked of it."""
        session = SqliteSession(self, ctx)
        try:
            yield session
        finally:
            session.close()


class SqliteSession:
    """Tests, Lists, ReadsRows, FiltersRows, WritesRows."""

    def __init__(self, connection: Sqlite, ctx: Context) -> None:
        """Hold what is needed to open the file."""
        self._ctx, self._path, self._open = ctx, connection.path, list[SqliteStage]()
        self._links: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close all that was opened; a stage that was not committed is rolled back."""
        for stage in self._open:
            stage.abort()
        for link in self._links:
            link.close()

    def _link(self, *, write: bool = False) -> sqlite3.Connection:
        check_companions(self._ctx.files, self._path)
        if not write and not self._ctx.files.exists(self._path):
            raise MissingFile(
                "There is no such database file.", where=self._path, hint="Check the path of the connection."
            )
        return connect(self._ctx.files.resolve(self._path), self._path, write=write)

    def test(self) -> str:
        """Open the file and return the version of SQLite and the number of tables."""
        with closing(self._link()) as link, told(self._path):
            version = link.execute("select sqlite_version()").fetchone()[0]
            count = link.execute(
                "select count(*) from sqlite_schema where type in ('table', 'view') and name <> ?", (MARKERS,)
            ).fetchone()[0]
            return f"SQLite {version}, {count} tables and views"

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield tables and views, sorted by name, whose name begins with ``under``."""
        with closing(self._link()) as link, told(self._path):
            found = link.execute(
                "select name, type from sqlite_schema where type in ('table', 'view') and name not like 'sqlite\\_%' "
                "escape '\\' and name <> ? order by name", (MARKERS,),
            ).fetchall()  # fmt: skip
        for name, kind in found:
            if name.startswith(under):
                yield Entry(name, kind)

    def read(self, ask: Read) -> pa.RecordBatchReader:
        """Return the rows lazily, all from one moment (one read transaction)."""
        import pyarrow as pa

        link, wanted = self._look(ask)
        new, values = condition(wanted, ask.since)
        query = f"select {', '.join(quoted(column.name) for column in wanted)} from {quoted(ask.item)}"  # noqa: S608 - names from the live schema, quoted
        query += f" where {new}" if new else ""
        if ask.limit is not None:
            query, values = f"{query} limit ?", (*values, ask.limit)
        with told(self._path):
            cursor = link.execute(query, values)
        schema = pa.schema([(column.name, column.kind) for column in wanted])
        return pa.RecordBatchReader.from_batches(schema, self._batches(cursor, wanted, schema, ask.item))

    def filters(self, ask: Read) -> bool:
        """Tell whether SQLite leaves out rows below ``ask.since``."""
        return condition(self._look(ask)[1], ask.since)[0] != ""

    def _look(self, ask: Read) -> tuple[sqlite3.Connection, list[Column]]:
        """Begin a transaction that sees one moment; return it and the columns asked for."""
        link = self._link()
        self._links.append(link)
        with told(self._path):
            link.execute("begin")
            found = columns(link, ask.item)
            if not found:
                raise Missing(f"There is no table or view {shown(ask.item)}.", where=self._path)
            return link, tables.choose(found, ask, ask.item)

    def keys(self, item: str) -> Keys:
        """Return the primary key and the indexes of a table."""
        with closing(self._link()) as link, told(self._path):
            if not columns(link, item):
                raise Missing(f"There is no table or view {shown(item)}.", where=self._path)
            return keys(link, item)

    def _batches(
        self, cursor: sqlite3.Cursor, wanted: list[Column], schema: pa.Schema, item: str
    ) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        size, before = _FIRST_ROWS, 0
        while True:
            if self._ctx.cancelled():
                raise Cancelled("Cancelled while reading.", where=item)
            with told(f"{self._path}: {item}"):
                rows = cursor.fetchmany(size)
            if not rows:
                return
            arrays = []
            for column, values in zip(wanted, zip(*rows, strict=True), strict=True):
                try:
                    arrays.append(from_storage(values, column.kind))
                except Unfit as fault:
                    place = f"{self._path}: {item}: column {column.name}, row {before + fault.row + 1}"
                    raise DataError(
                        fault.reason, where=place, hint=f"The column is declared {column.declared or 'without a type'}."
                    ) from None
            before += len(rows)
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            yield batch
            size = max(1, min(_MAX_ROWS, BATCH_BYTES * len(rows) // max(batch.nbytes, 1)))

    def stage(
        self, item: str, schema: pa.Schema, mode: Mode, marker: Marker, target: Target = PLAIN
    ) -> Stage:  # fmt: skip
        """Begin a load in one write transaction of its own: nobody sees anything of it before ``commit``."""
        quoted(item)  # refused before a file is made for it
        while True:
            self._ctx.files.make(self._path)
            file = File(self._ctx.files, self._path, self._ctx.files.stat(self._path).inode)  # before it is opened
            stage = SqliteStage(self._link(write=True), file, item, schema, mode, marker, self._ctx.log, target)
            self._open.append(stage)
            try:
                stage.begin()
            except Vanished:  # it was new, and another load that failed took it away again
                stage.abort()
            except BaseException:
                stage.abort()
                raise
            else:
                return stage
