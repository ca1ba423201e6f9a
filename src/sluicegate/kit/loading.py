"""Loads into tables that land as a whole or not at all: what modes and the choices of a ``Target`` mean, once for all.

A connector derives its stage from ``Load`` and gives the statements of its database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

from sluicegate.base.errors import DataError, Failed, Missing, SluiceError
from sluicegate.kit.columns import quote
from sluicegate.kit.meeting import widened
from sluicegate.kit.mode import Delete, InsertMissing, Keyed, Merge, Replace, Update
from sluicegate.kit.rows import Receipt
from sluicegate.kit.tables import Column
from sluicegate.kit.target import Ddl, Index, Target
from sluicegate.kit.text import shown
from sluicegate.kit.types import is_open, to_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    import pyarrow as pa

    from sluicegate.kit.context import Log
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Marker


class Writable(Column, Protocol):
    """A column as a load sees it."""

    @property
    def required(self) -> bool:
        """Whether a load must bring it: false when the database can fill it."""


W = TypeVar("W", bound=Writable)


class Load:
    """A load of rows into a table; left without ``commit`` it is undone. The base of stages: see ``kit.rows.Stage``.

    It knows what modes and the choices of a ``Target`` mean; a connector gives the statements of its database.
    """

    ddl: ClassVar[Ddl] = Ddl()
    """What tables of this database can be made with."""

    def __init__(self, where: str, schema: pa.Schema, mode: Mode, marker: Marker, log: Log, target: Target) -> None:
        """Nothing is looked at before ``begin``."""
        self._where, self._mode, self._marker, self._log, self._goal = where, mode, marker, log, target
        self._rows, self._bytes, self._open = 0, 0, True
        self._changes: dict[str, int] = {}
        self.done: Receipt | None = None
        self._came = schema
        self._schema, self._names = schema, list(schema.names)

    def _check_asked(self) -> None:
        """``Invalid`` when the mode takes away what the flow does not allow, ``DataError`` for an unknown key."""
        try:
            self._goal.check(self._mode)
            self._goal.table.check(self.ddl)
        except SluiceError as fault:
            raise fault.at(self._where) from None
        for name in self._goal.table.types:
            if name not in self._names:
                raise DataError(
                    f"A type is said for the column {shown(name)}, which the rows do not have.", where=self._where
                )
        for name in (*self._keys, *self._orders):
            if name not in self._names:
                raise DataError(f"The key {shown(name)} is not a column.", where=self._where)
        if isinstance(self._mode, Delete):
            self._narrow([name for name in self._names if name in (*self._keys, *self._orders)])

    @property
    def _keys(self) -> tuple[str, ...]:
        return self._mode.keys if isinstance(self._mode, Keyed) else ()

    @property
    def _orders(self) -> tuple[str, ...]:
        return self._mode.order_by if isinstance(self._mode, Keyed) else ()

    @property
    def _primary(self) -> tuple[str, ...]:
        """The primary key of a table that is made: that of the mode, or a copied one whose columns all come."""
        copied = self._goal.keys.primary if "keys" in self._goal.table.copies else ()
        return self._keys or (copied if set(copied) <= set(self._names) else ())

    @property
    def _indexes(self) -> list[Index]:
        """What indexes a table that is made gets, beside its primary key."""
        copied = self._goal.keys.indexes if "indexes" in self._goal.table.copies else ()
        return [each for each in copied if set(each.columns) <= set(self._names)]

    @property
    def _last(self) -> bool:
        """Whether the last of rows with the same keys wins."""
        return bool(self._orders)

    def _narrow(self, names: list[str]) -> None:
        """Take only these columns of the rows."""
        import pyarrow as pa

        self._schema, self._names = pa.schema([self._came.field(name) for name in names]), names

    def _taken(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return those columns of a batch that are loaded. ``DataError`` when a key holds NULL."""
        check_keys(batch, self._keys, self._where)
        return batch if len(self._names) == batch.num_columns else batch.select(self._names)

    def _check_create(self) -> None:
        """Raise ``Missing`` when the table, which is not there, may not be made."""
        if not self._mode.creates:
            raise Missing("There is no such table.", where=self._where, hint=f"Mode {self._mode.type} makes none.")
        if not self._goal.table.create:
            raise Missing("There is no such table.", where=self._where, hint="The step says table: { create: false }.")

    def _anew(self, fault: DataError) -> None:
        """Tell that replace makes the table anew because of ``fault``; raise it when that is not what the flow says."""
        if not isinstance(self._mode, Replace) or not self._goal.table.create:
            raise fault
        try:
            self._goal.require("drop", fault.message.removesuffix("."))
        except SluiceError as refused:
            raise refused.at(fault.where) from None
        self._narrow(list(self._came.names))
        self._log("table is made anew: its columns differ", table=self._where, why=str(fault))

    def _altered(self, look: Callable[[], Sequence[W]]) -> Sequence[W]:
        """Return the columns of the table that is there, after adding and widening what ``alter`` asks for."""
        found = look()
        if self._goal.table.columns != "alter" or isinstance(self._mode, Delete):
            return found
        added, wider = differences(self._schema, found)
        for field in added:
            self._add_column(field)
        for field in wider:
            self._widen(field, next(column for column in found if column.name == field.name))
        if added or wider:
            self._log("table is altered", table=self._where, **altered(added, wider))
        return look() if added or wider else found

    def _add_column(self, field: pa.Field) -> None:
        """Add a column, NULL in all rows that are there."""
        raise NotImplementedError

    def _widen(self, field: pa.Field, column: Any) -> None:
        """Give a column the type of ``field``, which holds all that it held."""
        raise NotImplementedError

    def _fit(self, found: Sequence[W]) -> list[tuple[pa.Field, W]]:
        """Return which column of the rows goes into which of the table, as ``Table.columns`` says.

        ``DataError`` when they do not go together. A type that was never seen takes that of the table.
        """
        rule, by_name = self._goal.table.columns, {column.name: column for column in found}
        names = list(self._names)
        if strange := [name for name in names if name not in by_name]:
            if rule != "match" or (gone := [name for name in strange if name in (*self._keys, *self._orders)]):
                gone = strange if rule != "match" else gone
                raise DataError(f"The table has no column {shown(gone[0])}.", where=self._where)
            names = [name for name in names if name in by_name]
            if not names:
                raise DataError("The table has none of the rows' columns.", where=self._where)
            self._log("columns are left out: the table does not have them", columns=strange)
        for name in names:
            if not getattr(by_name[name], "writable", True):
                raise DataError("The database computes this column itself.", where=f"{self._where}: column {name}")
        for column in found:
            if column.name not in names and self._misses(column, rule):
                raise DataError(
                    f"The rows have no column {shown(column.name)}, which the table has.", where=self._where
                )
        self._narrow(names)
        fields = [
            field.with_type(by_name[field.name].kind) if is_open(field) and by_name[field.name].kind else field
            for field in self._schema
        ]
        if rule == "strict":
            for field in fields:
                have, want = by_name[field.name].kind, to_name(field.type)
                if have is None or to_name(have) != want:
                    column = by_name[field.name]
                    raise DataError(
                        f"The column is {column.declared:.80}, and the rows have {want}.",
                        where=f"{self._where}: column {field.name}", hint="The step says table: { columns: strict }.",
                    )  # fmt: skip
        return [(field, by_name[field.name]) for field in fields]

    def _misses(self, column: Writable, rule: str) -> bool:
        """Tell whether the rows would have to bring a column that they do not."""
        if isinstance(self._mode, Update | Delete) or not getattr(column, "writable", True):
            return False
        return rule == "strict" or (rule == "fit" and column.required)

    def _missing_index(self) -> SluiceError:
        """Return the error of a target that cannot tell rows apart by the keys."""
        return Failed(
            f"{self._mode.type.capitalize()} needs a unique index on {', '.join(self._keys)}.", where=self._where,
            hint="Create one, or let the first run make the table.",
        )  # fmt: skip

    def _apply(self, table: str, source: str, run: Callable[[str], int]) -> None:
        """Carry out a keyed mode with rows of ``source``, whose keys are each there once, and count what changes.

        ``run`` carries out one statement and returns how many rows it has touched.
        """
        rest = [name for name in self._names if name not in self._keys]
        if isinstance(self._mode, Delete):
            self._changes["deleted"] = run(self._delete(table, source))
        if isinstance(self._mode, Update | Merge):
            self._changes["updated"] = run(self._update(table, source, rest)) if rest else 0
        if isinstance(self._mode, InsertMissing | Merge):
            self._changes["inserted"] = run(self._insert(table, source, self._names))

    def _same(self) -> str:
        return " and ".join(f"t.{quote(key)} = s.{quote(key)}" for key in self._keys)

    def _update(self, table: str, source: str, rest: Sequence[str]) -> str:
        sets = ", ".join(f"{quote(name)} = s.{quote(name)}" for name in rest)
        return f"update {table} as t set {sets} from {source} as s where {self._same()}"  # noqa: S608 - quoted

    def _delete(self, table: str, source: str) -> str:
        return f"delete from {table} as t where exists (select 1 from {source} as s where {self._same()})"  # noqa: S608 - quoted

    def _insert(self, table: str, source: str, names: Sequence[str]) -> str:
        listed, taken = ", ".join(map(quote, names)), ", ".join(f"s.{quote(name)}" for name in names)
        order = ", ".join(f"s.{quote(key)}" for key in self._keys)
        return (
            f"insert into {table} ({listed}) select {taken} from {source} as s "  # noqa: S608 - quoted
            f"where not exists (select 1 from {table} as t where {self._same()}) order by {order}"
        )

    def _receipt(self) -> Receipt:
        """Return what has landed."""
        if not isinstance(self._mode, Keyed):
            self._changes["inserted"] = self._rows
        elif isinstance(self._mode, InsertMissing) and not self._last:
            self._changes["unchanged"] = self._rows - self._changes["inserted"]
        return Receipt(rows=self._rows, bytes=self._bytes, **self._changes)

    def abort(self) -> None:
        """Undo all; nothing to do once finished."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort unless committed."""
        self.abort()


