from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit.literal import spell


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (True, "'true'"),
        (5, "'5'"),
        (0.1, "'0.1'"),
        (Decimal("1E+3"), "'1000'"),
        (date(2024, 3, 1), "'2024-03-01'"),
        (datetime(2024, 3, 1, 12), "'2024-03-01 12:00:00'"),
    ],
)
def test_a_value_is_a_text_that_the_column_reads(value, sql):
    assert spell(value) == sql


@pytest.mark.security
@pytest.mark.req("SEC-P01")
def test_no_text_ends_its_quotes():
    assert spell("x'; drop table t; --") == "'x''; drop table t; --'"
    with pytest.raises(Invalid):
        spell("a\0b")
