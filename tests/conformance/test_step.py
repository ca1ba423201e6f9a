"""The suites see a step that breaks their rule: each case here is a plugin with one fault."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ConfigDict

from sluicegate.conformance.step import CheckSuite, ReadingSuite, StepSuite, TransformSuite, WritingSuite, columns
from sluicegate.kit.rows import Reject
from sluicegate.steps.check import Check
from sluicegate.steps.join import Join
from sluicegate.steps.map import Map
from sluicegate.steps.read import Read
from sluicegate.steps.write import Write

BATCH = pa.RecordBatch.from_pydict({"n": [1, 9], "t": ["a", "b"]})
MAP = {"name": "m", "from": "rows", "columns": {"x": "a"}}
CHECK = {"name": "c", "from": "rows", "rules": [{"column": "n", "between": [0, 5]}]}
READ = {"name": "r", "connection": "c", "item": "t"}
WRITE = {"name": "w", "from": "rows", "connection": "c", "item": "t"}
JOIN = {"name": "j", "left": "l", "right": "r", "on": ["k"]}


class Loose(Map):
    """Takes any key."""

    model_config = ConfigDict(extra="ignore")


class Bare(Join):
    """Puts people's names into the query."""

    def query(self, inputs):
        shown = ", ".join(f'"{name}"' for name in self.outputs(inputs))
        return f"SELECT {shown} FROM {inputs[self.left].table}"


class Twice(Map):
    """Tells other columns than it gives."""

    def outputs(self, inputs):
        return (*super().outputs(inputs), "more")


class Nosy(Map):
    """Reads what is no input."""

    def query(self, inputs):
        return super().query(inputs) + " AND (SELECT true FROM read_csv('/etc/passwd'))"


class Lines(Check):
    """Calls the number of a row a line."""

    def split(self, batch, first_row):
        good, bad = super().split(batch, first_row)
        return good, [Reject(each.row, each.column, each.reason, each.raw) for each in bad]


class Keeps(Check):
    """Keeps all of a row."""

    def split(self, batch, first_row):
        good, bad = super().split(batch, first_row)
        return good, [each._replace(raw=str(batch.to_pylist())) for each in bad]


class Drops(Check):
    """Loses rows."""

    def split(self, batch, first_row):
        good, _ = super().split(batch, first_row)
        return good, []


class AnyItem(Read):
    """Takes an item of any size."""

    item: str
    """Anything."""


class Mute(Write):
    """Has a field without help."""

    more: int = 0


def suite(kind: type, base: type[StepSuite], whole: dict[str, Any], **more: Any) -> Any:
    return type("Suite", (base,), {"plugin": kind, "whole": whole, "batch": lambda _self: BATCH, **more})()


JOINED = {"schemas": {"l": ("k", "a"), "r": ("k", "b")}}
MAPPED = {"schemas": {"rows": ("a", "b")}}


@pytest.mark.parametrize(
    ("kind", "base", "whole", "case", "more"),
    [
        (Twice, TransformSuite, MAP, "test_query_is_one_select_of_the_columns_it_tells", MAPPED),
        (Lines, CheckSuite, CHECK, "test_a_reject_counts_rows_and_claims_no_line", {}),
        (Drops, CheckSuite, CHECK, "test_every_row_passes_or_is_rejected", {}),
        (Mute, WritingSuite, WRITE, "test_every_field_has_help", {}),
    ],
)
def test_suite_sees_the_fault(kind, base, whole, case, more):
    with pytest.raises(AssertionError):
        getattr(suite(kind, base, whole, **more), case)()


@pytest.mark.security
@pytest.mark.parametrize(
    ("kind", "base", "whole", "case", "args", "more"),
    [
        (Loose, TransformSuite, MAP, "test_unknown_keys_are_refused", (), MAPPED),
        (Bare, TransformSuite, JOIN, "test_names_of_columns_never_reach_the_query", ("a.b",), JOINED),
        (Bare, TransformSuite, JOIN, "test_query_reads_its_inputs_and_nothing_else", (), JOINED),
        (Nosy, TransformSuite, {**MAP, "where": "a = 1"}, "test_query_reads_its_inputs_and_nothing_else", (), MAPPED),
        (Keeps, CheckSuite, CHECK, "test_what_is_kept_of_a_row_is_bounded", (), {}),
        (AnyItem, ReadingSuite, READ, "test_an_item_has_a_largest_size", (), {}),
    ],
)
def test_suite_sees_the_hole(kind, base, whole, case, args, more):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(suite(kind, base, whole, **more), case)(*args)


def test_suite_passes_a_good_step():
    good = suite(Map, TransformSuite, MAP, **MAPPED)
    good.test_query_is_one_select_of_the_columns_it_tells()
    good.test_query_reads_its_inputs_and_nothing_else()
    good.test_unknown_keys_are_refused()


def test_columns_are_numbered_on():
    assert [columns("s0", "a", "b", first=3).inner(name) for name in ("a", "b")] == ["c3", "c4"]
