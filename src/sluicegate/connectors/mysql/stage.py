"""A load into one MySQL or MariaDB table (InnoDB).

DDL commits by itself there, so two ways are needed for all or nothing:

*The table stays.* One transaction from the first row to the marker. Append goes straight into it. Replace and merge
fill a temporary table first and touch the target at the commit only: replace is DELETE and INSERT … SELECT, so that
grants, indexes, triggers and foreign keys stay and readers see the old rows until the commit (a swap by RENAME would
lose them, and could not carry the marker). Merge is an UPDATE with a join and an INSERT of what is left: ON DUPLICATE
KEY UPDATE would take any unique index for the key, and change the wrong row.

*The table is new, or gets other columns.* It is built aside under a name of its own, which the connection holds a
lock on; its comment carries the marker; RENAME TABLE shows it, and takes the old one away, in one step. What a killed
load has left aside is removed by the next.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

from sluicegate.base.errors import Constraint, DataError, Failed, Invalid, SluiceError
from sluicegate.connectors.mysql import catalogue
from sluicegate.connectors.mysql.link import check_name, explain, listed, made_up, quoted, told
from sluicegate.connectors.mysql.wire import Plan, insert_sql, load_rows, load_sql, plan
from sluicegate.kit import tables
from sluicegate.kit.mode import Merge, Replace
from sluicegate.kit.rows import Receipt
from sluicegate.kit.text import Unfit, shown
from sluicegate.kit.types import is_open, to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.connectors.mysql.protocol import Link
    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker

MARKERS = "_sluicegate_loads"
ASIDE = "_sluicegate_"
_ORDER = "_sluicegate_n"
_WAIT = 600
_PIECE = 4 << 20
"""Bytes of rows in one statement; max_allowed_packet is 16 MB or more."""


class MysqlStage(tables.Load):
    """See ``Stage``."""

    def __init__(
        self, link: Link, database: str, item: str, schema: pa.Schema, mode: Mode, marker: Marker, log: Log
    ) -> None:  # fmt: skip
        """Take over ``link``, which is in autocommit mode; ``begin`` starts the transaction."""
        self._link, self._item, self._schema, self._mode, self._marker, self._log = (
            link,
            item,
            schema,
            mode,
            marker,
            log,
        )
        self._database, self._where = database, f"{database}: {item}"
        self._names = [check_name(name) for name in schema.names]
        self._rows, self._bytes, self._open = 0, 0, True
        self._plans: list[Plan] = []
        self._into, self._aside, self._staged, self._old = item, "", "", False
        self.done: Receipt | None = None

    @property
    def _keys(self) -> tuple[str, ...]:
        return self._mode.keys if isinstance(self._mode, Merge) else ()

    @property
    def _note(self) -> str:
        return f"sluicegate load {self._marker.run}/{self._marker.segment} "

    def begin(self) -> None:
        """Look for the marker, make the table ready and begin the transaction."""
        self._check_names()
        with told(self._where):
            self._hold(f"sluicegate {crc32('/'.join((self._database, *self._marker)).encode()):x}", _WAIT)
            self._sweep()
            found = catalogue.find(self._link, self._item)
            if self._landed(found[2] if found else ""):
                return
            self._bulk = self._link.rows("select @@global.local_infile")[0][0] == b"1"
            self._prepare(found)
            self._link.run("start transaction")

    def _check_names(self) -> None:
        if self._item.lower().startswith(ASIDE):
            raise Invalid(f"Names that begin with {ASIDE} are kept for other uses.", where=self._where)
        check_name(self._item)
        if not self._names or len({name.lower() for name in self._names}) != len(self._names):
            raise Invalid("Columns need names that differ in more than capitals.", where=self._where)
        for name in (*self._keys, *(self._mode.order_by if isinstance(self._mode, Merge) else ())):
            if name not in self._names:
                raise DataError(f"The key {shown(name)} is not a column.", where=self._where)

    def _hold(self, name: str, seconds: int) -> None:
        """Take a lock that lasts as long as the connection."""
        if self._link.rows("select get_lock(%s, %s)", name, seconds)[0][0] != b"1":
            raise Failed("Another attempt of this load is still under way.", where=self._where)

    def _sweep(self) -> None:
        """Remove what killed loads have left aside: nobody holds its name."""
        for row in self._link.rows(
            "select table_name from information_schema.tables where table_schema = database() "
            r"and table_name regexp '^_sluicegate_[0-9a-f]{16}$'"
        ):
            name = catalogue.text(row[0])
            if self._link.rows("select is_free_lock(%s)", name)[0][0] == b"1":
                self._link.run(f"drop table if exists {quoted(name)}")

    def _landed(self, comment: str) -> bool:
        """Tell whether this load has landed before: by a marker, or by the comment of a table that was swapped in."""
        rows: int | None = None
        if comment.startswith(self._note):
            rows = int(comment.removeprefix(self._note))
        elif catalogue.find(self._link, MARKERS) is None:
            self._link.run(
                f"create table if not exists {MARKERS} (run varchar(128), segment varchar(128), "
                "`rows` bigint not null, at timestamp(6) not null default current_timestamp(6), "
                "primary key (run, segment)) engine = innodb character set utf8mb4 collate utf8mb4_bin"
            )
        elif found := self._link.rows(
            f"select `rows` from {MARKERS} where run = %s and segment = %s", *self._marker  # noqa: S608 - our own name
        ):  # fmt: skip
            rows = int(found[0][0] or 0)
        if rows is None:
            return False
        self.done = Receipt(rows=rows, repeated=True)
        self._close()
        return True

    def _prepare(self, found: tuple[str, str, str] | None) -> None:
        if found is not None:
            if found[0] == "view" or found[1].lower() != "innodb":
                raise Failed(
                    f"A load needs an InnoDB table, and this is a {found[1] or 'view'}.", where=self._where,
                    hint="Only InnoDB can take back what has not been committed.",
                )  # fmt: skip
            try:
                self._plans = self._plan(self._item)
            except DataError as fault:
                if not isinstance(self._mode, Replace):
                    raise
                self._log("table is made anew: its columns differ", table=self._item, why=str(fault))
                self._old = True
            else:
                if self._keys and not self._is_unique():
                    raise Failed(
                        f"Merge needs a unique index on {', '.join(self._keys)}.", where=self._where,
                        hint="Create one, or let the first run make the table.",
                    )  # fmt: skip
                if not isinstance(self._mode, Replace | Merge):
                    return
                self._stage(self._item)
                return
        self._aside = self._into = self._make()
        self._plans = self._plan(self._aside)
        if isinstance(self._mode, Merge) and self._mode.duplicates == "last":
            self._stage(self._aside)

    def _make(self) -> str:
        """Make the new table aside; its key comes after the rows: one sort instead of a look-up a row."""
        name = made_up()
        self._hold(name, 0)
        parts = [f"{quoted(field.name)} {catalogue.declare(self._link, field, self._keys)}" for field in self._schema]
        self._link.run(f"create table {name} ({', '.join(parts)}) engine = innodb character set utf8mb4")
        return name

    def _stage(self, like: str) -> None:
        """Make a temporary table whose columns are those of ``like``, with the place of each row when order matters."""
        self._staged = self._into = made_up()
        order = ""
        if isinstance(self._mode, Merge) and self._mode.duplicates == "last":
            order = f"({_ORDER} bigint unsigned not null auto_increment primary key) "
        self._link.run(
            f"create temporary table {self._staged} {order}engine = innodb "  # noqa: S608 - quoted
            f"as select {listed(self._names)} from {quoted(like)} limit 0"
        )

    def _plan(self, table: str) -> list[Plan]:
        found = catalogue.columns(self._link, table)
        by_name = {column.name: column for column in found}
        for name in self._names:
            if name not in by_name:
                raise DataError(f"The table has no column {shown(name)}.", where=self._where)
            if not by_name[name].writable:
                raise DataError("The database computes this column itself.", where=f"{self._where}: column {name}")
        for column in found:
            if column.required and column.name not in self._names:
                raise DataError(
                    f"The rows have no column {shown(column.name)}, which the table has.", where=self._where
                )
        known = (
            field.with_type(by_name[field.name].kind)
            if is_open(field) and by_name[field.name].kind
            else field  # no row, so no type to contradict
            for field in self._schema
        )
        return [plan(field, by_name[field.name], self._where) for field in known]

    def _is_unique(self) -> bool:
        rows = self._link.rows(
            "select index_name, column_name, sub_part from information_schema.statistics "
            "where table_schema = database() and table_name = %s and non_unique = 0", self._item,
        )  # fmt: skip
        indexes: dict[str, set[str]] = {}
        for index, column, part in rows:
            indexes.setdefault(catalogue.text(index), set()).add(catalogue.text(column) if part is None else "")
        return set(self._keys) in indexes.values()

    def write(self, batch: pa.RecordBatch) -> None:
        """Send one batch. ``DataError`` and ``Constraint`` name column and row of what does not fit."""
        try:
            tables.check_keys(batch, self._keys, self._where)
            texts = []
            for each, column in zip(self._plans, batch.columns, strict=True):
                if column.null_count and not each.column.nullable:
                    what = "AUTO_INCREMENT would make a number of it" if each.column.counts else "NOT NULL"
                    raise Constraint(f"The target refuses a row: {what}.", where=f"{self._where}: column {each.name}")
                try:
                    texts.append(each.encode(column))
                except Unfit as fault:
                    place = f"{self._where}: column {each.name}, row {self._rows + fault.row + 1}"
                    raise DataError(fault.reason, where=place) from None
            pieces = -(-sum(each.nbytes for each in texts) // _PIECE)
            rows = max(1, -(-batch.num_rows // max(pieces, 1)))
            for start in range(0, batch.num_rows, rows):
                self._send([each.slice(start, rows) for each in texts])
        except BaseException:
            self.abort()
            raise

    def _send(self, texts: list[pa.Array]) -> None:
        """Carry out one statement, and see that it has taken every row as it is.

        LOAD DATA LOCAL skips and bends rows that do not fit and says so in warnings only, whatever the SQL mode.
        """
        count = len(texts[0])
        with told(self._where, self._rows):
            if self._bulk:
                name = made_up()
                data = load_rows(texts)
                sent = self._link.load(load_sql(self._into, self._plans, name), name, data)
            else:
                data = memoryview(insert_sql(self._into, self._plans, texts))
                sent = self._link.query(bytes(data))
            if self._link.warnings:
                _, number, text = self._link.rows("show warnings limit 1")[0]
                raise explain(int(number or 0), catalogue.text(text), self._where, self._rows)
        if sent != count:
            raise DataError(f"{count} rows were sent, {sent} arrived.", where=self._where)
        self._rows += count
        self._bytes += len(data)

    def commit(self) -> Receipt:
        """Bring the rows into the target, set the marker and commit."""
        if not self._open:
            raise Failed("This load is over already.", where=self._where)
        try:
            with told(self._where):
                rows = self._show() if self._aside else self._land()
        except BaseException:
            self.abort()
            raise
        self._close()
        return Receipt(rows=rows, bytes=self._bytes)

    def _land(self) -> int:
        """Finish in the transaction that the rows came in."""
        rows, names, target = self._rows, listed(self._names), quoted(self._item)
        if isinstance(self._mode, Merge):
            rows = self._merge(self._mode)
        elif self._staged:
            self._link.run(f"delete from {target}")  # noqa: S608 - quoted
            came = self._link.run(f"insert into {target} ({names}) select {names} from {self._staged}")  # noqa: S608 - quoted
            if came != rows:
                raise DataError(f"{rows} rows were sent, {came} arrived.", where=self._where)
        self._mark(rows)
        self._link.run("commit")
        return rows

    def _mark(self, rows: int) -> None:
        self._link.run(f"insert into {MARKERS} (run, segment, `rows`) values (%s, %s, %s)", *self._marker, rows)  # noqa: S608 - our own name

    def _show(self) -> int:
        """Give the table that was built aside its name."""
        rows, keys = self._rows, listed(self._keys)
        if self._staged and isinstance(self._mode, Merge):
            names = listed(self._names)
            rows = self._link.run(f"insert into {self._aside} ({names}) {self._last(self._mode, names)}")
        elif self._keys:
            self._refuse_repeated(self._aside)
        self._link.run("commit")
        key = f"add primary key ({keys}), " if keys else ""
        self._link.run(f"alter table {self._aside} {key}comment = %s", f"{self._note}{rows}")
        swap = f"{quoted(self._item)} to {(old := made_up())}, " if self._old else ""
        if self._old:
            self._hold(old, 0)
        self._link.run(f"rename table {swap}{self._aside} to {quoted(self._item)}")
        self._aside = ""
        self._mark(rows)  # the comment says it already, until another load takes the table's place
        if self._old:
            self._link.run(f"drop table {old}")
        return rows

    def _merge(self, mode: Merge) -> int:
        target, staged, names = quoted(self._item), self._staged, listed(self._names)
        if mode.duplicates == "last":
            once = made_up()
            self._link.run(f"create temporary table {once} engine = innodb as {self._last(mode, names)}")
            staged = once
        else:
            self._refuse_repeated(staged)
        self._link.run(f"alter table {staged} add primary key ({listed(mode.keys)})")
        self._link.run("start transaction")  # ALTER TABLE has ended the one before, of a temporary table, too
        same = " and ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in mode.keys)
        rest = [name for name in self._names if name not in mode.keys]
        if rest:
            sets = ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in rest)
            self._link.run(f"update {target} t join {staged} s on {same} set {sets}")  # noqa: S608 - quoted
        self._link.run(
            f"insert into {target} ({names}) select {listed_of('s', self._names)} from {staged} s "  # noqa: S608 - quoted
            f"left join {target} t on {same} where t.{quoted(mode.keys[0])} is null "
            f"order by {listed_of('s', mode.keys)}"
        )
        return int(self._link.rows(f"select count(*) from {staged}")[0][0] or 0)  # noqa: S608 - our own name

    def _last(self, mode: Merge, names: str) -> str:
        """Return the query of the rows that win among those with the same keys."""
        order = ", ".join(f"{quoted(self._ordered(name))} desc" for name in mode.order_by)  # NULL is the least here
        return (
            f"select {names} from (select {names}, row_number() over (partition by {listed(mode.keys)} "  # noqa: S608 - quoted
            f"order by {order}, {_ORDER} desc) as _sluicegate_rank from {self._staged}) r where _sluicegate_rank = 1"
        )

    def _ordered(self, name: str) -> str:
        kind = to_name(self._schema.field(name).type)
        column = next(each.column for each in self._plans if each.name == name)
        as_text = column.base.endswith("text") and kind != "text"
        if as_text or kind in ("interval", "json") or kind.startswith(("list(", "struct(")):
            raise DataError(f"Rows cannot be ordered by {kind}.", where=f"{self._where}: column {name}")
        return name

    def _refuse_repeated(self, table: str) -> None:
        """Raise ``DataError`` with the first key that two rows have, as the table compares them."""
        keys = listed(self._keys)
        rows = self._link.rows(
            f"select {keys} from {table} group by {keys} having count(*) > 1 order by {keys} limit 1"  # noqa: S608 - quoted
        )
        if rows:
            values = (bytes(each or b"").decode("utf-8", "backslashreplace") for each in rows[0])
            raise tables.repeated(self._keys, values, self._where)

    def abort(self) -> None:
        """Roll back and remove what was built aside. Nothing to do once finished."""
        if self._open and self._aside:
            with suppress(SluiceError), told(self._where):  # gone, or unreachable: then the next load removes it
                self._link.run("rollback")
                self._link.run(f"drop table if exists {self._aside}")
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._link.drop()


def listed_of(alias: str, names: list[str] | tuple[str, ...]) -> str:
    """Return quoted names of one table of a join, with commas."""
    return ", ".join(f"{alias}.{quoted(name)}" for name in names)
