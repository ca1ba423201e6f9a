"""DuckDB's types and ours, both ways, and the values of each.

| DuckDB | ours |
|---|---|
| BOOLEAN, (U)TINYINT … (U)BIGINT, FLOAT, DOUBLE, DECIMAL, VARCHAR, BLOB, DATE, TIME, INTERVAL, UUID, JSON | the same |
| TIMESTAMP, _S, _MS, _NS; TIME_NS | timestamp; time: microseconds, or an error |
| TIMESTAMP WITH TIME ZONE | timestamptz |
| HUGEINT, UHUGEINT | decimal(39,0) |
| ENUM, BIT, BIGNUM, TIME WITH TIME ZONE | text; a table made from it gets the last three back |
| LIST, ARRAY; STRUCT; MAP(K, V) | list(T); struct(…); list(struct("key" K, "value" V)) |
| UNION, VARIANT, GEOMETRY, and what holds a type that travels as text | an error: cast it in a view |

The other way round, decimals of more than 38 digits become VARCHAR, and what holds such a one JSON. Dates and times
beyond the years 1 to 9999, infinite ones and 24:00 are errors that name column and row; so are intervals of more than
2,560,000 hours, by their column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.connectors.duckdb.link import TOO_LONG, quoted
from sluicegate.kit.target import Ddl, Index, Keys
from sluicegate.kit.text import Unfit, exact, from_text
from sluicegate.kit.types import to_arrow, to_name
from sluicegate.kit.watermark import family

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sluicegate.kit.watermark import Bound

SOURCE = b"sluicegate.duckdb"
"""Key of the field metadata that holds the name of the DuckDB type a text came from."""
_MADE = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT", "float32": "FLOAT",
    "float64": "DOUBLE", "text": "VARCHAR", "bytes": "BLOB", "date": "DATE", "time": "TIME", "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE", "interval": "INTERVAL", "uuid": "UUID", "json": "JSON",
}  # fmt: skip
OPAQUE = {"bit": "BIT", "bignum": "BIGNUM", "time_tz": "TIME WITH TIME ZONE"}
HUGE = {"hugeint": (-(1 << 127), (1 << 127) - 1), "uhugeint": (0, (1 << 128) - 1)}
DDL = Ddl(
    frozenset(each.lower() for each in (*_MADE.values(), *OPAQUE.values(), *HUGE))
    | {"decimal", "text", "timestamptz", "int"}
)
_MAX128 = 38
_DAYS = (-719_162, 2_932_896)
_DAY_MICROS = 86_400_000_000
_EPOCH = (_DAYS[0] * _DAY_MICROS, (_DAYS[1] + 1) * _DAY_MICROS - 1)
"""The years 1 to 9999, in days and microseconds since 1970."""
_HOURS = r"([0-9]{8,}|[3-9][0-9]{6}|2[6-9][0-9]{5}|25[6-9][0-9]{4}):[0-9]{2}:[0-9]{2}"
"""2,560,000 hours and more, as DuckDB spells them: it counts microseconds, Arrow nanoseconds, which would turn over."""


class Column(NamedTuple):
    """One column as the live catalogue tells it."""

    name: str
    declared: str
    wire: pa.DataType
    """The Arrow type in which DuckDB hands it over."""
    kind: pa.DataType | None
    """Ours; ``None`` when there is none."""
    required: bool
    """Whether a load must bring it: false when the database can fill it (default, generated)."""

    @property
    def as_text(self) -> bool:
        """Whether it travels in DuckDB's own spelling."""
        return opaque(self.wire) != ""

    def select(self) -> str:
        """Return the expression that reads it."""
        name = quoted(self.name)
        if _has_interval(self.wire):
            fault = f"{TOO_LONG}{self.name}".replace("'", "''")
            return (
                f"case when system.main.regexp_matches({name}::VARCHAR, '{_HOURS}') then system.main.error('{fault}') "
                f"else {name} end"
            )
        return f"{name}::VARCHAR" if self.as_text else name

    def field(self) -> pa.Field:
        """Return its Arrow field."""
        import pyarrow as pa

        source = OPAQUE.get(opaque(self.wire))
        return pa.field(self.name, self.kind, metadata={SOURCE: source.encode()} if source else None)


