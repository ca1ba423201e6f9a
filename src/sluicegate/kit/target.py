"""The table that rows land in: how it may be made, matched and changed, and what the flow allows to be taken away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_args

from pydantic import Field

from sluicegate.base.errors import Invalid
from sluicegate.base.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.kit.mode import Mode

Word = Literal["replace", "truncate", "delete", "drop"]
WORDS: frozenset[str] = frozenset(get_args(Word))
"""All that a flow can allow."""
_LOSES = {
    "replace": "Mode replace takes away the rows that are there",
    "truncate": "Mode truncate takes away the rows that are there",
    "delete": "This deletes rows that are there",
    "drop": "This drops the table, with its indexes and rights, and makes it anew",
}
_WORDS = r"[a-z][a-z0-9_]*(?: [a-z]+){0,3}"
_TYPE = rf"^{_WORDS}(?:\(\d{{1,5}}(?:, ?\d{{1,3}})?\))?(?: [a-z]+){{0,4}}$"
"""What a type can look like: words, and at the most one pair of brackets with one or two numbers. No quotes."""
_BRACKETS = re.compile(r"\([^)]*\)")


class Option(NamedTuple):
    """One more thing that a table can be made with."""

    pattern: str
    """What its value must match, whole."""
    sql: str
    """What is written behind the columns, ``{}`` for the value."""


class Ddl(NamedTuple):
    """What a database takes in CREATE TABLE beside names: each connector has one."""

    types: frozenset[str] = frozenset()
    """Types a column can be given, without numbers in brackets."""
    options: Mapping[str, Option] = {}


class Index(NamedTuple):
    """An index over whole columns."""

    columns: tuple[str, ...]
    unique: bool


class Keys(NamedTuple):
    """By what a table tells its rows apart, and finds them."""

    primary: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    """Over whole columns and all rows; those over expressions or parts are not told."""


class Table(Model):
    """How the target's table is made when it is not there, and what it must be like when it is."""

    create: bool = True
    """Whether a table that is not there is made."""
    columns: Literal["fit", "match", "as_is", "strict", "alter"] = "fit"
    """What to do when a table that is there has other columns than the rows.

    ``fit``: each column of the rows must be there and hold its type, and the rows must bring all that the database
    does not fill itself. ``match``: only the columns that both have are written. ``as_is``: each column of the rows
    must be there; what else the table has is left to the database. ``strict``: the same columns with the same types.
    ``alter``: columns that are not there are added, and those too narrow for the rows are widened.
    """
    types: dict[str, Annotated[str, Field(pattern=_TYPE, max_length=64)]] = Field(default={}, max_length=2000)
    """The database's types of columns that are made, ``column: numeric(12,4)``; others follow from the rows."""
    copies: tuple[Literal["keys", "indexes"], ...] = ()
    """What a table that is made takes over from the one that the rows are read from: its primary key, its indexes."""
    options: dict[str, bool | int | str] = Field(default={}, max_length=16)
    """More for a table that is made; what there is depends on the connection."""

    def check(self, ddl: Ddl) -> None:
        """Raise ``Invalid`` for a type or an option that the database does not have."""
        for name, kind in self.types.items():
            if _BRACKETS.sub("", kind) not in ddl.types:
                raise Invalid(
                    f"The column {name[:64]!r} is to be {kind!r}, which is no type of the connection.",
                    hint=f"There are: {', '.join(sorted(ddl.types)) or 'none to choose'}.",
                )
        for name, value in self.options.items():
            option = ddl.options.get(name)
            if option is None or not re.fullmatch(option.pattern, _spelled(value)):
                told = ", ".join(f"{each} ({about.pattern})" for each, about in sorted(ddl.options.items()))
                raise Invalid(
                    f"The connection makes no table with {name[:64]}: {_spelled(value)[:64]}.",
                    hint=f"There are: {told or 'no options'}.",
                )

    def behind(self, ddl: Ddl) -> str:
        """Return what the options add to CREATE TABLE, behind the columns; they have been checked."""
        return "".join(f" {ddl.options[name].sql.format(_spelled(value))}" for name, value in self.options.items())


def _spelled(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Target(NamedTuple):
    """What a load is told about its target, beside the mode."""

    table: Table = Table()
    allow: frozenset[str] = frozenset()
    """Words of ``WORDS``."""
    keys: Keys = Keys()
    """Those of the table that the rows come from, when they are to be copied."""

    def check(self, mode: Mode) -> None:
        """Raise ``Invalid`` unless all is allowed that the mode takes away."""
        for word in sorted(mode.needs):
            self.require(word)

    def require(self, word: str, why: str = "") -> None:
        """Raise ``Invalid`` unless ``word`` is allowed."""
        if word not in self.allow:
            words = ", ".join(sorted({*self.allow, word}))
            raise Invalid(
                f"{_LOSES[word]}{f': {why}' if why else ''}. The flow does not allow it.",
                hint=f"Add this to the writing step: allow: [{words}]",
            )


def of(step: object) -> Target:
    """Return what a writing step says about its target."""
    return Target(getattr(step, "table", None) or Table(), frozenset(getattr(step, "allow", ())))


PLAIN = Target()
"""What holds when a step says nothing: a table is made when it is not there, and nothing may be taken away."""
