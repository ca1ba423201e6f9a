from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.steps.join import Join


def join(**fields: object) -> Join:
    return Join.model_validate({"name": "j", "left": "l", "right": "r", "on": ["k"], **fields})


SCHEMAS = {"l": ("k", "a"), "r": ("k", "b")}


def test_join_columns_come_out_once():
    found = join(how="left")
    assert found.outputs(SCHEMAS) == ("k", "a", "b")
    assert found.query(SCHEMAS) == 'SELECT "k", "a", "b" FROM "l" LEFT JOIN "r" USING ("k")'


def test_a_lost_join_column_is_told():
    with pytest.raises(UnknownColumn, match="no column 'k'"):
        join().query({"l": ("a",), "r": ("k",)})


def test_a_name_on_both_sides_is_told():
    with pytest.raises(Invalid, match="both inputs have a column 'a'"):
        join().query({"l": ("k", "a"), "r": ("k", "a")})


@pytest.mark.security
@pytest.mark.req("SEC-P01")
def test_names_stay_names():
    evil = 'k") ; drop table x; --'
    found = join(on=[evil]).query({"l": (evil,), "r": (evil,)})
    assert found.count('"k"") ; drop table x; --"') == 2
