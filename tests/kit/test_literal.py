from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit.literal import fit, spell


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


def put(value: object, kind: str) -> object:
    with duckdb.connect() as link:
        link.execute("set TimeZone = 'UTC'")
        return link.execute(f"select {fit(value, 'c')} from (select cast(null as {kind}) as c)").fetchone()[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "kind", "is_there"),
    [
        (2.5, "double", 2.5), (2.5, "decimal(9,2)", Decimal("2.50")), (3, "decimal(9,2)", 3), (-3, "bigint", -3),
        (Decimal("1.20"), "decimal(9,1)", Decimal("1.2")), (0.1, "float", pytest.approx(0.1)), (1e300, "double", 1e300),
        (2.0, "integer", 2), (5, "varchar", "5"), ("05", "integer", 5), (True, "varchar", "true"),
        (datetime(2024, 3, 1), "date", date(2024, 3, 1)), (datetime(2024, 3, 1, 2, tzinfo=UTC), "timestamp", datetime(2024, 3, 1, 2)),
    ],
)  # fmt: skip
def test_a_value_comes_in_the_type_of_its_column(value, kind, is_there):
    assert put(value, kind) == is_there


@pytest.mark.parametrize(
    ("value", "kind"),
    [(2.5, "integer"), (Decimal("1.239"), "decimal(9,2)"), (datetime(2024, 3, 1, 2), "date"), (1e300, "float")],
)
def test_a_value_is_not_rounded_into_a_column(value, kind):
    with pytest.raises(duckdb.Error, match="cannot be had exactly|out of range"):
        put(value, kind)
