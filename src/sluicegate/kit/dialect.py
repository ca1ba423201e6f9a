"""SQL as the DuckDB in the jail reads it, where the library that parses it would read something else."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Invalid

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect

VERSION = "1.5"
"""DuckDB's. Without one sqlglot reads as a later one does: ``~`` finds a part of a text from 2.0 on, all of it here."""
WRITTEN_MAX = 500_000
"""Characters that may be written for one text: some functions are spelled out, with what stands in them several times
(``a between symmetric b and c``, ``strpos(a, b, c)``), so that each one around them multiplies it."""


@cache
def duckdb() -> Dialect:
    """Return the dialect that people's SQL is read and written in."""
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.generators.duckdb import DuckDBGenerator

    class Exact(DuckDB):
        """Leaves what names a part of a JSON value as it is written: ``'a.b'`` is one key there, and no path."""

        def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
            return path

        class Generator(DuckDBGenerator):
            """Stops where the text grows too long."""

            def sql(self, *given: Any, **more: Any) -> str:
                text: str = super().sql(*given, **more)
                if len(text) > WRITTEN_MAX:
                    raise Invalid("this gets too long when it is written out: functions stand in each other too deeply")
                return text

    return Exact(version=VERSION)
