from __future__ import annotations

import pytest

from sluicegate.conformance.samples import NAMES, TEXTS, VALUES, column, rows, table
from sluicegate.kit.types import to_arrow, to_name


@pytest.mark.parametrize("kind", VALUES)
def test_every_sample_is_of_its_type_and_has_a_null(kind):
    made = column(kind)
    assert made.type == to_arrow(kind)
    assert to_name(made.type) == kind
    assert made.null_count == 1
    assert len(made) == len(VALUES[kind]) + 1


def test_samples_hold_the_traps():
    assert {"", "NULL", "0012", "NA"} <= set(TEXTS)
    assert len({name.lower() for name in NAMES}) == len(NAMES)
    assert all(len(name.encode()) < 64 for name in NAMES)


def test_rows_compare_without_order():
    nan = float("nan")
    assert rows(table({"a": [2, 1], "b": [nan, None]})) == rows(table({"a": [1, 2], "b": [None, nan]}))
    assert rows(table({"a": [""]})) != rows(table({"a": [None]}))
