"""A load into one PostgreSQL table: one transaction from the first row to the marker.

Append copies straight into the table. Replace and merge copy into a temporary table and touch the target only at
the commit: replace empties it (TRUNCATE; DELETE when foreign keys point at it) and fills it, so that grants,
indexes and views stay and readers wait for moments only; a transaction that began before and looks at the table for
the first time after sees it empty, as PostgreSQL documents for TRUNCATE. When the columns differ, replace makes a
new table and swaps it in by name. Merge is one INSERT … ORDER BY keys ON CONFLICT.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import DataError, Failed, Invalid
from sluicegate.connectors.postgres import catalogue, passage
from sluicegate.connectors.postgres.link import check_name, quoted, told
from sluicegate.connectors.postgres.wire import Encoder, Plan, passing, plan
from sluicegate.kit import tables
from sluicegate.kit.mode import Merge, Replace
from sluicegate.kit.rows import Parcel, Receipt
from sluicegate.kit.text import shown
from sluicegate.kit.types import is_open

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import psycopg
    import pyarrow as pa

    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker

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


class PostgresStage(tables.Load):
    """See ``Stage``."""

    def __init__(
        self, link: psycopg.Connection[Any], database: str, item: str, schema: pa.Schema, mode: Mode, marker: Marker,
        log: Log,
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
        self._where = f"{database}: {item}"
        self._names = [check_name(name) for name in schema.names]
        self._rows, self._bytes, self._open = 0, 0, True
        self._plans: list[Plan] = []
        self._columns: list[catalogue.Column] = []
        self._target = self._into = self._swap = ""
        self._apart = isinstance(mode, Merge)  # rows wait in a table of their own, whatever their types
        self._passing = False
        self._late_key = False
        self._copying: AbstractContextManager[psycopg.Copy] | None = None
        self.done: Receipt | None = None

    @property
    def _keys(self) -> tuple[str, ...]:
        return self._mode.keys if isinstance(self._mode, Merge) else ()

    def begin(self) -> None:
        """Look for the marker and make the table ready."""
        if not self._names or len(set(self._names)) != len(self._names):
            raise Invalid("Columns need names, each its own.", where=self._where)
        for name in (*self._keys, *(self._mode.order_by if isinstance(self._mode, Merge) else ())):
            if name not in self._names:
                raise DataError(f"The key {shown(name)} is not a column.", where=self._where)
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
            try:
                self._plans = self._plan(table)
            except DataError as fault:
                if not isinstance(self._mode, Replace):
                    raise
                self._log("table is made anew: its columns differ", table=self._item, why=str(fault))
                self._swap = quoted(name)
                into = quoted(schema, f"_sluicegate_{os.urandom(8).hex()}")
            else:
                self._apart = self._apart or isinstance(self._mode, Replace)
                if self._keys and not self._is_unique(table):
                    raise Failed(
                        f"Merge needs a unique index on {', '.join(self._keys)}.", where=self._where,
                        hint="Create one, or let the first run make the table.",
                    )  # fmt: skip
                return
        # A new table gets its rows first and its key after them: one sort instead of a look-up a row.
        self._late_key = isinstance(self._mode, Merge) and self._mode.duplicates == "error"
        self._make(into)
        oid = self._link.execute("select %s::pg_catalog.regclass::oid", (into,)).fetchone()
        self._plans = self._plan(catalogue.Table(oid[0] if oid else 0, schema, name))
        self._apart = bool(self._keys) and not self._late_key
        self._into = into

    def _make(self, table: str) -> None:
        parts = [f"{quoted(field.name)} {catalogue.declare(field)}" for field in self._schema]
        if self._keys and not self._late_key:
            parts.append(f"primary key ({_list(self._keys)})")
        self._link.execute(f"create table {table} ({', '.join(parts)})".encode())

    def _plan(self, table: catalogue.Table) -> list[Plan]:
        columns = catalogue.columns(self._link, table)
        by_name = {column.name: column for column in columns}
        for name in self._names:
            if name not in by_name:
                raise DataError(f"The table has no column {shown(name)}.", where=self._where)
            if not by_name[name].writable:
                raise DataError("The database computes this column itself.", where=f"{self._where}: column {name}")
        for column in columns:
            if column.required and column.name not in self._names:
                raise DataError(
                    f"The rows have no column {shown(column.name)}, which the table has.", where=self._where
                )
        known = (
            field.with_type(by_name[field.name].kind) if is_open(field) else field  # no row, so no type to contradict
            for field in self._schema
        )
        self._columns = [by_name[name] for name in self._names]
        return [plan(field, by_name[field.name], self._where) for field in known]

    def _is_unique(self, table: catalogue.Table) -> bool:
        row = self._link.execute(_UNIQUE, (table.oid, sorted(self._keys))).fetchone()
        return bool(row and row[0])

    def obstacle(self, source: list[catalogue.Column]) -> str:
        """Return why rows of these columns cannot be taken as COPY's binary form; empty when they will be."""
        if isinstance(self._mode, Merge):
            return "a merge looks at each key"
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
            if isinstance(self._mode, Merge) and self._mode.duplicates == "last":
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
        tables.check_keys(batch, self._keys, self._where)
        return self._encoder.batch(batch, self._rows, self._where)

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
                rows = self._land()
                self._link.execute(
                    f"update {self._markers} set rows = %s, at = pg_catalog.clock_timestamp() "  # noqa: S608 - quoted
                    "where run = %s and segment = %s".encode(),
                    (rows, *self._marker),
                )
                self._link.commit()
        except BaseException:
            self.abort()
            raise
        self._close()
        return Receipt(rows=rows, bytes=self._bytes)

    def _land(self) -> int:
        into = self._into
        rows = self._rows
        if isinstance(self._mode, Merge) and not self._late_key:
            rows = self._merge(self._mode)
        elif self._staged:
            if isinstance(self._mode, Replace) and into == self._target:
                self._empty()
            rows = self._link.execute(
                f"insert into {into} ({_list(self._names)}) select {self._inserts(self._plans)} from {_STAGE}".encode()  # noqa: S608 - quoted
            ).rowcount
        if self._late_key:
            self._add_key()
        if self._swap:
            self._link.execute(f"drop table {self._target}".encode())
            self._link.execute(f"alter table {into} rename to {self._swap}".encode())
        return rows

    def _add_key(self) -> None:
        import psycopg

        keys = _list(self._keys)
        try:
            with self._link.transaction():  # a savepoint: the rows must stay to be looked at
                self._link.execute(f"alter table {self._into} add primary key ({keys})".encode())
        except psycopg.errors.UniqueViolation:
            self._refuse_repeated(keys, f"select {keys} from {self._into}")  # noqa: S608 - quoted
            raise

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

    def _merge(self, mode: Merge) -> int:
        import psycopg

        names, keys = _list(self._names), _list(mode.keys)
        rest = [name for name in self._names if name not in mode.keys]
        source = f"select {', '.join(f'{each.insert} as {quoted(each.name)}' for each in self._plans)}"
        staged = f"{source} from {_STAGE}"
        if mode.duplicates == "last":
            order = ", ".join(f"{quoted(name)} desc nulls last" for name in mode.order_by)
            source = (
                f"select distinct on ({keys}) {names} from ({source}, {_ORDER} from {_STAGE}) as t "  # noqa: S608 - quoted
                f"order by {keys}, {order}, {_ORDER} desc"
            )
        else:
            source = f"select {names} from ({staged}) as t order by {keys}"  # noqa: S608 - quoted
            if not rest:
                self._refuse_repeated(keys, staged)
        update = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
        action = f"update set {update}" if rest else "nothing"
        insert = f"insert into {self._target} ({names}) {source} on conflict ({keys}) do {action}"
        try:
            with self._link.transaction():  # a savepoint: the staged rows must stay to be looked at
                merged = self._link.execute(insert.encode()).rowcount
        except psycopg.errors.CardinalityViolation:
            self._refuse_repeated(keys, staged)
            raise
        if not rest:
            row = self._link.execute(f"select pg_catalog.count(*) from {_STAGE}".encode()).fetchone()  # noqa: S608 - our own name
            return int(row[0]) if row else 0
        return merged

    def _refuse_repeated(self, keys: str, source: str) -> None:
        """Raise ``DataError`` with the first key that two rows of ``source`` have."""
        texts = ", ".join(f"{quoted(name)}::text" for name in self._keys)
        row = self._link.execute(
            f"select {texts} from ({source}) as t group by {keys} having pg_catalog.count(*) > 1 "  # noqa: S608 - quoted
            f"order by {keys} limit 1".encode()
        ).fetchone()
        if row:
            raise tables.repeated(self._keys, row, self._where) from None

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
