"""A load into one PostgreSQL table: one transaction from the first row to the marker.

Append copies straight into the table. Replace and merge copy into a temporary table and touch the target only at
the commit: replace empties it (TRUNCATE; DELETE when foreign keys point at it) and fills it, so that grants,
indexes and views stay and readers wait for moments only; a transaction that began before and looks at the table for
the first time after sees it empty, as PostgreSQL documents for TRUNCATE. When the columns differ, replace makes a
new table and swaps it in by name. Merge is one INSERT … ORDER BY keys ON CONFLICT; the other keyed modes are one
UPDATE, INSERT or DELETE over the stage.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from sluicegate.base.errors import DataError, Failed, Invalid
from sluicegate.connectors.postgres import catalogue, passage
from sluicegate.connectors.postgres.link import check_name, quoted, told
from sluicegate.connectors.postgres.wire import Encoder, Plan, passing, plan
from sluicegate.kit import loading
from sluicegate.kit.mode import Keyed, Merge, Replace, Truncate
from sluicegate.kit.rows import Parcel, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    import psycopg
    import pyarrow as pa

    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker
    from sluicegate.kit.target import Ddl, Target

MARKERS = "_sluicegate_loads"
_STAGE = "pg_temp._sluicegate_stage"
_ORDER = '"_sluicegate_n"'
_UNIQUE = """
select exists (
  select from pg_catalog.pg_index i where i.indrelid = %s and i.indisunique and i.indimmediate and i.indisvalid
  and i.indpred is null and i.indexprs is null and (
    select pg_catalog.array_agg(a.attname::text order by a.attname::text) from pg_catalog.pg_attribute a
    where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
  ) = %s)
