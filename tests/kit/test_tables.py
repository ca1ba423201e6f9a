from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from sluicegate.base.errors import DataError, SluiceError
from sluicegate.connectors.postgres.link import check_name
from sluicegate.kit.connection import Read
from sluicegate.kit.tables import choose, spell_item, split_item


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ("t", (None, "t")),
        ("s.t", ("s", "t")),
        ('"s.x"."t""y"', ("s.x", 't"y')),
        ('s."t.u"', ("s", "t.u")),
        ('a"b', (None, 'a"b')),
    ],
)
def test_item_names(item, found):
    assert split_item(item, check_name) == found
    assert split_item(spell_item(*found), check_name) == found


@pytest.mark.parametrize("item", ["a.b.c", '"a', '"a"b', "", ".", "s.", '""', "x" * 64, "é" * 32])
def test_item_names_that_are_none(item):
    with pytest.raises(SluiceError):
        split_item(item, check_name)


class Column(NamedTuple):
    name: str
    kind: Any = "int64"
    declared: str = "bigint"


FOUND = [Column("a"), Column("b"), Column("shape", None, "polygon" * 50)]


def test_columns_come_in_the_order_they_are_asked_for():
    assert choose(FOUND, Read(item="t", columns=("b", "a")), "t") == [FOUND[1], FOUND[0]]
    assert choose(FOUND[:2], Read(item="t"), "t") == FOUND[:2]


def test_a_column_that_is_not_there_or_has_no_type_is_named():
    with pytest.raises(DataError, match="no column 'c'"):
        choose(FOUND, Read(item="t", columns=("a", "c")), "t")
    with pytest.raises(DataError, match="no counterpart") as caught:
        choose(FOUND, Read(item="t"), "db: t")
    assert caught.value.where == "db: t: column shape"
    assert len(caught.value.message) < 150
