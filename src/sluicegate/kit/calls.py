"""How many values the functions in a text are given, and whether the library that reads it keeps them all.

sqlglot drops a value that a function does not take in its books (``hex(a, b)`` is read as ``hex(a)``), so that DuckDB
would be asked something else than what was written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Invalid
from sluicegate.kit.dialect import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = frozenset({"", "in", "over", "limit", "rows"})
"""What may stand before a parenthesis and is no function, though the library reads it like one when it stands alone."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check(text: str) -> None:
    """Raise ``Invalid`` for a function that would lose one of its values. ``text`` is an expression or a query."""
    for name, count in set(_calls(text)):
        if not _keeps(name, count):
            raise Invalid(
                f"the function {name[:64]!r} does not take {count} values",
                hint="DuckDB's manual says which it takes.",
            )


def _calls(text: str) -> Iterator[tuple[str, int]]:
    """Yield what stands before a parenthesis, and how many values are in it, as the text has them."""
    import sqlglot
    from sqlglot import TokenType as T

    opening, closing = {T.L_PAREN, T.L_BRACKET, T.L_BRACE}, {T.R_PAREN, T.R_BRACKET, T.R_BRACE}
    tokens = sqlglot.tokenize(text, read=duckdb())
    held: list[list[Any]] = []  # what is open: the name before it, and the values so far
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.token_type in closing:
            if held:
                name, count = held.pop()
                yield name, count
        elif token.token_type in opening:
            _begin(held)
            called = token.token_type is T.L_PAREN and before is not None and _NAME.fullmatch(before.text)
            held.append([before.text.lower() if called and before else "", 0])
        elif token.token_type is T.COMMA:
            if held:
                held[-1][1] += 1
        else:
            _begin(held)


def _begin(held: list[list[Any]]) -> None:
    if held and not held[-1][1]:
        held[-1][1] = 1


@lru_cache(maxsize=4096)
def _keeps(name: str, count: int) -> bool:
    """Tell whether a function is written out with as many values as it is given: the library loses the last of some.

    It is tried with values of its own, columns and casts. What is no function (``in (1, 2)``), or cannot be written
    with so many, is not lost in silence, and passes.
    """
    return name in _WORDS or all(_tried(name, count, spelling) for spelling in ("value_{}_", "cast(value_{}_ as date)"))


def _tried(name: str, count: int, spelling: str) -> bool:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ErrorLevel, SqlglotError

    given = ", ".join(spelling.format(number) for number in range(count))
    try:
        (tree,) = sqlglot.parse(f"SELECT ({name}({given}))", dialect=duckdb())
    except SqlglotError:
        return True
    if tree is None or not isinstance(tree.expressions[0], exp.Paren):
        return True
    if count == 0:
        return tree.find(exp.Literal) is None  # log10() is no log(10)
    names = [f"value_{number}_" for number in range(count)]
    if {each.name.lower() for each in tree.find_all(exp.Column, exp.Var, exp.Literal)}.issuperset(names):
        try:
            written = str(tree.sql(dialect=duckdb(), unsupported_level=ErrorLevel.RAISE)).lower()
        except SqlglotError:
            return True
        return all(each in written for each in names)
    return False
