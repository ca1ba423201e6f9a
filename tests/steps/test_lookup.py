from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.steps.lookup import Lookup
from tests.fixtures.transform import run


class TestLookup(TransformSuite):
    plugin = Lookup
    whole = {
        "name": "l",
        "from": "rows",
        "in": "table",
        "on": ["k", {"left": "v", "right": "id"}],
        "take": {"x": "a", "y": "b", "z": "a"},
        "default": {"x": "it's"},
    }
    schemas = {"rows": ("k", "v"), "table": ("k", "id", "a", "b")}


def lookup(**fields: object) -> Lookup:
    whole = {"name": "l", "from": "rows", "in": "table", "on": ["k"], "take": {"what": "v"}, **fields}
    return Lookup.model_validate(whole)


ROWS = pa.table({"k": [2, 1, None, 2, 9]})
TABLE = pa.table({"k": [1, 2, None, 3, 3], "v": ["a", None, "n", "x", "y"]})


def test_every_row_stays_once():
    found = run(lookup(), rows=ROWS, table=TABLE)
    assert sorted(map(str, found.to_pylist())) == sorted(
        str({"k": k, "what": "a" if k == 1 else None}) for k in [2, 1, None, 2, 9]
    )


def test_a_default_stands_for_what_is_not_found_and_for_nothing_else():
    found = run(lookup(default={"what": "(none)"}), rows=ROWS, table=TABLE).to_pylist()
    assert {(row["k"], row["what"]) for row in found} == {(2, None), (1, "a"), (None, "(none)"), (9, "(none)")}


@pytest.mark.parametrize(
    ("values", "default", "kind"),
    [
        ([1], 7, pa.int16()),
        ([Decimal("1.50")], "0.25", pa.decimal128(5, 2)),
        ([date(2024, 1, 1)], date(1970, 1, 1), pa.date32()),
        ([True], False, pa.bool_()),
        (["x"], "it's; --", pa.string()),
    ],
)
def test_a_default_takes_the_type_of_its_column(values, default, kind):
    table = pa.table({"k": [1], "v": pa.array(values, kind)})
    found = run(lookup(default={"what": default}), rows=pa.table({"k": [1, 5]}), table=table)
    assert found.schema.field("what").type == kind
    assert str(found["what"].to_pylist()[1]) == str(default)


def test_two_rows_for_one_key_are_an_error_that_names_it():
    with pytest.raises(DataError, match=r"more than one row of what is looked up has the key: the column 'k' = '3'"):
        run(lookup(), rows=pa.table({"k": [1, 3]}), table=TABLE)


def test_a_key_that_is_not_found_can_be_an_error():
    with pytest.raises(DataError, match=r"no row of what is looked up has the key: the column 'k' = '9'"):
        run(lookup(missing="error"), rows=pa.table({"k": [9]}), table=TABLE)


@pytest.mark.parametrize(
    ("fields", "kind", "says"),
    [
        ({"take": {"k": "v"}}, Invalid, "'rows' has a column 'k' already"),
        ({"take": {"x": "nope"}}, UnknownColumn, "'table' has no column 'nope'"),
        ({"on": ["nope"]}, UnknownColumn, "'rows' has no column 'nope'"),
        ({"on": [{"left": "k", "right": "v"}]}, Invalid, "'k' is int64 in 'rows' and text in 'table'"),
        ({"default": {"what": "x"}, "take": {"what": "k"}}, DataError, "the text 'x' is not int64"),
        ({"in": "rows"}, Invalid, "two different inputs"),
    ],
)
def test_misuse_is_told(fields, kind, says):
    with pytest.raises(kind, match=says) as caught:
        run(lookup(**fields), rows=ROWS, table=TABLE)
    assert caught.value.where.startswith("step l")


@pytest.mark.parametrize("fields", [{"default": {"nope": 1}}, {"default": {"what": "x"}, "missing": "error"}])
def test_defaults_that_nobody_uses_are_refused(fields):
    with pytest.raises(ValidationError):
        lookup(**fields)


@pytest.mark.security
@pytest.mark.req("SEC-P01")
def test_a_key_in_an_error_is_bounded_and_cannot_end_its_quotes():
    evil = "' the column c0 = '" + "x" * 1000
    table = pa.table({"k": [evil, evil], "v": ["a", "b"]})
    with pytest.raises(DataError) as caught:
        run(lookup(), rows=pa.table({"k": [evil]}), table=table)
    assert len(caught.value.message) < 300
    assert "= ''' the column c0 = ''xxx" in caught.value.message
