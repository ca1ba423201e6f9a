"""A load into one SQLite table: one write transaction from the first row to the marker.

The rollback journal (or WAL) of the file makes it all or nothing, also after ``kill -9``. A merge goes through a
table of its own in the same file and transaction, clustered by the keys: it finds repeated keys and hands the rows
over in the order of the index. Replace keeps the table (with its indexes and triggers) when the columns fit, and
makes it anew when they do not.
"""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sluicegate.base.errors import DataError, Failed, Invalid, SluiceError
from sluicegate.connectors.sqlite.link import quoted, told
from sluicegate.connectors.sqlite.types import DDL, Column, columns, declare, narrowed, to_storage
from sluicegate.kit import loading
from sluicegate.kit.mode import Keyed, Replace, Truncate
from sluicegate.kit.rows import Receipt
from sluicegate.kit.text import Unfit, exact
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.paths import Entry, Root
    from sluicegate.kit.rows import Marker
    from sluicegate.kit.target import Ddl, Target

MARKERS = "_sluicegate_loads"
_STAGE = quoted("_sluicegate_stage")
_DECIMAL = "sluicegate_decimal"


class Vanished(Exception):
    """The file was taken away between its opening and its lock."""


class File(NamedTuple):
    """A database file, as it was found before it was opened."""

    files: Root
    path: str
    inode: int

    def entry(self) -> Entry | None:
        """Return what bears its name now."""
        return self.files.stat(self.path) if self.files.exists(self.path) else None


