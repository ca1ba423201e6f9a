"""Arrow columns as the texts that a load sends, and rows of them as LOAD DATA or INSERT takes them.

A plan is made per column before the first row: what cannot be held is refused by type at once, what may not fit is
checked by value. Strict mode, too, rounds, pads, folds and fills silently: places of a second, FLOAT(M,D), BINARY and
CHAR, labels of ENUM and SET, NULL in AUTO_INCREMENT and TIMESTAMP.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sluicegate.base.errors import DataError
from sluicegate.connectors.mysql.link import quoted
from sluicegate.kit.text import Unfit, exact, shown, to_text
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from sluicegate.connectors.mysql.catalogue import Column

_SPELLED = frozenset({"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json"})
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_MICROS = 6


class Plan(NamedTuple):
    """How one column travels."""

    column: Column
    encode: Callable[[pa.Array], pa.Array]
    """Gives texts; NULL stays NULL."""
    call: str = ""
    """What is applied to the text in SQL, with ``%s`` for it."""

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name


def plan(field: pa.Field, column: Column, where: str) -> Plan:
    """Return how ``field`` travels into ``column``. ``DataError`` when that would change values."""
    import pyarrow as pa

    want = to_name(field.type)
    own = to_arrow(want)
    have = None if column.kind is None else to_name(column.kind)
    made = None
    if have is None or (column.base in ("float", "double") and "(" in column.declared) or column.base == "json":
        pass
    elif pa.types.is_integer(column.kind) and pa.types.is_integer(own):
        made = _integer(column)
    elif pa.types.is_decimal(column.kind) and (pa.types.is_decimal(own) or pa.types.is_integer(own)):
        made = Plan(column, lambda each: to_text(_decimal(exact(each, own), column.kind)))
    elif have == "text" and (
        want == "text" or (column.base in _TEXTS and (want in _SPELLED or pa.types.is_decimal(own)))
    ):
        made = _text(column, own)
    elif have == "json" and (want == "json" or pa.types.is_nested(own)):
        made = Plan(column, lambda each: to_text(exact(each, own)))
    elif have == want or (have, want) == ("float64", "float32"):
        made = _same(column, own)
    if made is None:
        raise DataError(
            f"The column is {column.declared} and cannot hold {want} unchanged.",
            where=f"{where}: column {column.name}", hint="Cast it in a map step.",
        )  # fmt: skip
    return made


def _integer(column: Column) -> Plan:
    import pyarrow as pa
    import pyarrow.compute as pc

    def encode(values: pa.Array) -> pa.Array:
        made = exact(values, column.kind)
        if column.base == "year":
            _all(pc.or_(pc.equal(made, 0), pc.and_(pc.greater(made, 1900), pc.less(made, 2156))), made, column)
            return pc.utf8_lpad(pc.cast(made, pa.string()), 4, "0")  # the text '0' is the year 2000
        if column.base == "bit":
            bits = int(column.declared.partition("(")[2].rstrip(")") or 1)
            _all(pc.less_equal(made, (1 << bits) - 1), made, column)
        return pc.cast(made, pa.string())

    return Plan(column, encode, "cast(%s as unsigned)" if column.base == "bit" else "")


def _all(fits: pa.Array, values: pa.Array, column: Column) -> None:
    """Raise ``Unfit`` at the first value that is not NULL and does not fit."""
    import pyarrow.compute as pc

    row = pc.index(fits, False).as_py()
    if row >= 0:
        raise Unfit(row, f"{shown(to_text(values.slice(row, 1))[0].as_py())} does not fit {column.declared:.80}")


def _decimal(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return exact(column.cast(pa.decimal128(20, 0)) if pa.types.is_integer(column.type) else column, kind)


def _text(column: Column, own: pa.DataType) -> Plan:
    import pyarrow as pa
    import pyarrow.compute as pc

    def encode(values: pa.Array) -> pa.Array:
        made = to_text(exact(values, own))
        if column.base == "char":
            _all(pc.invert(pc.ends_with(made, " ")), made, column)
        elif column.base == "enum":
            _all(_known(made, labels(column.declared)), made, column)
        elif column.base == "set":
            known = labels(column.declared)
            _all(pa.array([None if each is None else _is_set(each, known) for each in made.to_pylist()]), made, column)
        return made

    return Plan(column, encode)


def _known(values: pa.Array, known: list[str]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.or_(pc.is_in(values, pa.array(known, pa.string())), pc.is_null(values))


def labels(declared: str) -> list[str]:
    """Return the values of ``enum('a','b')`` or ``set(…)``."""
    return [each.replace("''", "'") for each in re.findall(r"'((?:[^']|'')*)'", declared)]


def _is_set(value: str, known: list[str]) -> bool:
    """Tell whether the server gives ``value`` back as it is: each label once, in the order of the declaration."""
    parts = value.split(",") if value else []
    return set(parts) <= set(known) and parts == sorted(set(parts), key=known.index)


def _same(column: Column, own: pa.DataType) -> Plan | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    test = pa.types
    if test.is_boolean(own):
        number = "cast(%s as unsigned)" if column.base == "bit" else ""
        return Plan(column, lambda each: pc.cast(pc.cast(exact(each, own), pa.int8()), pa.string()), number)
    if test.is_floating(own):
        return Plan(column, lambda each: _finite(exact(each, pa.float64())))
    if test.is_binary(own):
        return Plan(column, lambda each: _hex(exact(each, own), column), "unhex(%s)")
    if test.is_timestamp(own):
        bare = pa.timestamp("us")
        return Plan(column, lambda each: pc.cast(_rounded(exact(each, own), column).cast(bare), pa.string()))
    if test.is_time(own):
        return Plan(column, lambda each: to_text(_rounded(exact(each, own), column)))
    return Plan(column, lambda each: to_text(exact(each, own)))


def _finite(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    row = pc.index(pc.is_finite(column), False).as_py()
    if row >= 0:
        raise Unfit(row, f"MySQL cannot store {column[row].as_py()}")
    return pc.cast(column, pa.string())


def _hex(column: pa.Array, target: Column) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if target.base == "binary":
        _all(pc.equal(pc.binary_length(column), target.size), column, target)
    return pa.array([None if each is None else each.hex() for each in column.to_pylist()], pa.string())


def _rounded(column: pa.Array, target: Column) -> pa.Array:
    """Return ``column`` when no value has more places of a second than its target keeps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if target.places < _MICROS:
        unit, micros = 10 ** (_MICROS - target.places), column.cast(pa.int64())
        _all(pc.equal(pc.multiply(pc.divide(micros, unit), unit), micros), column, target)
    return column


