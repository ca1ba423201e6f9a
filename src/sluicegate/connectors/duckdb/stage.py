"""A load into one DuckDB table: one transaction from the first row to the marker.

DuckDB's write-ahead log makes it all or nothing, also after ``kill -9``. A merge goes through a table of its own in
the same file and transaction. Replace keeps the table (with its indexes and constraints) when the columns fit, and
makes it anew when they do not.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sluicegate.base.errors import DataError, Failed, Invalid
from sluicegate.connectors.duckdb.link import check_name, quoted, told
from sluicegate.connectors.duckdb.types import DDL, Column, columns, declare
from sluicegate.connectors.duckdb.wire import Plan, plan
from sluicegate.kit import loading, tables
from sluicegate.kit.mode import Keyed, Merge, Replace, Truncate
from sluicegate.kit.rows import Receipt
from sluicegate.kit.text import Unfit
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.paths import Root
    from sluicegate.kit.rows import Marker
    from sluicegate.kit.target import Ddl, Target

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


class DuckdbStage(loading.Load):
    """See ``Stage``."""

    ddl: ClassVar[Ddl] = DDL

    def __init__(
        self, link: Any, file: File, place: tuple[str, str], schema: pa.Schema, mode: Mode, marker: Marker, log: Log,
        target: Target,
    ) -> None:  # fmt: skip
        """Take over ``link``, which leads to ``file``; ``begin`` begins. ``place``: schema and table."""
        home, self._item = place
        where = f"{file.path}: {tables.spell_item(None if home == 'main' else home, self._item)}"
        super().__init__(where, schema, mode, marker, log, target)
        self._link, self._file, self._home = link, file, home
        for name in self._names:
            check_name(name)
        self._plans: list[Plan] = []

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
        self._check_asked()

    def _prepare(self) -> None:
        existing = self._columns()
        if existing:
            try:
                self._plans = self._plan()
            except DataError as fault:
                self._anew(fault)
                self._link.execute(f"drop table {self._table}")
                existing = []
            else:
                if isinstance(self._mode, Replace | Truncate):
                    self._changes["deleted"] = self._count(f"delete from {self._table}")  # noqa: S608 - quoted
                if self._keys and not self._unique():
                    raise self._missing_index()
        else:
            self._check_create()
        if not existing:
            self._make()
            self._plans = self._plan()
        into = self._table
        if self._keys:
            into = self._staged
            self._link.execute(
                f"create table {into} as select {_list(self._names)} from {self._table} limit 0"  # noqa: S608 - quoted
            )
        self._sending = (
            f"insert into {into} ({_list(self._names)}) select {', '.join(each.insert for each in self._plans)} "  # noqa: S608 - quoted
            f"from temp.main.{_BATCH}"
        )

    def _make(self) -> None:
        parts = [self._declared(field) for field in self._schema]
        if self._primary:
            parts.append(f"primary key ({_list(self._primary)})")
        parts += [f"unique ({_list(each.columns)})" for each in self._indexes if each.unique]
        self._link.execute(f"create table {self._table} ({', '.join(parts)})")
        for each in self._indexes:
            if not each.unique:
                name = quoted(f"{self._item[:64]}_{os.urandom(4).hex()}")
                self._link.execute(f"create index {name} on {self._table} ({_list(each.columns)})")

    def _declared(self, field: pa.Field) -> str:
        return f"{quoted(field.name)} {self._goal.table.types.get(field.name) or declare(field)}"

    def _add_column(self, field: pa.Field) -> None:
        self._link.execute(f"alter table {self._table} add column {self._declared(field)}")

    def _widen(self, field: pa.Field, _column: Column) -> None:
        self._link.execute(
            f"alter table {self._table} alter column {quoted(field.name)} set data type {declare(field)}"
        )

    def _columns(self) -> list[Column]:
        return columns(self._link, self._database, self._home, self._item)

    def _plan(self) -> list[Plan]:
        found = self._fit(self._altered(self._columns))
        return [plan(field, column, self._labels, self._where) for field, column in found]

    def _count(self, sql: str) -> int:
        """Carry out a statement; return how many rows it has touched."""
        return int(self._link.execute(sql).fetchone()[0])

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
            taken = self._taken(batch)
            arrays = []
            for each, column in zip(self._plans, taken.columns, strict=True):
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
                sent = self._link.execute(self._sending).fetchone()[0]
            finally:
                self._link.unregister(_BATCH)
        if sent != batch.num_rows:
            raise DataError(f"{batch.num_rows} rows were sent, {sent} arrived.", where=self._where)

    def _merge(self, mode: Keyed) -> None:
        names, keys = _list(self._names), _list(mode.keys)
        source = f"select {names} from {self._staged}"  # noqa: S608 - quoted
        if self._last:
            order = ", ".join(f"{self._ordered(name)} desc nulls last" for name in mode.order_by)
            source += f" qualify row_number() over (partition by {keys} order by {order}, rowid desc) = 1"
        else:
            self._refuse_repeated(keys)
        rest = [name for name in self._names if name not in mode.keys]
        if isinstance(mode, Merge) and rest:
            update = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
            there = f"select 1 from {self._table} as t where {self._same()}"  # noqa: S608 - quoted
            self._changes["updated"] = self._count(f"select count(*) from ({source}) as s where exists ({there})")  # noqa: S608 - quoted
            merged = self._count(
                f"insert into {self._table} ({names}) {source} on conflict ({keys}) do update set {update}"
            )
            self._changes["inserted"] = merged - self._changes["updated"]
        else:
            self._apply(self._table, f"({source})", self._count)
        self._link.execute(f"drop table {self._staged}")

    def _refuse_repeated(self, keys: str) -> None:
        row = self._link.execute(
            f"select {keys} from {self._staged} group by {keys} having count(*) > 1 order by {keys} limit 1"  # noqa: S608 - quoted
        ).fetchone()
        if row:
            raise loading.repeated(self._keys, row, self._where)

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
                if isinstance(self._mode, Keyed):
                    self._merge(self._mode)
                self._link.execute(
                    f"insert into {self._markers} values (?, ?, ?, ?)", (*self._marker, self._rows, datetime.now(UTC))  # noqa: S608 - quoted
                )  # fmt: skip
                self._link.execute("commit")
        except BaseException:
            self.abort()
            raise
        self._close()
        return self._receipt()

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