"""


class PostgresStage(loading.Load):
    """See ``Stage``."""

    ddl: ClassVar[Ddl] = catalogue.DDL

    def __init__(
        self, link: psycopg.Connection[Any], database: str, item: str, schema: pa.Schema, mode: Mode, marker: Marker,
        log: Log, target: Target,
    ) -> None:  # fmt: skip
        """Take over ``link``, which is in autocommit mode; ``begin`` starts the transaction."""
        super().__init__(f"{database}: {item}", schema, mode, marker, log, target)
        self._link, self._item = link, item
        for name in self._names:
            check_name(name)
        self._plans: list[Plan] = []
        self._columns: list[catalogue.Column] = []
        self._target = self._into = self._swap = ""
        self._apart = isinstance(mode, Keyed)  # rows wait in a table of their own, whatever their types
        self._passing, self._plain, self._made = False, True, False
        self._late_key = False
        self._copying: AbstractContextManager[psycopg.Copy] | None = None

    def begin(self) -> None:
        """Look for the marker and make the table ready."""
        if not self._names or len(set(self._names)) != len(self._names):
            raise Invalid("Columns need names, each its own.", where=self._where)
        self._check_asked()
        with told(self._where):
            table = catalogue.find(self._link, self._item)
            schema, name = (table.schema, table.name) if table else catalogue.place(self._link, self._item)
            if name == MARKERS:
                raise Invalid("This name is kept for other uses.", where=self._where)
            self._target, self._markers = quoted(schema, name), quoted(schema, MARKERS)
            self._make_markers()
            self._link.autocommit = False
            if self._landed():
                return
            self._prepare(table, schema, name)

    def _make_markers(self) -> None:
        """Make the table of markers, in a transaction of its own, one maker at a time."""
        found = self._link.execute("select pg_catalog.to_regclass(%s) is not null", (self._markers,)).fetchone()
        if found and found[0]:
            return
        with self._link.transaction():
            self._link.execute("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext(%s))", (self._markers,))
            self._link.execute(
                f"create table if not exists {self._markers} (run text, segment text, rows bigint not null, "
                "at timestamptz not null default pg_catalog.now(), primary key (run, segment))".encode()
            )

    def _landed(self) -> bool:
        """Claim the marker. A second attempt that runs at the same time waits here for the end of the first."""
        claimed = self._link.execute(
            f"insert into {self._markers} (run, segment, rows) values (%s, %s, 0) on conflict do nothing".encode(),  # noqa: S608 - quoted
            self._marker,
        ).rowcount
        if claimed:
            return False
        row = self._link.execute(
            f"select rows from {self._markers} where run = %s and segment = %s".encode(), self._marker  # noqa: S608 - quoted
        ).fetchone()  # fmt: skip
        self.done = Receipt(rows=row[0] if row else 0, repeated=True)
        self._close()
        return True

    def _prepare(self, table: catalogue.Table | None, schema: str, name: str) -> None:
        into = self._into = self._target
        if table is not None:
            self._plain = table.plain
            try:
                self._plans = self._plan(table)
            except DataError as fault:
                self._anew(fault)
                self._swap = quoted(name)
                into = quoted(schema, f"_sluicegate_{os.urandom(8).hex()}")
            else:
                self._apart = self._apart or isinstance(self._mode, Replace | Truncate)
                if self._keys and not self._is_unique(table):
                    raise self._missing_index()
                return
        else:
            self._check_create()
        # A new table gets its rows first and its key after them: one sort instead of a look-up a row.
        self._late_key = isinstance(self._mode, Keyed) and not self._last
        self._made = True
        self._make(into)
        oid = self._link.execute("select %s::pg_catalog.regclass::oid", (into,)).fetchone()
        self._plans = self._plan(catalogue.Table(oid[0] if oid else 0, schema, name))
        self._apart = bool(self._keys) and not self._late_key
        self._into = into

    def _make(self, table: str) -> None:
        parts = [self._declared(field) for field in self._schema]
        if self._keys and not self._late_key:
            parts.append(f"primary key ({_list(self._keys)})")
        behind = self._goal.table.behind(self.ddl)
        self._link.execute(f"create table {table} ({', '.join(parts)}){behind}".encode())

    def _declared(self, field: pa.Field) -> str:
        return f"{quoted(field.name)} {self._goal.table.types.get(field.name) or catalogue.declare(field)}"

    def _add_column(self, field: pa.Field) -> None:
        self._link.execute(f"alter table {self._target} add column {self._declared(field)}".encode())

    def _widen(self, field: pa.Field, _column: catalogue.Column) -> None:
        name, kind = quoted(field.name), catalogue.declare(field)
        self._link.execute(f"alter table {self._target} alter column {name} type {kind}".encode())

    def _plan(self, table: catalogue.Table) -> list[Plan]:
        pairs = self._fit(self._altered(lambda: catalogue.columns(self._link, table)))
        self._columns = [column for _, column in pairs]
        return [plan(field, column, self._where) for field, column in pairs]

    def _is_unique(self, table: catalogue.Table) -> bool:
        row = self._link.execute(_UNIQUE, (table.oid, sorted(self._keys))).fetchone()
        return bool(row and row[0])

    def obstacle(self, source: list[catalogue.Column]) -> str:
        """Return why rows of these columns cannot be taken as COPY's binary form; empty when they will be."""
        if isinstance(self._mode, Keyed):
            return f"mode {self._mode.type} looks at each key"
        if [column.name for column in source] != self._names:  # somebody has changed the source since it was looked at
            return "the source has other columns"
        found = passage.obstacle(source, self._columns)
        if not found:
            self._passing = True
            self._plans = [passing(column) for column in self._columns]
        return found

    @property
    def _staged(self) -> bool:
        return self._apart or not _all_direct(self._plans)

    def _open_copy(self) -> None:
        into = self._into
        if self._staged:
            parts = [f"{quoted(each.name)} {each.staged}" for each in self._plans]
            if self._last:
                parts.append(f"{_ORDER} bigint generated always as identity")
            self._link.execute(
                f"create temp table {_STAGE.partition('.')[2]} ({', '.join(parts)}) on commit drop".encode()
            )
            into = _STAGE
        self._encoder = Encoder([] if self._passing else self._plans)
        self._cursor = self._link.cursor()
        self._copying = self._cursor.copy(f"copy {into} ({_list(self._names)}) from stdin (format binary)".encode())
        self._copy = self._copying.__enter__()
        self._send(self._encoder.begin())

    def _send(self, data: bytes) -> None:
        if data:
            self._bytes += len(data)
            self._copy.write(data)

    def write(self, batch: pa.RecordBatch | Parcel) -> None:
        """Stage one batch, or a parcel when no ``obstacle`` was found. ``DataError`` names what does not fit."""
        try:
            with told(self._where):
                if self._copying is None:
                    self._open_copy()
                self._send(batch.data if isinstance(batch, Parcel) else self._encoded(batch))
        except BaseException:
            self.abort()
            raise
        self._rows += batch.num_rows

    def _encoded(self, batch: pa.RecordBatch) -> bytes:
        return self._encoder.batch(self._taken(batch), self._rows, self._where)

    def commit(self) -> Receipt:
        """Finish the COPY, bring the rows into the target, complete the marker and commit."""
        if not self._open:
            raise Failed("This load is over already.", where=self._where)
        try:
            with told(self._where):
                if self._copying is None:
                    self._open_copy()
                self._send(self._encoder.finish())
                copying, self._copying = self._copying, None
                copying.__exit__(None, None, None)  # type: ignore[union-attr] # opened above
                if self._cursor.rowcount != self._rows:
                    raise DataError(f"{self._rows} rows were sent, {self._cursor.rowcount} arrived.", where=self._where)
                self._land()
                self._link.execute(
                    f"update {self._markers} set rows = %s, at = pg_catalog.clock_timestamp() "  # noqa: S608 - quoted
                    "where run = %s and segment = %s".encode(),
                    (self._rows, *self._marker),
                )
                self._link.commit()
        except BaseException:
            self.abort()
            raise
        self._close()
        return self._receipt()

    def _land(self) -> None:
        into = self._into
        if isinstance(self._mode, Keyed) and not self._late_key:
            self._merge(self._mode)
        elif self._staged:
            if isinstance(self._mode, Replace | Truncate) and into == self._target:
                self._empty()
            rows = self._link.execute(
                f"insert into {into} ({_list(self._names)}) select {self._inserts(self._plans)} from {_STAGE}".encode()  # noqa: S608 - quoted
            ).rowcount
            if rows != self._rows:
                raise DataError(f"{self._rows} rows were sent, {rows} arrived.", where=self._where)
        if self._late_key:
            self._add_key()
        if self._swap:
            self._link.execute(f"drop table {self._target}".encode())
            self._link.execute(f"alter table {into} rename to {self._swap}".encode())
        if self._made:
            self._copy_keys()

    def _copy_keys(self) -> None:
        """Give a new table, now that it has its rows, what it takes over from the source."""
        if self._primary and not self._keys:
            self._link.execute(f"alter table {self._target} add primary key ({_list(self._primary)})".encode())
        for each in self._indexes:
            unique = "unique " if each.unique else ""
            self._link.execute(f"create {unique}index on {self._target} ({_list(each.columns)})".encode())

    def _add_key(self) -> None:
        import psycopg

        keys = _list(self._keys)
        try:
            with self._link.transaction():  # a savepoint: the rows must stay to be looked at
                self._link.execute(f"alter table {self._into} add primary key ({keys})".encode())
        except psycopg.errors.UniqueViolation:
            self._refuse_repeated(keys, f"select {keys} from {self._into}")  # noqa: S608 - quoted
            raise
        self._changes["inserted"] = self._rows

    @staticmethod
    def _inserts(plans: list[Plan]) -> str:
        return ", ".join(each.insert for each in plans)

    def _empty(self) -> None:
        row = self._link.execute(
            "select exists (select from pg_catalog.pg_constraint "
            "where confrelid = %s::pg_catalog.regclass and contype = 'f')",
            (self._target,),
        ).fetchone()
        verb = "delete from" if row and row[0] else "truncate"
        self._link.execute(f"{verb} {self._target}".encode())

    def _merge(self, mode: Keyed) -> None:
        names, keys = _list(self._names), _list(mode.keys)
        source = f"select {', '.join(f'{each.insert} as {quoted(each.name)}' for each in self._plans)}"
        staged = f"{source} from {_STAGE}"
        if self._last:
            order = ", ".join(f"{quoted(name)} desc nulls last" for name in mode.order_by)
            source = (
                f"select distinct on ({keys}) {names} from ({source}, {_ORDER} from {_STAGE}) as t "  # noqa: S608 - quoted
                f"order by {keys}, {order}, {_ORDER} desc"
            )
        else:
            source = f"select {names} from ({staged}) as t order by {keys}"  # noqa: S608 - quoted
        rest = [name for name in self._names if name not in mode.keys]
        if isinstance(mode, Merge) and rest:
            self._upsert(source, staged, rest)
            return
        if not self._last:
            self._refuse_repeated(keys, staged)
        self._link.execute(f"analyze {_STAGE}".encode())  # what follows joins it
        self._apply(self._target, f"({source})", lambda sql: self._link.execute(sql.encode()).rowcount)

    def _upsert(self, source: str, staged: str, rest: list[str]) -> None:
        """Merge by one statement: the unique index itself says which rows are there, whoever else writes meanwhile."""
        import psycopg

        names, keys = _list(self._names), _list(self._keys)
        update = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
        insert = f"insert into {self._target} ({names}) {source} on conflict ({keys}) do update set {update}"
        if self._plain:  # xmax is 0 in a row that nobody has updated yet
            count = "pg_catalog.count(*), pg_catalog.count(*) filter (where fresh)"
            insert = f"with m as ({insert} returning (xmax = 0) as fresh) select {count} from m"  # noqa: S608 - quoted
        try:
            with self._link.transaction():  # a savepoint: the staged rows must stay to be looked at
                done = self._link.execute(insert.encode())
        except psycopg.errors.CardinalityViolation:
            self._refuse_repeated(keys, staged)
            raise
        if self._plain:
            merged, fresh = done.fetchone() or (0, 0)
            self._changes |= {"inserted": fresh, "updated": merged - fresh}

    def _insert(self, table: str, source: str, names: Sequence[str]) -> str:
        listed, keys = _list(list(names)), _list(self._keys)
        return f"insert into {table} ({listed}) select {listed} from {source} as s on conflict ({keys}) do nothing"  # noqa: S608 - quoted

    def _refuse_repeated(self, keys: str, source: str) -> None:
        """Raise ``DataError`` with the first key that two rows of ``source`` have."""
        texts = ", ".join(f"{quoted(name)}::text" for name in self._keys)
        row = self._link.execute(
            f"select {texts} from ({source}) as t group by {keys} having pg_catalog.count(*) > 1 "  # noqa: S608 - quoted
            f"order by {keys} limit 1".encode()
        ).fetchone()
        if row:
            raise loading.repeated(self._keys, row, self._where) from None

    def abort(self) -> None:
        """End the connection: the server rolls back. Nothing to do once finished."""
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            copying, self._copying = self._copying, None
            if copying is not None:
                import psycopg

                with suppress(psycopg.Error):  # the link may be gone already; nothing has landed either way
                    copying.__exit__(Failed, Failed("The load was abandoned."), None)
            self._link.close()


def _all_direct(plans: list[Plan]) -> bool:
    return all(each.direct for each in plans)


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))
