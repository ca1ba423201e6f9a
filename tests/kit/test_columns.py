from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.kit.columns import Columns, quote

TWINS = Columns("s0", {"id": "c0", "ID": "c1", "name": "c2"})


@pytest.mark.security
def test_quoting_keeps_any_name_a_name():
    assert quote('x"; drop table t') == '"x""; drop table t"'
    with pytest.raises(Invalid):
        quote("a\0b")


def test_columns_are_a_list_of_names():
    assert list(TWINS) == ["id", "ID", "name"]
    assert ("Id" in TWINS, "ID" in TWINS, len(TWINS), TWINS[0], TWINS[1:]) == (False, True, 3, "id", ("ID", "name"))
    assert (TWINS.table, TWINS.sql("ID")) == ('"s0"', '"c1"')


def test_a_name_is_found_exactly_first_and_then_without_case():
    assert [TWINS.find(name) for name in ("id", "ID", "NAME")] == ["id", "ID", "name"]
    with pytest.raises(UnknownColumn, match="'iD' can mean 'id' or 'ID'"):
        TWINS.find("iD")
    with pytest.raises(UnknownColumn, match="no column 'NAME'"):
        TWINS.find("NAME", exact=True)
    with pytest.raises(UnknownColumn) as caught:
        TWINS.find("nam")
    assert caught.value.hint == "Did you mean 'name'?"