def _has_interval(wire: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_nested(wire):
        return any(_has_interval(wire.field(place).type) for place in range(wire.num_fields))
    return bool(pa.types.is_interval(wire))


def opaque(wire: pa.DataType) -> str:
    """Return DuckDB's name of a type that Arrow has none for; nothing for all others."""
    import pyarrow as pa

    return str(wire.type_name) if isinstance(wire, pa.OpaqueType) else ""


def kind_of(wire: pa.DataType, *, inner: bool = False) -> pa.DataType:
    """Return our type for what DuckDB hands over; ``ValueError`` when there is none."""
    import pyarrow as pa

    test = pa.types
    if isinstance(wire, pa.OpaqueType) and not inner:
        return pa.decimal256(39, 0) if opaque(wire) in HUGE else pa.string()
    if isinstance(wire, pa.Bool8Type):
        return pa.bool_()
    if isinstance(wire, pa.UuidType | pa.JsonType):
        return wire
    if test.is_dictionary(wire) and test.is_string(wire.value_type):
        return pa.string()
    if test.is_map(wire):
        pair = [("key", kind_of(wire.key_type, inner=True)), ("value", kind_of(wire.item_type, inner=True))]
        return pa.list_(pa.struct(pair))
    if test.is_list(wire) or test.is_fixed_size_list(wire):
        return pa.list_(kind_of(wire.value_type, inner=True))
    if test.is_struct(wire):
        return pa.struct([(each.name, kind_of(each.type, inner=True)) for each in wire])
    if isinstance(wire, pa.BaseExtensionType) or test.is_union(wire):
        raise ValueError(str(wire))
    return to_arrow(to_name(wire))


def convert(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return what DuckDB handed over as ``kind``; ``Unfit`` names the first row with a value that does not fit."""
    import pyarrow as pa

    try:
        return _convert(column, kind)
    except (Unfit, pa.ArrowInvalid):
        for row in range(len(column)):
            try:
                _convert(column.slice(row, 1), kind)
            except Unfit as fault:
                raise Unfit(row, fault.reason) from None
            except pa.ArrowInvalid:
                raise Unfit(row, f"a value does not fit {to_name(kind)}") from None
        raise


def _convert(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    wire, test = column.type, pa.types
    if isinstance(wire, pa.Bool8Type):
        return column.storage.cast(pa.bool_())
    if isinstance(wire, pa.BaseExtensionType):
        return column
    if test.is_list(kind):
        if test.is_fixed_size_list(wire):
            column = column.cast(pa.list_(wire.value_type))
        if test.is_map(wire):
            inner = pa.StructArray.from_arrays([column.keys, column.items], names=["key", "value"])
            column = pa.ListArray.from_arrays(_starts(column), inner, mask=column.is_null())
        first, end = column.offsets[0].as_py(), column.offsets[-1].as_py()
        values = _convert(column.values.slice(first, end - first), kind.value_type)
        return pa.ListArray.from_arrays(_starts(column), values, type=pa.list_(values.type), mask=column.is_null())
    if test.is_struct(kind):
        parts = [_convert(each, field.type) for each, field in zip(column.flatten(), kind, strict=True)]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=column.is_null())
    if test.is_decimal256(kind):
        return from_text(column, kind)
    made = exact(column, kind)
    check_range(made)
    return made


def _starts(column: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.subtract(column.offsets, column.offsets[0])


def check_range(column: pa.Array) -> None:
    """Raise ``Unfit`` at the first date, time or timestamp that is none of the calendar's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, test = column.type, pa.types
    if test.is_date(kind):
        low, high, whole = *_DAYS, pa.int32()
    elif test.is_timestamp(kind):
        low, high, whole = *_EPOCH, pa.int64()
    elif test.is_time(kind):
        low, high, whole = 0, _DAY_MICROS - 1, pa.int64()
    else:
        return
    numbers = column.view(whole)
    wrong = pc.index(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), True).as_py()
    if wrong >= 0:
        reason = "24:00 is no time of day" if test.is_time(kind) else "it is infinite, or not of the years 1 to 9999"
        raise Unfit(wrong, f"a {to_name(kind)} cannot be carried: {reason}")


def spelled(kind: pa.DataType) -> str | None:
    """Return DuckDB's type for ``kind``; ``None`` when it has none that holds every value."""
    import pyarrow as pa

    name = to_name(kind)
    if pa.types.is_dictionary(kind):
        return spelled(kind.value_type)
    if pa.types.is_decimal(kind):
        return name.replace("decimal", "DECIMAL") if kind.precision <= _MAX128 else None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = spelled(kind.value_type)
        return f"{inner}[]" if inner else None
    if pa.types.is_struct(kind):
        parts = [(field.name, spelled(field.type)) for field in kind]
        if not parts or not all(name and part for name, part in parts):
            return None
        return f"STRUCT({', '.join(f'{quoted(name)} {part}' for name, part in parts)})"
    return _MADE.get(name)


def declare(field: pa.Field) -> str:
    """Return the column type for a new table."""
    import pyarrow as pa

    kept: str = (field.metadata or {}).get(SOURCE, b"").decode("ascii", "replace")
    if kept in OPAQUE.values() and to_name(field.type) == "text":
        return kept
    return spelled(field.type) or ("JSON" if pa.types.is_nested(field.type) else "VARCHAR")


def condition(wanted: Sequence[Column], since: Bound | None) -> tuple[str, list[str]]:
    """Return the condition that leaves out rows below ``since``, and its value; empty when DuckDB is not asked to."""
    column = next((each for each in wanted if since is not None and each.name == since.column), None)
    if since is None or column is None or column.wire != column.kind or family(column.kind) is None:
        return "", []
    low = since.lowest(column.kind)
    return ("", []) if low is None else (since.where(quoted(column.name), f"cast(? as {spelled(column.kind)})"), [low])


def columns(link: Any, database: str, schema: str, table: str) -> list[Column]:
    """Return the columns of a table or view, in order; empty when there is none of that name."""
    found = link.execute(
        "select column_name, data_type, is_nullable, column_default from system.main.duckdb_columns() "
        "where database_name = ? and schema_name = ? and table_name = ? order by column_index",
        (database, schema, table),
    ).fetchall()
    made = []
    place = quoted(database, schema, table)
    for name, declared, _, default in found:
        wire, kind = _look(link, place, name, declared)
        made.append(Column(name, declared, wire, kind, default is None))
    return made


def keys(link: Any, database: str, schema: str, table: str) -> Keys:
    """Return the primary key of a table and what it says is unique; DuckDB tells other indexes as expressions only."""
    found = link.execute(
        "select constraint_type, constraint_column_names from system.main.duckdb_constraints() "
        "where database_name = ? and schema_name = ? and table_name = ?", (database, schema, table),
    ).fetchall()  # fmt: skip
    primary = next((tuple(names) for kind, names in found if kind == "PRIMARY KEY"), ())
    return Keys(primary, tuple(Index(tuple(names), unique=True) for kind, names in found if kind == "UNIQUE"))


def _look(link: Any, place: str, name: str, declared: str) -> tuple[pa.DataType, pa.DataType | None]:
    """Ask DuckDB in which Arrow type it hands a column over."""
    import _duckdb
    import pyarrow as pa

    if "GEOMETRY" in declared:  # it would pass for bytes
        return pa.null(), None
    try:
        with link.execute(f"select {quoted(name)} from {place} limit 0").to_arrow_reader(1) as reader:  # noqa: S608 - quoted
            wire = reader.schema.field(0).type
        return wire, kind_of(wire)
    except (ValueError, OSError, _duckdb.NotImplementedException):
        return pa.null(), None
