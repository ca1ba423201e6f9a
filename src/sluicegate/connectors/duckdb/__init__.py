"""``duckdb``: tables in a DuckDB database file.

The file is not trusted: what its views and macros ask for runs in an engine that has no way to files, network or
extensions, and whose settings are locked (``link.py``). Types come from the catalogue (``types.py``).
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import Cancelled, DataError, Failed, Missing, MissingFile
from sluicegate.connectors.duckdb.link import COMPANIONS, check_name, connect, quoted, told, too_long
from sluicegate.connectors.duckdb.stage import MARKERS, DuckdbStage, File, Vanished
from sluicegate.connectors.duckdb.types import DDL, Column, columns, condition, convert, keys
from sluicegate.kit import tables
from sluicegate.kit.connection import Connection, Entry, Read
from sluicegate.kit.rows import BATCH_BYTES
from sluicegate.kit.target import PLAIN, Ddl
from sluicegate.kit.text import Unfit, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from sluicegate.kit.context import Context
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker, Stage
    from sluicegate.kit.target import Keys, Target

_CHUNK_ROWS = 2048
"""DuckDB computes so many rows at a time."""
_MAX_ROWS = 1 << 16


class Duckdb(Connection):
    """Tables in a DuckDB database file."""

    type: Literal["duckdb"] = "duckdb"
    path: str = Field(min_length=1, max_length=4096)
    """The database file. Locally: relative to the YAML file; on a server: beneath the tenant's own directory."""
    read_only: bool = False
    """Only read. Then several runs can have the file open at once; otherwise DuckDB lets one in at a time."""

    single_writer: ClassVar[bool] = True
    destination: ClassVar[frozenset[str]] = frozenset({"path"})
    ddl: ClassVar[Ddl] = DDL
    paths: ClassVar[frozenset[str]] = frozenset({"path"})

    @contextmanager
    def open(self, ctx: Context) -> Iterator[DuckdbSession]:
        """Open a session; the file itself is opened by what is asked of it."""
        session = DuckdbSession(self, ctx)
        try:
            yield session
        finally:
            session.close()


