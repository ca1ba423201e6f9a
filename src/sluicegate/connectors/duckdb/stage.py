"""A load into one DuckDB table: one transaction from the first row to the marker.

DuckDB's write-ahead log makes it all or nothing, also after ``kill -9``. A merge goes through a table of its own in
the same file and transaction. Replace keeps the table (with its indexes and constraints) when the columns fit, and
makes it anew when they do not.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.base.errors import DataError, Failed, Invalid
from sluicegate.connectors.duckdb.link import check_name, quoted, told
from sluicegate.connectors.duckdb.types import Column, columns, declare
from sluicegate.connectors.duckdb.wire import Plan, plan
from sluicegate.kit import tables
from sluicegate.kit.mode import Merge, Replace
from sluicegate.kit.rows import Receipt
from sluicegate.kit.text import Unfit, shown
from sluicegate.kit.types import is_open, to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.paths import Root
    from sluicegate.kit.rows import Marker

MARKERS = "_sluicegate_loads"
_STAGE = "_sluicegate_stage"
_BATCH = "_sluicegate_batch"
_RESERVED = frozenset({MARKERS, _STAGE, _BATCH})


class Vanished(Exception):
    """The file was taken away between its opening and its lock."""


class File(NamedTuple):
    """A database file, as it was found before it was opened."""

    files: Root
    path: str
    inode: int | None
    """``None`` when there was none: opening makes it."""

    @staticmethod
    def look(files: Root, path: str) -> File:
        """Look at what bears the name now."""
        return File(files, path, files.stat(path).inode if files.exists(path) else None)


class DuckdbStage(tables.Load):
    """See ``Stage``."""

    def __init__(
        self, link: Any, file: File, place: tuple[str, str], schema: pa.Schema, mode: Mode, marker: Marker, log: Log
    ) -> None:  # fmt: skip
        """Take over ``link``, which leads to ``file``; ``begin`` begins. ``place``: schema and table."""
        self._link, self._file, self._schema, self._mode, self._marker, self._log = (
            link,
            file,
            schema,
            mode,
            marker,
            log,
        )
        self._home, self._item = place
        self._where = f"{file.path}: {tables.spell_item(None if self._home == 'main' else self._home, self._item)}"
        self._names = [check_name(name) for name in schema.names]
        self._rows, self._bytes, self._open = 0, 0, True
        self._plans: list[Plan] = []
        self.done: Receipt | None = None

    @property
    def _keys(self) -> tuple[str, ...]:
        return self._mode.keys if isinstance(self._mode, Merge) else ()

    def begin(self) -> None:
        """Begin the transaction, look for the marker and make the table ready."""
        now = File.look(self._file.files, self._file.path)
        if now.inode is None or self._file.inode not in (None, now.inode):
            raise Vanished
        if self._file.inode is None:
            self._file.files.resolve(self._file.path).chmod(0o600)
        self._check_names()
        with told(self._where):
            self._link.execute("begin")
            self._database = self._link.execute("select current_database()").fetchone()[0]
            self._table, self._markers, self._staged = (
                quoted(self._database, self._home, name) for name in (self._item, MARKERS, _STAGE)
            )
            self._link.execute(
                f'create table if not exists {self._markers} (run varchar, segment varchar, "rows" bigint not null, '
                '"at" timestamptz not null, primary key (run, segment))'
            )
            found = self._link.execute(
                f'select "rows" from {self._markers} where run = ? and segment = ?', tuple(self._marker)  # noqa: S608 - quoted
            ).fetchone()  # fmt: skip
            if found:
                self.done = Receipt(rows=found[0], repeated=True)
                self._close()
                return
            self._prepare()

    def _check_names(self) -> None:
        if self._item.lower() in _RESERVED:
            raise Invalid("This name is kept for other uses.", where=self._where)
        if not self._names:
            raise Invalid("A table needs columns.", where=self._where)
        first: dict[str, str] = {}
        for name in self._names:
            if (twin := first.get(name.lower())) is not None:
                raise Invalid(
                    f"DuckDB cannot tell the columns {twin!r} and {name!r} apart.", where=self._where,
                    hint="Rename one of them in a map step.",
                )  # fmt: skip
            first[name.lower()] = name
        for name in (*self._keys, *(self._mode.order_by if isinstance(self._mode, Merge) else ())):
            if name not in self._names:
                raise DataError(f"The key {shown(name)} is not a column.", where=self._where)

    def _prepare(self) -> None:
        existing = columns(self._link, self._database, self._home, self._item)
        if existing and isinstance(self._mode, Replace):
            try:
                self._plans = self._plan(existing)
            except DataError as fault:
                self._log("table is made anew: its columns differ", table=self._item, why=str(fault))
                self._link.execute(f"drop table {self._table}")
                existing = []
            else:
                self._link.execute(f"delete from {self._table}")  # noqa: S608 - quoted
        elif existing:
            self._plans = self._plan(existing)
            if self._keys and not self._unique():
                raise Failed(
                    f"Merge needs a unique index on {', '.join(self._keys)}.", where=self._where,
                    hint="Create one, or let the first run make the table.",
                )  # fmt: skip
        if not existing:
            self._make()
            self._plans = self._plan(columns(self._link, self._database, self._home, self._item))
        into = self._table
        if self._keys:
            into = self._staged
            self._link.execute(
                f"create table {into} as select {_list(self._names)} from {self._table} limit 0"  # noqa: S608 - quoted
            )
        self._insert = (
            f"insert into {into} ({_list(self._names)}) select {', '.join(each.insert for each in self._plans)} "  # noqa: S608 - quoted
            f"from temp.main.{_BATCH}"
        )

    def _make(self) -> None:
        parts = [f"{quoted(field.name)} {declare(field)}" for field in self._schema]
        if self._keys:
            parts.append(f"primary key ({_list(self._keys)})")
        self._link.execute(f"create table {self._table} ({', '.join(parts)})")

    def _plan(self, existing: list[Column]) -> list[Plan]:
        by_name = {column.name: column for column in existing}
        if extra := [name for name in self._names if name not in by_name]:
            raise DataError(f"The table has no column {shown(extra[0])}.", where=self._where)
        if gone := [column.name for column in existing if column.required and column.name not in self._names]:
            raise DataError(f"The rows have no column {shown(gone[0])}, which the table has.", where=self._where)
        known = (
            field.with_type(by_name[field.name].kind) if is_open(field) and by_name[field.name].kind else field
            for field in self._schema
        )
        return [plan(field, by_name[field.name], self._labels, self._where) for field in known]

    def _labels(self, column: Column) -> list[str]:
        """Return the values of a column's ENUM."""
        query = f"select system.main.enum_range((select {quoted(column.name)} from {self._table} limit 0))"  # noqa: S608 - quoted
        return list(self._link.execute(query).fetchone()[0])

    def _unique(self) -> bool:
        wanted, place = sorted(self._keys), (self._database, self._home, self._item)
        where = "where database_name = ? and schema_name = ? and table_name = ?"
        found = self._link.execute(
            "select constraint_column_names from system.main.duckdb_constraints() "  # noqa: S608 - our own text
            f"{where} and constraint_type in ('PRIMARY KEY', 'UNIQUE')", place,
        ).fetchall()  # fmt: skip
        listed = self._link.execute(
            f"select expressions from system.main.duckdb_indexes() {where} and is_unique", place  # noqa: S608 - our own text
        ).fetchall()  # fmt: skip
        spelled = {f"[{', '.join(each)}]" for each in (self._keys, tuple(wanted), tuple(quoted(key) for key in wanted))}
        return any(sorted(each[0]) == wanted for each in found) or any(each[0] in spelled for each in listed)

    def write(self, batch: pa.RecordBatch) -> None:
        """Stage one batch. ``DataError`` names a value that does not fit, ``Constraint`` what is refused."""
        import pyarrow as pa

        try:
            tables.check_keys(batch, self._keys, self._where)
            arrays = []
            for each, column in zip(self._plans, batch.columns, strict=True):
                try:
                    arrays.append(each.encode(column))
                except Unfit as fault:
                    place = f"{self._where}: column {each.name}, row {self._rows + fault.row + 1}"
                    raise DataError(fault.reason, where=place) from None
            fields = [(each.name, array.type) for each, array in zip(self._plans, arrays, strict=True)]
            self._send(pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)))
        except BaseException:
            self.abort()
            raise
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def _send(self, batch: pa.RecordBatch) -> None:
        with told(self._where):
            self._link.register(_BATCH, batch)
            try:
                sent = self._link.execute(self._insert).fetchone()[0]
            finally:
                self._link.unregister(_BATCH)
        if sent != batch.num_rows:
            raise DataError(f"{batch.num_rows} rows were sent, {sent} arrived.", where=self._where)

    def _merge(self, mode: Merge) -> int:
        names, keys = _list(self._names), _list(mode.keys)
        rest = [name for name in self._names if name not in mode.keys]
        source = f"select {names} from {self._staged}"  # noqa: S608 - quoted
        if mode.duplicates == "last":
            order = ", ".join(f"{self._ordered(name)} desc nulls last" for name in mode.order_by)
            source += f" qualify row_number() over (partition by {keys} order by {order}, rowid desc) = 1"
        else:
            self._refuse_repeated(keys)
        update = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
        action = f"update set {update}" if rest else "nothing"
        merged = self._link.execute(
            f"insert into {self._table} ({names}) {source} on conflict ({keys}) do {action}"
        ).fetchone()[0]
        if not rest:
            merged = self._link.execute(f"select count(*) from ({source})").fetchone()[0]  # noqa: S608 - quoted
        self._link.execute(f"drop table {self._staged}")
        return int(merged)

    def _refuse_repeated(self, keys: str) -> None:
        row = self._link.execute(
            f"select {keys} from {self._staged} group by {keys} having count(*) > 1 order by {keys} limit 1"  # noqa: S608 - quoted
        ).fetchone()
        if row:
            raise tables.repeated(self._keys, row, self._where)

    def _ordered(self, name: str) -> str:
        kind = self._schema.field(name).type
        told_kind = to_name(kind)
        wide = told_kind.startswith("decimal(") and kind.precision > 38  # noqa: PLR2004 - it is stored as text
        if wide or told_kind in ("interval", "json") or told_kind.startswith(("list(", "struct(")):
            raise DataError(f"Rows cannot be ordered by {told_kind}.", where=f"{self._where}: column {name}")
        return quoted(name)

    def commit(self) -> Receipt:
        """Merge what is staged, set the marker and commit."""
        if not self._open:
            raise Failed("This load is over already.", where=self._where)
        try:
            with told(self._where):
                rows = self._merge(self._mode) if isinstance(self._mode, Merge) else self._rows
                self._link.execute(
                    f"insert into {self._markers} values (?, ?, ?, ?)", (*self._marker, rows, datetime.now(UTC))  # noqa: S608 - quoted
                )  # fmt: skip
                self._link.execute("commit")
        except BaseException:
            self.abort()
            raise
        self._close()
        return Receipt(rows=rows, bytes=self._bytes)

    def abort(self) -> None:
        """Roll back; nothing to do once finished. A file that this load made goes, while it is locked."""
        if self._open and self._file.inode is None and self.done is None:
            self._sweep()
        self._close()

    def _sweep(self) -> None:
        """Take away the file that opening has made, unless another load has landed in it meanwhile."""
        import _duckdb

        with suppress(_duckdb.Error):  # none had begun
            self._link.execute("rollback")
        with told(self._where):
            held = self._link.execute("select count(*) from system.main.duckdb_tables() where not temporary").fetchone()
        if held[0] == 0 and self._file.files.exists(self._file.path):
            self._file.files.delete(self._file.path)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._link.close()


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))