def load_rows(texts: list[pa.Array]) -> memoryview:
    """Return rows as LOAD DATA reads them with fields enclosed by ``"``, no escapes, and NULL as a bare word."""
    return _joined([_quoted(each, '"') for each in texts], "", "\n")


def load_sql(table: str, plans: list[Plan], name: str) -> str:
    """Return the statement for ``load_rows``; every separator is spelled so that no SQL mode reads it otherwise."""
    targets, sets = [], []
    for number, each in enumerate(plans):
        targets.append(f"@c{number}" if each.call else quoted(each.name))
        if each.call:
            sets.append(f"{quoted(each.name)} = {each.call % f'@c{number}'}")
    return (
        f"load data local infile '{name}' into table {quoted(table)} character set utf8mb4 fields terminated by ',' "
        f"enclosed by '\"' escaped by '' lines starting by '' terminated by x'0a' ({', '.join(targets)})"
        + (f" set {', '.join(sets)}" if sets else "")
    )


def insert_sql(table: str, plans: list[Plan], texts: list[pa.Array]) -> bytes:
    """Return one INSERT of many rows, under NO_BACKSLASH_ESCAPES."""
    import pyarrow.compute as pc

    parts = []
    for each, column in zip(plans, texts, strict=True):
        made = _quoted(column, "'")
        before, _, after = each.call.partition("%s")
        parts.append(pc.binary_join_element_wise(before, made, after, "") if each.call else made)
    names = ", ".join(quoted(each.name) for each in plans)
    head = f"insert into {quoted(table)} ({names}) values ".encode()  # noqa: S608 - quoted
    return head + bytes(_joined(parts, "(", "),"))[:-1]


def _quoted(texts: pa.Array, mark: str) -> pa.Array:
    import pyarrow.compute as pc

    doubled = pc.replace_substring(texts, mark, mark * 2)
    return pc.fill_null(pc.binary_join_element_wise(mark, doubled, mark, ""), "NULL")


def _joined(columns: list[pa.Array], before: str, after: str) -> memoryview:
    """Return all rows in one piece of memory: the values of one text column lie side by side."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lines = pc.binary_join_element_wise(before, pc.binary_join_element_wise(*columns, ","), after, "")
    lines = lines.cast(pa.large_string()) if not pa.types.is_large_string(lines.type) else lines
    offsets = memoryview(lines.buffers()[1]).cast("q")
    return memoryview(lines.buffers()[2])[offsets[lines.offset] : offsets[lines.offset + len(lines)]]
