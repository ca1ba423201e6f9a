"""A load into one SQLite table: one write transaction from the first row to the marker.

The rollback journal (or WAL) of the file makes it all or nothing, also after ``kill -9``. A merge goes through a
table of its own in the same file and transaction, clustered by the keys: it finds repeated keys and hands the rows
over in the order of the index. Replace keeps the table (with its indexes and triggers) when the columns fit, and
makes it anew when they do not.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.base.errors import DataError, Failed, Invalid, SluiceError
from sluicegate.connectors.sqlite.link import quoted, told
from sluicegate.connectors.sqlite.types import columns, declare, narrowed, to_storage
from sluicegate.kit import tables
from sluicegate.kit.mode import Merge, Replace
from sluicegate.kit.rows import Receipt
from sluicegate.kit.text import Unfit, exact, shown
from sluicegate.kit.types import is_open, to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.paths import Entry, Root
    from sluicegate.kit.rows import Marker

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


class SqliteStage(tables.Load):
    """See ``Stage``."""

    def __init__(
        self, link: sqlite3.Connection, file: File, item: str, schema: pa.Schema, mode: Mode, marker: Marker, log: Log
    ) -> None:  # fmt: skip
        """Take over ``link``, which leads to ``file``; ``begin`` starts the transaction."""
        self._link, self._item, self._schema, self._mode, self._marker, self._log = (
            link,
            item,
            schema,
            mode,
            marker,
            log,
        )
        self._file, self._bytes, self._fresh = file, 0, False
        self._where, self._table = f"{file.path}: {item}", quoted(item)
        self._names = list(schema.names)
        self._kinds = {field.name: field.type for field in schema}
        self._rows, self._open = 0, True
        self.done: Receipt | None = None
        self._into = ""

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

    def _prepare(self) -> None:
        existing = columns(self._link, self._item)
        keys = self._keys
        for name in (*keys, *(self._mode.order_by if isinstance(self._mode, Merge) else ())):
            if name not in self._names:
                raise DataError(f"The key {shown(name)} is not a column.", where=self._where)
        if existing and isinstance(self._mode, Replace):
            try:
                self._check(existing)
            except DataError as fault:
                self._log("table is made anew: its columns differ", table=self._item, why=str(fault))
                self._link.execute(f"drop table {self._table}")
                existing = []
                self._kinds = {field.name: field.type for field in self._schema}
            else:
                self._link.execute(f"delete from {self._table}")  # noqa: S608 - quoted
        elif existing:
            self._check(existing)
        if not existing:
            self._link.execute(self._definition(self._table, keys))
        elif keys and not self._unique(keys):
            raise Failed(
                f"Merge needs a unique index on {', '.join(keys)}.", where=self._where,
                hint="Create one, or let the first run make the table.",
            )  # fmt: skip
        self._into = self._table
        if isinstance(self._mode, Merge):
            self._into = _STAGE
            self._link.execute(self._definition(_STAGE, keys, clustered=self._mode.duplicates == "error"))
        self._insert = (
            f"insert into {self._into} ({self._list(self._names)}) values ({', '.join('?' * len(self._names))})"  # noqa: S608 - quoted
        )

    @staticmethod
    def _list(names: list[str] | tuple[str, ...]) -> str:
        return ", ".join(map(quoted, names))

    def _definition(self, table: str, keys: tuple[str, ...], *, clustered: bool | None = None) -> str:
        parts = [
            f"{quoted(field.name)} {declare(self._kinds[field.name])}" + " not null" * (field.name in keys)
            for field in self._schema
        ]
        if keys and clustered is not False:
            parts.append(f"primary key ({self._list(keys)})")
        return f"create table {table} ({', '.join(parts)})" + (" without rowid" if clustered else "")

    def _check(self, existing: list[Any]) -> None:
        by_name = {column.name: column for column in existing}
        if extra := [name for name in self._names if name not in by_name]:
            raise DataError(f"The table has no column {shown(extra[0])}.", where=self._where)
        if gone := [column.name for column in existing if column.required and column.name not in self._names]:
            raise DataError(f"The rows have no column {shown(gone[0])}, which the table has.", where=self._where)
        for field in self._schema:
            column = by_name[field.name]
            self._kinds[field.name] = column.kind if is_open(field) else narrowed(column, field.type, self._where)

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

    @property
    def _keys(self) -> tuple[str, ...]:
        return self._mode.keys if isinstance(self._mode, Merge) else ()

    def write(self, batch: pa.RecordBatch) -> None:
        """Stage one batch. ``DataError`` names a key that is NULL or repeated, ``Constraint`` what is refused."""
        tables.check_keys(batch, self._keys, self._where)
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
                    self._link.executemany(self._insert, zip(*values, strict=True))
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
        raise tables.repeated(self._keys, values, self._where) from None

    def _merge(self, mode: Merge) -> int:
        names, keys = self._list(self._names), self._list(mode.keys)
        rest = [name for name in self._names if name not in mode.keys]
        update = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
        source = _STAGE
        if mode.duplicates == "last":
            self._link.create_collation(_DECIMAL, _by_value)
            order = ", ".join(f"{self._ordered(name)} desc" for name in mode.order_by)
            ranked = f"row_number() over (partition by {keys} order by {order}, rowid desc) as sluicegate_rank"
            source = f"(select {names}, {ranked} from {_STAGE}) where sluicegate_rank = 1"  # noqa: S608 - quoted
        else:
            source += " where true"
        cursor = self._link.execute(
            f"insert into {self._table} ({names}) select {names} from {source} order by {keys} "  # noqa: S608 - quoted
            f"on conflict ({keys}) do " + (f"update set {update}" if rest else "nothing")
        )
        merged = cursor.rowcount
        if not rest:
            merged = self._link.execute(f"select count(*) from {source}").fetchone()[0]  # noqa: S608 - quoted
        self._link.execute(f"drop table {_STAGE}")
        return int(merged)

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
                rows = self._merge(self._mode) if isinstance(self._mode, Merge) else self._rows
                self._link.execute(
                    f"insert into {quoted(MARKERS)} values (?, ?, ?, ?)",  # noqa: S608 - our own name
                    (*self._marker, rows, datetime.now(UTC).isoformat(timespec="seconds")),
                )
                self._link.execute("commit")
        except BaseException:
            self.abort()
            raise
        self._close()
        return Receipt(rows=rows, bytes=self._bytes)

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