def differences(schema: pa.Schema, found: Sequence[Column]) -> tuple[list[pa.Field], list[pa.Field]]:
    """Return the fields that a table lacks, and those, with their new types, that it has too narrow."""
    kinds = {column.name: column.kind for column in found}
    added = [field for field in schema if field.name not in kinds]
    known = [field for field in schema if kinds.get(field.name) is not None and not is_open(field)]
    pairs = [(field, widened(kinds[field.name], field.type)) for field in known]
    return added, [field.with_type(kind) for field, kind in pairs if kind is not None]


def altered(added: Sequence[pa.Field], wider: Sequence[pa.Field]) -> dict[str, list[str]]:
    """Return both as a log tells them."""
    told = {
        "added": [field.name for field in added],
        "widened": [f"{each.name} to {to_name(each.type)}" for each in wider],
    }
    return {word: names for word, names in told.items() if names}


def foretell(schema: pa.Schema, kinds: dict[str, Any] | None, mode: Mode, target: Target) -> str:
    """Return what a load will do to the table itself, as far as names and types tell; ``kinds``: its columns' types.

    Raises what the load would raise before its first row.
    """
    target.check(mode)
    if kinds is None:
        if not (mode.creates and target.table.create):
            raise Missing("There is no such table.", hint="The step makes none.")
        return "the table is made"
    found = [Known(name, to_name(kind), kind) for name, kind in kinds.items()]
    added, wider = differences(schema, found)
    rule, names = target.table.columns, [field.name for field in added]
    if rule == "alter":
        told = [f"{word}: {', '.join(each)}" for word, each in altered(added, wider).items()]
        return f"columns are {'; '.join(told)}" if told else "the table stays as it is"
    if names and rule == "match":
        return f"the table stays as it is; left out: {', '.join(names)}"
    if names and isinstance(mode, Replace):
        target.require("drop", f"the table has no column {shown(names[0])}")
        return f"the table is dropped and made anew: it has no column {shown(names[0])}"
    return "the table stays as it is"


class Known(NamedTuple):
    """A column of which name and type are known."""

    name: str
    declared: str
    kind: Any


def check_keys(batch: pa.RecordBatch, keys: Iterable[str], where: str) -> None:
    """Raise ``DataError`` when a key column of a merge holds NULL."""
    for name in keys:
        if batch.column(name).null_count:
            raise DataError("A key column holds NULL.", where=f"{where}: column {name}")


def repeated(keys: Iterable[str], values: Iterable[Any], where: str) -> DataError:
    """Return the error of a key that two rows of one merge have."""
    told = ", ".join(f"{name} = {shown(value)}" for name, value in zip(keys, values, strict=True))
    return DataError(
        f"Two rows of this run have the same key: {told}.", where=where,
        hint="Say 'duplicates: last' with 'order_by' in the mode, or remove them before.",
    )  # fmt: skip
