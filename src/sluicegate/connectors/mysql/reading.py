"""Rows out of MySQL: one unbuffered query, its texts parsed column by column into the catalogue's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Cancelled, DataError
from sluicegate.connectors.mysql.link import quoted, told
from sluicegate.kit.rows import BATCH_BYTES
from sluicegate.kit.text import Unfit, from_text, parse_time, shown, special
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from sluicegate.connectors.mysql.catalogue import Column
    from sluicegate.connectors.mysql.protocol import Link
    from sluicegate.kit.connection import Read
    from sluicegate.kit.context import Context
    from sluicegate.kit.watermark import Bound

_ORDERED = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal", "date", "datetime", "timestamp"}
)
"""Types that sort there as they do in the task."""
_FIRST_ROWS = 256
_MAX_ROWS = 1 << 16


def condition(wanted: list[Column], since: Bound | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition that leaves out rows below ``since``, and its value; empty when the server is not asked."""
    import pyarrow as pa

    column = next((each for each in wanted if since is not None and each.name == since.column), None)
    if since is None or column is None or column.kind is None or column.base not in _ORDERED:
        return "", ()
    low = since.lowest(column.kind)
    if low is None:
        return "", ()
    name = quoted(column.name).replace("%", "%%")
    if column.base == "decimal":
        return since.where(name, f"cast(%s as decimal({column.kind.precision},{column.kind.scale}))"), (low,)
    if column.base in ("date", "datetime", "timestamp"):
        cast = "date" if column.base == "date" else "datetime(6)"
        return since.where(name, f"cast(%s as {cast})"), (low.replace("T", " ").removesuffix("Z"),)
    return since.where(name, f"cast(%s as {'unsigned' if pa.types.is_unsigned_integer(column.kind) else 'signed'})"), (
        low,
    )


def batches(link: Link, ask: Read, wanted: list[Column], ctx: Context, where: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows; the caller has begun the transaction. ``DataError`` names column and row of a value."""
    import pyarrow as pa
    from pymysql.cursors import SSCursor

    schema = pa.schema([(column.name, column.kind) for column in wanted])
    query = f"select {', '.join(column.select() for column in wanted)} from {quoted(ask.item)}"  # noqa: S608 - names from the catalogue, quoted
    new, bound = condition(wanted, ask.since)
    if new:
        query = f"{query.replace('%', '%%')} where {new}"
    if ask.limit is not None:
        query += f" limit {int(ask.limit)}"
    with told(where):
        cursor = link.cursor(SSCursor)
        cursor.execute(query, bound or None)
    size, before = _FIRST_ROWS, 0
    while True:
        if ctx.cancelled():
            raise Cancelled("Cancelled while reading.", where=where)
        with told(where):
            rows = cursor.fetchmany(size)
        if not rows:
            break
        arrays = []
        for column, values in zip(wanted, zip(*rows, strict=True), strict=True):
            try:
                arrays.append(convert(values, column.kind))
            except Unfit as fault:
                raise DataError(
                    fault.reason, where=f"{where}: column {column.name}, row {before + fault.row + 1}",
                    hint=f"{column.declared} holds values that {to_name(column.kind)} cannot; cast it in a view.",
                ) from None  # fmt: skip
        before += len(rows)
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        yield batch
        size = max(1, min(_MAX_ROWS, BATCH_BYTES * len(rows) // max(batch.nbytes, 1)))
    link.drop()  # lets go of the table, so that a load of this run can take its place


def convert(values: Sequence[bytes | None], kind: pa.DataType) -> pa.Array:
    """Return the texts of one column as ``kind``; ``Unfit`` at the first that does not fit."""
    import pyarrow as pa

    raw = pa.array(values, pa.binary())
    if pa.types.is_binary(kind):
        return raw
    try:
        return _parse(raw.cast(pa.string()), kind)
    except pa.ArrowInvalid:
        for row, value in enumerate(values):
            try:
                _parse(pa.array([value], pa.binary()).cast(pa.string()), kind)
            except (pa.ArrowInvalid, Unfit):
                said = shown((value or b"").decode("utf-8", "backslashreplace"))
                raise Unfit(row, f"{said} cannot be carried as {to_name(kind)}") from None
        raise


def _parse(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    test = pa.types
    if test.is_string(kind):
        return texts
    if special(kind):
        return from_text(texts, kind)
    if test.is_boolean(kind):
        return _bools(texts)
    if test.is_time(kind):
        return pa.array(
            [None if each is None else _time(row, each) for row, each in enumerate(texts.to_pylist())], kind
        )
    if test.is_timestamp(kind) and kind.tz:
        return texts.cast(pa.timestamp("us")).cast(kind)
    return texts.cast(kind)


def _bools(texts: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = texts.cast(pa.int16())
    strange = pc.index(pc.invert(pc.is_in(numbers, pa.array([0, 1, None], pa.int16()))), True).as_py()
    if strange >= 0:
        raise Unfit(strange, f"{shown(texts[strange].as_py())} is stored where bool is declared")
    return numbers.cast(pa.bool_())


def _time(row: int, text: str) -> Any:
    try:
        return parse_time(text)
    except ValueError as fault:
        raise Unfit(row, str(fault)) from None
