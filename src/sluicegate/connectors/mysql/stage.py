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
from typing import TYPE_CHECKING, ClassVar
from zlib import crc32

from sluicegate.base.errors import Constraint, DataError, Failed, Invalid, SluiceError
from sluicegate.connectors.mysql import catalogue
from sluicegate.connectors.mysql.link import check_name, explain, listed, made_up, quoted, told
from sluicegate.connectors.mysql.wire import Plan, insert_sql, load_rows, load_sql, plan
from sluicegate.kit import loading
from sluicegate.kit.mode import Keyed, Replace, Truncate
from sluicegate.kit.rows import Receipt
from sluicegate.kit.text import Unfit
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sluicegate.connectors.mysql.protocol import Link
    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker
    from sluicegate.kit.target import Ddl, Target

MARKERS = "_sluicegate_loads"
ASIDE = "_sluicegate_"
_ORDER = "_sluicegate_n"
_WAIT = 600
_PIECE = 4 << 20
"""Bytes of rows in one statement; max_allowed_packet is 16 MB or more."""


class MysqlStage(loading.Load):
    """See ``Stage``."""

    ddl: ClassVar[Ddl] = catalogue.DDL

    def __init__(
        self, link: Link, database: str, item: str, schema: pa.Schema, mode: Mode, marker: Marker, log: Log,
        target: Target,
    ) -> None:  # fmt: skip
        """Take over ``link``, which is in autocommit mode; ``begin`` starts the transaction."""
        super().__init__(f"{database}: {item}", schema, mode, marker, log, target)
        self._link, self._item, self._database = link, item, database
        for name in self._names:
            check_name(name)
        self._plans: list[Plan] = []
        self._into, self._aside, self._staged, self._old = item, "", "", False

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
        self._check_asked()

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
                self._anew(fault)
                self._old = True
            else:
                if self._keys and not self._is_unique():
                    raise self._missing_index()
                if isinstance(self._mode, Replace | Truncate | Keyed):
                    self._stage(self._item)
                return
        else:
            self._check_create()
        self._aside = self._into = self._make()
        self._plans = self._plan(self._aside)
        if self._last:
            self._stage(self._aside)

    def _make(self) -> str:
        """Make the new table aside; its key comes after the rows: one sort instead of a look-up a row."""
        name = made_up()
        self._hold(name, 0)
        parts, behind = [self._declared(field) for field in self._schema], self._goal.table.behind(self.ddl)
        self._link.run(f"create table {name} ({', '.join(parts)}) engine = innodb character set utf8mb4{behind}")
        return name

    def _declared(self, field: pa.Field) -> str:
        wanted = self._goal.table.types.get(field.name, "")
        return f"{quoted(field.name)} {catalogue.declare(self._link, field, self._primary, wanted)}"

    def _add_column(self, field: pa.Field) -> None:
        self._link.run(f"alter table {quoted(self._item)} add column {self._declared(field)}")

    def _widen(self, field: pa.Field, column: catalogue.Column) -> None:
        if not column.required or column.counts:  # MODIFY would lose it
            raise DataError(
                "The column has a default, and cannot be widened.", where=f"{self._where}: column {field.name}",
                hint="Widen it by hand.",
            )  # fmt: skip
        kind = catalogue.declare(self._link, field, (), nullable=column.nullable)
        self._link.run(f"alter table {quoted(self._item)} modify column {quoted(field.name)} {kind}")

    def _stage(self, like: str) -> None:
        """Make a temporary table whose columns are those of ``like``, with the place of each row when order matters."""
        self._staged = self._into = made_up()
        order = ""
        if self._last:
            order = f"({_ORDER} bigint unsigned not null auto_increment primary key) "
        self._link.run(
            f"create temporary table {self._staged} {order}engine = innodb "  # noqa: S608 - quoted
            f"as select {listed(self._names)} from {quoted(like)} limit 0"
        )

    def _plan(self, table: str) -> list[Plan]:
        found = self._altered(lambda: catalogue.columns(self._link, table))
        return [plan(field, column, self._where) for field, column in self._fit(found)]

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
            batch = self._taken(batch)
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
                if self._aside:
                    self._show()
                else:
                    self._land()
        except BaseException:
            self.abort()
            raise
        self._close()
        return self._receipt()

    def _land(self) -> None:
        """Finish in the transaction that the rows came in."""
        rows, names, target = self._rows, listed(self._names), quoted(self._item)
        if isinstance(self._mode, Keyed):
            self._merge(self._mode)
        elif self._staged:
            self._changes["deleted"] = self._link.run(f"delete from {target}")  # noqa: S608 - quoted
            came = self._link.run(f"insert into {target} ({names}) select {names} from {self._staged}")  # noqa: S608 - quoted
            if came != rows:
                raise DataError(f"{rows} rows were sent, {came} arrived.", where=self._where)
        self._mark(rows)
        self._link.run("commit")

    def _mark(self, rows: int) -> None:
        self._link.run(f"insert into {MARKERS} (run, segment, `rows`) values (%s, %s, %s)", *self._marker, rows)  # noqa: S608 - our own name

    def _show(self) -> None:
        """Give the table that was built aside its name."""
        rows = self._rows
        self._changes["inserted"] = rows
        if self._staged and isinstance(self._mode, Keyed):
            names = listed(self._names)
            won = self._winners(self._mode, names)
            self._changes["inserted"] = self._link.run(f"insert into {self._aside} ({names}) {won}")
        elif self._keys:
            self._refuse_repeated(self._aside)
        self._link.run("commit")
        self._link.run(f"alter table {self._aside} {self._keying()}comment = %s", f"{self._note}{rows}")
        swap = f"{quoted(self._item)} to {(old := made_up())}, " if self._old else ""
        if self._old:
            self._hold(old, 0)
        self._link.run(f"rename table {swap}{self._aside} to {quoted(self._item)}")
        self._aside = ""
        self._mark(rows)  # the comment says it already, until another load takes the table's place
        if self._old:
            self._link.run(f"drop table {old}")

    def _keying(self) -> str:
        """Return what ALTER TABLE adds as keys of a new table."""
        made = [f"add primary key ({listed(self._primary)})"] if self._primary else []
        for each in self._indexes:
            if any(plan.column.base.endswith(("text", "blob")) for plan in self._plans if plan.name in each.columns):
                self._log("an index is not copied: texts of any length cannot be in it", columns=list(each.columns))
            else:
                made.append(f"add {'unique ' if each.unique else ''}key ({listed(each.columns)})")
        return "".join(f"{each}, " for each in made)

    def _merge(self, mode: Keyed) -> None:
        staged, names = self._staged, listed(self._names)
        if self._last:
            once = made_up()
            self._link.run(f"create temporary table {once} engine = innodb as {self._winners(mode, names)}")
            staged = once
        else:
            self._refuse_repeated(staged)
        self._link.run(f"alter table {staged} add primary key ({listed(mode.keys)})")
        self._link.run("start transaction")  # ALTER TABLE has ended the one before, of a temporary table, too
        self._apply(quoted(self._item), staged, self._link.run)

    def _same(self) -> str:
        return " and ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in self._keys)

    def _update(self, table: str, source: str, rest: Sequence[str]) -> str:
        sets = ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in rest)
        return f"update {table} t join {source} s on {self._same()} set {sets}"  # noqa: S608 - quoted

    def _delete(self, table: str, source: str) -> str:
        return f"delete t from {table} t join {source} s on {self._same()}"

    def _insert(self, table: str, source: str, names: Sequence[str]) -> str:
        return (
            f"insert into {table} ({listed(tuple(names))}) select {listed_of('s', tuple(names))} from {source} s "  # noqa: S608 - quoted
            f"left join {table} t on {self._same()} where t.{quoted(self._keys[0])} is null "
            f"order by {listed_of('s', self._keys)}"
        )

    def _winners(self, mode: Keyed, names: str) -> str:
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
            raise loading.repeated(self._keys, values, self._where)

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