class DuckdbSession:
    """Tests, Lists, ReadsRows, FiltersRows, WritesRows."""

    def __init__(self, connection: Duckdb, ctx: Context) -> None:
        """Hold what is needed to open the file."""
        self._ctx, self._path, self._read_only = ctx, connection.path, connection.read_only
        self._stages: list[DuckdbStage] = []
        self._open: list[Any] = []

    def close(self) -> None:
        """Close all that was opened; a stage that was not committed is rolled back."""
        for stage in self._stages:
            stage.abort()
        for each in reversed(self._open):  # streams before their connection: DuckDB waits for them for ever otherwise
            each.close()

    def _link(self, *, write: bool = False) -> Any:
        for suffix in COMPANIONS:
            if beside := self._ctx.files.companion(self._path, suffix):
                beside.close()
        if not write and not self._ctx.files.exists(self._path):
            raise MissingFile(
                "There is no such database file.", where=self._path, hint="Check the path of the connection."
            )
        path = self._ctx.files.resolve(self._path)
        return connect(path, self._path, self._ctx.cancelled, read_only=self._read_only)

    def test(self) -> str:
        """Open the file and return the version of DuckDB and the number of tables."""
        with closing(self._link()) as link, told(self._path):
            version = link.execute("select system.main.version()").fetchone()[0]
            count = len(self._found(link))
            return f"DuckDB {version}, {count} tables and views"

    @staticmethod
    def _found(link: Any) -> list[tuple[str, str, str]]:
        found = link.execute(
            "select schema_name, table_name, 'table' from system.main.duckdb_tables() "
            "where database_name = current_database() and not internal and not temporary "
            "union all select schema_name, view_name, 'view' from system.main.duckdb_views() "
            "where database_name = current_database() and not internal and not temporary"
        ).fetchall()
        return [each for each in found if each[1] != MARKERS]

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield tables and views, sorted by name, whose name begins with ``under``; those of ``main`` without it."""
        with closing(self._link()) as link, told(self._path):
            found = self._found(link)
        entries = [Entry(tables.spell_item(None if home == "main" else home, name), kind) for home, name, kind in found]  # type: ignore[arg-type]
        yield from sorted(entry for entry in entries if entry.name.startswith(under))

    def read(self, ask: Read) -> pa.RecordBatchReader:
        """Return the rows lazily, all from one moment (one transaction)."""
        import pyarrow as pa

        link, wanted, source, where = self._look(ask)
        new, values = condition(wanted, ask.since)
        query = f"select {', '.join(column.select() for column in wanted)} from {source}"  # noqa: S608 - names from the live catalogue, quoted
        query += f" where {new}" if new else ""
        query += f" limit {int(ask.limit)}" if ask.limit is not None else ""
        with told(where):
            stream = link.execute(query, values).to_arrow_reader(_CHUNK_ROWS)
        self._open.append(stream)
        rows = pa.schema([column.field() for column in wanted])
        return pa.RecordBatchReader.from_batches(rows, self._batches(stream, wanted, rows, where))

    def filters(self, ask: Read) -> bool:
        """Tell whether DuckDB leaves out rows below ``ask.since``."""
        return condition(self._look(ask)[1], ask.since)[0] != ""

    def _look(self, ask: Read) -> tuple[Any, list[Column], str, str]:
        """Begin a transaction that sees one moment; return it, the columns asked for, the table in SQL, in errors."""
        link = self._link()
        self._open.append(link)
        where = f"{self._path}: {ask.item}"
        schema, name = tables.split_item(ask.item, check_name)
        with told(where):
            link.execute("begin transaction read only")
            place = (link.execute("select current_database()").fetchone()[0], schema or "main", name)
            found = columns(link, *place)
            if not found:
                raise Missing(f"There is no table or view {shown(ask.item)}.", where=self._path)
            return link, tables.choose(found, ask, where), quoted(*place), where

    def keys(self, item: str) -> Keys:
        """Return the primary key of a table and what it says is unique."""
        schema, name = tables.split_item(item, check_name)
        with closing(self._link()) as link, told(self._path):
            place = (link.execute("select current_database()").fetchone()[0], schema or "main", name)
            if not columns(link, *place):
                raise Missing(f"There is no table or view {shown(item)}.", where=self._path)
            return keys(link, *place)

    def _batches(
        self, stream: pa.RecordBatchReader, wanted: list[Column], schema: pa.Schema, where: str
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches of about ``BATCH_BYTES``."""
        before = 0
        held: list[pa.RecordBatch] = []
        while (chunk := self._next(stream, where)) is not None:
            held.append(chunk)
            rows = sum(each.num_rows for each in held)
            if sum(each.nbytes for each in held) >= BATCH_BYTES or rows >= _MAX_ROWS:
                yield _batch(held, wanted, schema, before, where)
                before, held = before + rows, []
        if held:
            yield _batch(held, wanted, schema, before, where)

    def _next(self, stream: pa.RecordBatchReader, where: str) -> pa.RecordBatch | None:
        import pyarrow as pa

        if self._ctx.cancelled():
            raise Cancelled("Cancelled while reading.", where=where)
        try:
            with told(where):
                return stream.read_next_batch()
        except StopIteration:
            return None
        except (pa.ArrowException, OSError) as fault:  # DuckDB's errors come through Arrow, with values in their text
            if (unfit := too_long(str(fault), where)) is not None:
                raise unfit from None
            if "Permission Error" in str(fault):
                raise Failed("The database's schema asks for something that is not allowed.", where=where) from None
            raise Failed("DuckDB could not go on reading.", where=where, hint="Does the view fail in DuckDB?") from None

    def stage(
        self, item: str, schema: pa.Schema, mode: Mode, marker: Marker, target: Target = PLAIN
    ) -> Stage:  # fmt: skip
        """Begin a load in one transaction of its own: nobody sees anything of it before ``commit``."""
        home, name = tables.split_item(item, check_name)
        if self._read_only:
            raise Failed("The connection says read_only.", where=self._path, hint="Leave it out to write.")
        while True:
            file = File.look(self._ctx.files, self._path)
            stage = DuckdbStage(
                self._link(write=True), file, (home or "main", name), schema, mode, marker, self._ctx.log, target
            )
            self._stages.append(stage)
            try:
                stage.begin()
            except Vanished:  # it was new, and another load that failed took it away again
                stage.abort()
            except BaseException:
                stage.abort()
                raise
            else:
                return stage


def _batch(
    held: list[pa.RecordBatch], wanted: list[Column], schema: pa.Schema, before: int, where: str
) -> pa.RecordBatch:
    import pyarrow as pa

    whole = pa.concat_batches(held) if len(held) > 1 else held[0]
    arrays = []
    for column, array in zip(wanted, whole.columns, strict=True):
        try:
            arrays.append(convert(array, column.kind))
        except Unfit as fault:
            place = f"{where}: column {column.name}, row {before + fault.row + 1}"
            raise DataError(
                fault.reason, where=place, hint=f"The column is {column.declared}; cast it in a view."
            ) from None
    made = pa.RecordBatch.from_arrays(arrays, schema=schema)
    try:
        made.validate(full=True)  # the file is not trusted to hold UTF-8 where it says text
    except pa.ArrowInvalid:
        raise DataError("A text is not valid UTF-8.", where=where) from None
    return made