class SqliteStage(loading.Load):
    """See ``Stage``."""

    ddl: ClassVar[Ddl] = DDL

    def __init__(
        self, link: sqlite3.Connection, file: File, item: str, schema: pa.Schema, mode: Mode, marker: Marker, log: Log,
        target: Target,
    ) -> None:  # fmt: skip
        """Take over ``link``, which leads to ``file``; ``begin`` starts the transaction."""
        super().__init__(f"{file.path}: {item}", schema, mode, marker, log, target)
        self._link, self._item, self._file, self._fresh = link, item, file, False
        self._table, self._into = quoted(item), ""
        self._kinds = {field.name: field.type for field in schema}

    def begin(self) -> None:
        """Take the write lock, look for the marker and make the table ready."""
        try:
            with told(self._where):
                self._link.execute("begin immediate")
        except SluiceError:
            self._look()  # SQLite notices it, too, and says that the file cannot be opened
            raise
        self._look()
        self._check_names()
        with told(self._where):
            self._link.execute(
                f"create table if not exists {quoted(MARKERS)} (run text not null, segment text not null, "
                "rows integer not null, at text not null, primary key (run, segment))"
            )
            found = self._link.execute(
                f"select rows from {quoted(MARKERS)} where run = ? and segment = ?", tuple(self._marker)  # noqa: S608 - our own name
            ).fetchone()  # fmt: skip
            if found:
                self.done = Receipt(rows=found[0], repeated=True)
                self._close()
                return
            self._prepare()

    def _look(self) -> None:
        """See under the lock whether this is still the file that was opened, and whether anybody has used it before."""
        now = self._file.entry()
        if now is None or now.inode != self._file.inode:
            raise Vanished
        self._fresh = now.bytes == 0

    def _check_names(self) -> None:
        if self._item == MARKERS or self._item.lower().startswith("sqlite_"):
            raise Invalid("This name is kept for other uses.", where=self._where)
        if not self._names:
            raise Invalid("A table needs columns.", where=self._where)
        first: dict[str, str] = {}
        for name in self._names:
            if (twin := first.get(name.lower())) is not None:
                raise Invalid(
                    f"SQLite cannot tell the columns {twin!r} and {name!r} apart.", where=self._where,
                    hint="Rename one of them in a map step.",
                )  # fmt: skip
            first[name.lower()] = name
        self._check_asked()

    def _prepare(self) -> None:
        existing = columns(self._link, self._item)
        keys = self._keys
        if existing:
            try:
                self._check()
            except DataError as fault:
                self._anew(fault)
                self._link.execute(f"drop table {self._table}")
                existing = []
                self._kinds = {field.name: field.type for field in self._schema}
            else:
                if isinstance(self._mode, Replace | Truncate):
                    self._changes["deleted"] = self._link.execute(f"delete from {self._table}").rowcount  # noqa: S608 - quoted
                if keys and not self._unique(keys):
                    raise self._missing_index()
        else:
            self._check_create()
        if not existing:
            self._make()
        self._into = self._table
        if keys:
            self._into = _STAGE
            self._link.execute(self._definition(_STAGE, keys, clustered=not self._last))
        self._send = (
            f"insert into {self._into} ({self._list(self._names)}) values ({', '.join('?' * len(self._names))})"  # noqa: S608 - quoted
        )

    @staticmethod
    def _list(names: list[str] | tuple[str, ...]) -> str:
        return ", ".join(map(quoted, names))

    def _definition(self, table: str, keys: tuple[str, ...], *, clustered: bool | None = None) -> str:
        parts = [self._declared(field) + " not null" * (field.name in keys) for field in self._schema]
        if keys and clustered is not False:
            parts.append(f"primary key ({self._list(keys)})")
        return f"create table {table} ({', '.join(parts)})" + (" without rowid" if clustered else "")

    def _make(self) -> None:
        """Make the table. What it is declared as says how values are stored, so look at it again."""
        self._link.execute(self._definition(self._table, self._primary) + self._goal.table.behind(self.ddl))
        for each in self._indexes:
            name, unique = quoted(f"{self._item[:64]}_{os.urandom(4).hex()}"), "unique " if each.unique else ""
            self._link.execute(f"create {unique}index {name} on {self._table} ({self._list(each.columns)})")
        if self._goal.table.types:
            self._check()

    def _declared(self, field: pa.Field) -> str:
        kind = self._goal.table.types.get(field.name, "").upper()
        return f"{quoted(field.name)} {kind or declare(self._kinds[field.name])}"

    def _add_column(self, field: pa.Field) -> None:
        self._link.execute(f"alter table {self._table} add column {self._declared(field)}")

    def _widen(self, field: pa.Field, column: Column) -> None:
        raise DataError(
            f"The column is {column.declared}, and SQLite cannot make {to_name(field.type)} of it.",
            where=f"{self._where}: column {field.name}", hint="Make the table anew: mode replace.",
        )  # fmt: skip

    def _check(self) -> None:
        for field, column in self._fit(self._altered(lambda: columns(self._link, self._item))):
            self._kinds[field.name] = narrowed(column, field.type, self._where)

    def _unique(self, keys: tuple[str, ...]) -> bool:
        wanted = set(keys)
        info = self._link.execute(f"pragma table_xinfo({self._table})").fetchall()
        if {name for _, name, _, _, _, key, _ in info if key} == wanted:
            return True
        for _, index, unique, _, partial in self._link.execute(f"pragma index_list({self._table})").fetchall():
            members = {each[2] for each in self._link.execute(f"pragma index_info({quoted(index)})")}
            if unique and not partial and members == wanted:
                return True
        return False

    def write(self, batch: pa.RecordBatch) -> None:
        """Stage one batch. ``DataError`` names a key that is NULL or repeated, ``Constraint`` what is refused."""
        batch = self._taken(batch)
        values = []
        for name, column in zip(self._names, batch.columns, strict=True):
            try:
                values.append(to_storage(exact(column, self._kinds[name])))
            except Unfit as fault:
                place = f"{self._where}: column {name}, row {self._rows + fault.row + 1}"
                raise DataError(fault.reason, where=place) from None
        before = self._link.total_changes
        try:
            with told(self._where):
                try:
                    self._link.executemany(self._send, zip(*values, strict=True))
                except sqlite3.IntegrityError as fault:
                    if self._into is _STAGE and "UNIQUE" in str(fault):
                        self._repeated([column[self._link.total_changes - before] for column in values])
                    raise
        except BaseException:
            self.abort()
            raise
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def _repeated(self, row: list[Any]) -> None:
        values = [row[self._names.index(name)] for name in self._keys]
        raise loading.repeated(self._keys, values, self._where) from None

    def _merge(self, mode: Keyed) -> None:
        names, keys = self._list(self._names), self._list(mode.keys)
        source = _STAGE
        if self._last:
            self._link.create_collation(_DECIMAL, _by_value)
            order = ", ".join(f"{self._ordered(name)} desc" for name in mode.order_by)
            ranked = f"row_number() over (partition by {keys} order by {order}, rowid desc) as sluicegate_rank"
            source = f"(select {names} from (select {names}, {ranked} from {_STAGE}) where sluicegate_rank = 1)"  # noqa: S608 - quoted
        self._apply(self._table, source, lambda sql: self._link.execute(sql).rowcount)
        self._link.execute(f"drop table {_STAGE}")

    def _ordered(self, name: str) -> str:
        kind = to_name(self._schema.field(name).type)
        if kind == "uint64" or kind.startswith("decimal("):
            return f"{quoted(name)} collate {_DECIMAL}"
        if kind in ("interval", "json") or kind.startswith(("list(", "struct(")):
            raise DataError(f"Rows cannot be ordered by {kind}.", where=f"{self._where}: column {name}")
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
                    f"insert into {quoted(MARKERS)} values (?, ?, ?, ?)",  # noqa: S608 - our own name
                    (*self._marker, self._rows, datetime.now(UTC).isoformat(timespec="seconds")),
                )
                self._link.execute("commit")
        except BaseException:
            self.abort()
            raise
        self._close()
        return self._receipt()

    def abort(self) -> None:
        """Roll back; nothing to do once finished. A file that holds nothing but this load goes, while it is locked."""
        if self._open and self._link.in_transaction:
            with told(self._where):
                if self._fresh:
                    self._file.files.delete(self._file.path)
                self._link.execute("rollback")
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._link.close()


def _by_value(left: str, right: str) -> int:
    first, second = Decimal(left), Decimal(right)
    return (first > second) - (first < second)
