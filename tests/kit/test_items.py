from __future__ import annotations

import pytest

from sluicegate.base.errors import SluiceError
from sluicegate.connectors.postgres.link import check_name
from sluicegate.kit.items import spell_item, split_item


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
