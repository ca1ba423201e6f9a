from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from sluicegate.base.errors import DataError
from sluicegate.engine.jailed import decode
from sluicegate.engine.program import Bounds, encode


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -(2**63), "", "x'; --", 0.1, float("inf"), Decimal("1.50"), Decimal("1E+5"),
        date(2013, 1, 1), datetime(2013, 1, 1, 5), datetime(2013, 1, 1, 5, tzinfo=UTC),
    ],
)  # fmt: skip
def test_a_value_is_the_same_on_the_other_side(value):
    kind, text = encode("p", value, "step a")
    assert decode([kind, text]) == value
    assert type(decode([kind, text])) is type(value)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1" * 39)])
def test_a_number_that_would_change_is_refused_by_name_and_place(value):
    with pytest.raises(DataError, match="the parameter 'p' is no number of at most 38 digits") as caught:
        encode("p", value, "step a")
    assert caught.value.where == "step a"


@pytest.mark.security
def test_no_bound_is_absent_by_default():
    assert all(value > 0 for value in vars(Bounds()).values())
