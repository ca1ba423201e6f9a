"""Lets the rows through that are new since the run before, and knows the highest value that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.kit import watermark
from sluicegate.kit.step import Reading
from sluicegate.kit.types import to_name
from sluicegate.kit.watermark import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from sluicegate.engine.meter import Report
    from sluicegate.kit.flow import Flow


class Sieve:
    """The rows of one reading step. What a connection has left out already makes no difference."""

    def __init__(self, name: str, bound: Bound, schema: pa.Schema) -> None:
        """Prepare for rows of ``schema`` that the step called ``name`` reads.

        Raises ``UnknownColumn``, and ``Failed`` when the column can be no watermark.
        """
        import pyarrow as pa

        self._name, self._bound, self._schema = name, bound, schema
        if bound.column not in schema.names:
            raise UnknownColumn(
                f"there is no column {bound.column!r}",
                where="since",
                hint=f"There are: {', '.join(schema.names[:40])}.",
            )
        kind = schema.field(bound.column).type
        self._blank = pa.types.is_null(kind)
        """Whether nobody has seen a value, because there is no row."""
        self._kind = watermark.plain(pa.array([], kind)).type
        low = None if self._blank else bound.lowest(self._kind)
        self._low = None if low is None else watermark.read(low, self._kind)
        self.begins = {"column": bound.column, "value": low, "inclusive": bound.inclusive}
        """Where it begins, in the spelling of the column's type; no value: all rows are new."""
        self._top: pa.Scalar[Any] | None = None
        self._held: dict[str, Any] | None = None

    def hold(self, seen: dict[str, Any]) -> None:
        """Let nothing through above what an earlier attempt has ``seen``: some of its targets have landed already."""
        self._held = seen

    @property
    def state(self) -> dict[str, Any]:
        """Return column, type and highest value of what came, as they are kept; no value when nothing came."""
        import pyarrow as pa

        if self._held is not None:
            return self._held
        value = None if self._top is None else watermark.spell(pa.repeat(self._top, 1))
        before = self._bound.model_copy(update={"overlap": ""})
        if value is not None and before.seen:
            old = before.lowest(self._kind)
            if old is not None and watermark.is_above(old, value, to_name(self._kind)):
                value = old
        return {"column": self._bound.column, "type": to_name(self._kind), "value": value}

    def sift(self, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Return the rows that are new, lazily."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._schema, self._sifted(rows))

    def _sifted(self, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        before = 0
        for batch in rows:
            yield batch if self._blank else self._look(batch, before)
            before += batch.num_rows

    def _look(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        import pyarrow.compute as pc

        column = watermark.plain(batch.column(self._bound.column))
        if column.null_count and self._bound.nulls == "stop":
            row = before + pc.index(column.is_null(), True).as_py() + 1
            raise DataError(
                "A row holds NULL in the column that tells what is new.",
                where=f"step {self._name}, column {self._bound.column}, row {row}",
                hint="Say 'nulls: read' or 'nulls: skip' in since, or mend the row.",
            )
        wanted = column.is_valid()
        if self._low is not None:
            above = (pc.greater_equal if self._bound.inclusive else pc.greater)(column, self._low)
            wanted = pc.fill_null(above, False)  # noqa: FBT003 - the value to fill in
        if self._bound.nulls == "read":
            wanted = pc.or_(wanted, column.is_null())
        if self._held is not None:
            wanted = pc.and_(wanted, self._within(column, self._held["value"]))
        if not pc.all(wanted).as_py():
            batch, column = batch.filter(wanted), column.filter(wanted)
        top = pc.max(column)
        if top.is_valid and (self._top is None or pc.greater(top, self._top).as_py()):
            self._top = top
        return batch

    def _within(self, column: pa.Array, value: str | None) -> pa.Array:
        import pyarrow.compute as pc

        if value is None:
            return column.is_null()
        top = Bound(column=self._bound.column, value=value).lowest(self._kind)
        within = pc.less_equal(column, watermark.read(top or value, self._kind))
        return pc.or_(pc.fill_null(within, False), column.is_null())  # noqa: FBT003 - the value to fill in


class Sieves:
    """Those of one attempt at a segment."""

    def __init__(self, state: Mapping[str, Mapping[str, Any]], flow: Flow | None, report: Report) -> None:
        """Begin at ``state``, as a job has it; ``report`` takes what was seen.

        Without a ``flow`` all rows pass: previews show what is there.
        """
        steps = flow.steps if flow else ()
        self._since = {each.name: each.since for each in steps if isinstance(each, Reading) and each.since}
        self._state, self._report = state, report
        self._made: dict[str, Sieve] = {}

    def bound(self, name: str) -> Bound | None:
        """Return where a step begins; ``None`` when it reads all rows each time."""
        since = self._since.get(name)
        return None if since is None else since.bound(self._state.get(name))

    def sift(self, name: str, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Return the rows of a step that are new, lazily. Raises ``Invalid`` for a step that is read once more."""
        bound = self.bound(name)
        if bound is None:
            return rows
        if name in self._made:
            raise Invalid(
                "its rows are taken two ways within one query, so they would be read at two moments",
                where=f"step {name}, since",
                hint="Take them once, or land them in a table first.",
            )
        self._made[name] = Sieve(name, bound, rows.schema)
        return self._made[name].sift(rows)

    def begins(self, name: str) -> dict[str, Any] | None:
        """Return where a step that was sifted begins."""
        return self._made[name].begins if name in self._made else None

    def hold(self) -> None:
        """Read no further than the attempt before did: some of the targets have its rows already."""
        for name, sieve in self._made.items():
            if (seen := self._state.get(name, {}).get("seen")) is not None:
                sieve.hold(seen)

    def tell(self) -> None:
        """Have the highest values kept that came: before anything lands, so that none is forgotten that did."""
        for name, sieve in self._made.items():
            self._report("watermark", {"step": name, **sieve.state})
