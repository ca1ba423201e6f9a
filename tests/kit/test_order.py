from __future__ import annotations

import pytest
from pydantic import ValidationError

from sluicegate.kit.columns import Columns
from sluicegate.kit.order import Order, spell

KNOWN = Columns("s0", {"k": "c0", "v": "c1"})


def test_a_bare_word_is_a_column_in_ascending_order():
    assert Order.model_validate("k") == Order(column="k", descending=False, nulls="last")


def test_equal_rows_stay_as_they_came():
    orders = [Order.model_validate("k"), Order(column="v", descending=True, nulls="first")]
    assert spell(orders, KNOWN) == '"c0" ASC NULLS LAST, "c1" DESC NULLS FIRST, row_number() OVER ()'


@pytest.mark.security
@pytest.mark.parametrize("wrong", [5, ["k"], {"column": "k", "nulls": "last; drop table x"}, {"columm": "k"}])
def test_nothing_but_an_order_is_one(wrong):
    with pytest.raises(ValidationError):
        Order.model_validate(wrong)
