"""What is only chosen goes through no jail, and is what the jail would have given: the same values in the same types."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from sluicegate.engine import jail, projection, query
from sluicegate.engine.program import Program
from sluicegate.steps.map import Map
from sluicegate.steps.read import Read

_VALUES = {
    pa.bool_(): [True, False], pa.int8(): [-128, 127], pa.int16(): [-(1 << 15)], pa.int32(): [(1 << 31) - 1],
    pa.int64(): [-(1 << 63), (1 << 63) - 1], pa.uint8(): [255], pa.uint16(): [65535], pa.uint32(): [(1 << 32) - 1],
    pa.uint64(): [(1 << 64) - 1], pa.float32(): [float("nan"), -0.0, 3.5e-45], pa.float64(): [float("-inf"), 5e-324, -0.0],
    pa.decimal128(38, 0): [Decimal("9" * 38)], pa.decimal128(18, 4): [Decimal("-0.0001")], pa.decimal128(4, 4): [Decimal("0.1")],
    pa.string(): ["", "größer\0 'x'", "0012"], pa.binary(): [b"", b"\xff\0"], pa.date32(): [dt.date(1, 1, 1), dt.date.max],
    pa.time64("us"): [dt.time(0), dt.time.max], pa.timestamp("us"): [-62135596800000000, 253402300799999999],
    pa.timestamp("us", "UTC"): [dt.datetime(1970, 1, 1, tzinfo=dt.UTC)],
    pa.json_(): ['{"b": 1.50,"a":[]}', "1e400", '""'], pa.uuid(): [b"\0" * 16, b"\xff" * 16],
}  # fmt: skip


def _column(kind: pa.DataType, values: list, shift: int) -> pa.Array:
    turned = [*values, None]
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    made = pa.array([turned[(row + shift) % len(turned)] for row in range(8)], storage)
    return made if storage == kind else pa.ExtensionArray.from_storage(kind, made)


def _table() -> pa.Table:
    """Return each type as a column and as a field of a struct that is NULL now and then, and below a second struct."""
    plain = {f"c{place}": _column(kind, values, place) for place, (kind, values) in enumerate(_VALUES.items())}
    below = pa.StructArray.from_arrays(
        list(plain.values()), list(plain), mask=pa.array([row % 3 == 0 for row in range(8)])
    )
    deep = pa.StructArray.from_arrays([below], ["s"], mask=pa.array([row % 4 == 1 for row in range(8)]))
    noted = [pa.field(name, column.type, metadata={"unit": "km"}) for name, column in plain.items()]
    schema = pa.schema([*noted, ("s", below.type), ("D", deep.type)])
    return pa.Table.from_arrays([*plain.values(), below, deep], schema=schema)


@pytest.mark.slow
@pytest.mark.security
def test_each_value_is_what_the_jail_gives():
    table = _table()
    names = [name for name in table.column_names if name.startswith("c")]
    ways = (names, [f"s['{name}']" for name in names], [f"(D['s'])['{name}']" for name in names])
    texts = [text for way in ways for text in way]
    columns = {f"o{number}": text for number, text in enumerate(texts)}
    step = Map.model_validate({"name": "m", "from": "a", "columns": columns})
    places = projection.find(step.chosen, table.schema)
    assert places is not None
    found = projection.project(table.to_reader(2), tuple(step.chosen), places)
    made = query.compose({"a": Read(name="a", connection="c", item="i"), "m": step}, "m",
                         {"a": table.column_names}, {})  # fmt: skip
    (taken,) = made.inputs
    inner = query.renamed(table.to_reader(2), taken.columns, lambda _: None)
    with jail.run(Program(made.sql, made.params, {taken.table: inner}, "step m")) as rows:
        wanted = query.renamed(rows, made.outputs, lambda _: None).read_all()
    assert found.schema.equals(wanted.schema, check_metadata=True)
    for ours, theirs in zip(found.read_all().columns, wanted.columns, strict=True):
        assert str(ours.to_pylist()) == str(theirs.to_pylist())


@pytest.mark.parametrize(
    "columns",
    [
        {"o": "c0 is null"}, {"o": "upper(a)"}, {"o": "A"}, {"o": "none"}, {"o": "s"}, {"o": "s['X']"}, {"o": "s['y']"},
        {"o": "s[1]"}, {"o": "a['x']"}, {"o": "l[1]"}, {"o": "twice"}, {"o": ":p"}, {"o": "'a'"}, {"o": "cast(a as text)"},
    ],
)  # fmt: skip
@pytest.mark.security
def test_all_else_is_the_jails(columns):
    schema = pa.schema(
        [("a", pa.string()), ("s", pa.struct([("x", pa.int64())])), ("twice", pa.int8()), ("TWICE", pa.int8())]
    )
    step = Map.model_validate({"name": "m", "from": "r", "columns": columns})
    assert projection.find(step.chosen, schema) is None


def test_rows_are_chosen_by_a_query_alone():
    schema = pa.schema([("a", pa.string())])
    assert Map.model_validate({"name": "m", "from": "r", "columns": {"o": "a"}, "where": "true"}).chosen is None
    assert Map.model_validate({"name": "m", "from": "r"}).chosen is None
    assert projection.find({"o": ("a",)}, schema) == [[0]]


@pytest.mark.parametrize(
    "kind",
    [
        pa.decimal256(40, 1), pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin"), pa.month_day_nano_interval(),
        pa.list_(pa.int8()), pa.null(), pa.large_string(), pa.struct([]), pa.struct([("a", pa.int8()), ("A", pa.int8())]),
    ],
)  # fmt: skip
@pytest.mark.security
def test_a_type_that_the_jail_may_change_or_refuse_is_left_to_it(kind):
    assert projection.find({"o": ("a",)}, pa.schema([("a", pa.string()), ("b", kind)])) is None
