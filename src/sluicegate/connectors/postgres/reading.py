"""Rows out of PostgreSQL: COPY TO STDOUT as CSV, parsed by pyarrow block by block into the catalogue's types."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import DataError
from sluicegate.connectors.postgres.catalogue import SOURCE, Column, Table
from sluicegate.connectors.postgres.copying import copy_out
from sluicegate.connectors.postgres.link import quoted, told
from sluicegate.kit.text import Unfit, from_text, shown, special
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import pyarrow as pa

    from sluicegate.kit.context import Context
    from sluicegate.kit.watermark import Bound

_ORDERED = frozenset({"int2", "int4", "int8", "numeric", "date", "timestamp", "timestamptz"})
"""Types that sort here as they do in the task."""


def schema_of(wanted: list[Column]) -> pa.Schema:
    """Return the Arrow schema; fields that travel as text or JSON carry the name of their PostgreSQL type."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(
                column.name, column.kind,
                metadata={SOURCE: column.base.encode()} if column.bare or column.base == "jsonb" else None,
            )
            for column in wanted
        ]
    )  # fmt: skip


def query_for(table: Table, columns: list[str], limit: int | None, where: str = "") -> str:
    """Return the SELECT for these columns, which are SQL, as is the condition ``where``."""
    query = f"select {', '.join(columns)} from {table.sql()}"  # noqa: S608 - names from the catalogue, quoted
    query += f" where {where}" if where else ""
    return query if limit is None else f"{query} limit {int(limit)}"


def condition(link: psycopg.Connection[Any], wanted: list[Column], since: Bound | None) -> str:
    """Return the condition that leaves out rows below ``since``; empty when the server is not asked to.

    COPY takes no parameters: the value is one of the call that puts it into a setting of this transaction.
    """
    column = next((each for each in wanted if since is not None and each.name == since.column), None)
    if since is None or column is None or column.base not in _ORDERED or column.bare:
        return ""
    low = since.lowest(column.kind)
    if low is None:
        return ""
    link.execute("select pg_catalog.set_config('sluicegate.since', %s, true)", (low,))
    value = f"pg_catalog.current_setting('sluicegate.since')::pg_catalog.{column.base}"
    return since.where(quoted(column.name), value)


def batches(
    link: psycopg.Connection[Any], query: str, wanted: list[Column], ctx: Context, where: str
) -> Iterator[pa.RecordBatch]:
    """Yield the rows; the caller has begun the transaction. ``DataError`` names the column of a value without place."""
    rows = Rows(wanted, where)
    with told(where), closing(copy_out(link, query, ctx, where)) as parcels:
        for parcel in parcels:
            batch = rows.parse(parcel.data)
            if batch.num_rows != parcel.num_rows:
                raise DataError(f"The database sent {parcel.num_rows} rows, {batch.num_rows} were read.", where=where)
            yield batch


class Rows:
    """Parses blocks of CSV as COPY writes it."""

    def __init__(self, wanted: list[Column], where: str) -> None:
        """Prepare for these columns."""
        import pyarrow as pa

        self._wanted, self._where, self.count = wanted, where, 0
        self._schema = schema_of(wanted)
        self._parsed = {field.name: pa.string() if special(field.type) else field.type for field in self._schema}

    def _read(self, data: bytes, kinds: dict[str, Any]) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv

        return csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(column_names=self._schema.names, use_threads=False, block_size=len(data) + 1),
            csv.ParseOptions(newlines_in_values=b'"' in data, ignore_empty_lines=len(self._wanted) > 1),
            csv.ConvertOptions(
                column_types=kinds, include_columns=list(kinds), null_values=[""], strings_can_be_null=True,
                quoted_strings_can_be_null=False, true_values=["t"], false_values=["f"],
            ),
        )  # fmt: skip

    def parse(self, data: bytes) -> pa.RecordBatch:
        """Return one block as a batch."""
        import pyarrow as pa

        try:
            table = self._read(data, self._parsed)
        except pa.ArrowInvalid:
            self._explain(data)
            raise
        arrays = []
        for field in self._schema:
            array = table.column(field.name).combine_chunks()
            if isinstance(field.type, pa.JsonType):  # the server has checked it
                array = pa.ExtensionArray.from_storage(field.type, array)
            elif special(field.type):
                try:
                    array = from_text(array, field.type)
                except Unfit as fault:
                    raise self._fault(field.name, fault.row, fault.reason) from None
            arrays.append(array)
        self.count += table.num_rows
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _fault(self, name: str, row: int, reason: str) -> DataError:
        column = next(each for each in self._wanted if each.name == name)
        return DataError(
            reason, where=f"{self._where}: column {name}, row {self.count + row + 1}",
            hint=f"{column.declared} holds values that {to_name(column.kind)} cannot; cast it in a view.",
        )  # fmt: skip

    def _explain(self, data: bytes) -> None:
        """Find the value that does not fit: column by column, then by halves."""
        import pyarrow as pa

        for name, kind in self._parsed.items():
            try:
                self._read(data, {name: kind})
            except pa.ArrowInvalid:
                texts = self._read(data, {name: pa.string()}).column(0).combine_chunks()
                low, high = 0, len(texts)
                while high - low > 1:
                    middle = (low + high) // 2
                    if self._parses(texts.slice(low, middle - low), kind):
                        low = middle
                    else:
                        high = middle
                reason = f"{shown(texts[low].as_py())} cannot be carried as {to_name(kind)}"
                raise self._fault(name, low, reason) from None

    def _parses(self, texts: pa.Array, kind: pa.DataType) -> bool:
        import pyarrow as pa
        from pyarrow import csv

        lines = "".join("\n" if text is None else f'"{text}"\n' for text in texts.to_pylist()).encode()
        try:
            csv.read_csv(
                pa.BufferReader(lines),
                csv.ReadOptions(column_names=["v"], use_threads=False, block_size=len(lines) + 1),
                csv.ParseOptions(ignore_empty_lines=False),
                csv.ConvertOptions(column_types={"v": kind}, null_values=[""], true_values=["t"], false_values=["f"]),
            )
        except pa.ArrowInvalid:
            return False
        return True
