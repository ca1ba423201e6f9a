"""The columns of a transform's input: what people call them, and what the query calls them.

DuckDB tells names apart without regard to case, even quoted ones; data does not always. So in a query every column of
every step has a name of its own, and people's names come back on the way out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import overload

from sluicegate.base.errors import Invalid, UnknownColumn

_SHOWN = 40
_VALUE_MAX = 100


def quote(name: str) -> str:
    """Return ``name`` as a quoted SQL identifier."""
    if "\0" in name:
        raise Invalid("a name cannot hold a NUL")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` as an SQL string literal."""
    if "\0" in text:
        raise Invalid("a value cannot hold a NUL")
    return "'" + text.replace("'", "''") + "'"


class Columns(Sequence[str]):
    """The names of one input's columns, in order; and how a query spells the input and each of them."""

    def __init__(self, table: str, names: Mapping[str, str]) -> None:
        """``table`` and the values of ``names`` (people's name → the query's) hold in one query only."""
        self.table = quote(table)
        """The input, as it stands after FROM."""
        self._names = dict(names)
        self._order = tuple(names)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        """Return people's name of a column."""
        return self._order[place]

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._order)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a column of exactly this name."""
        return name in self._names

    def inner(self, name: str) -> str:
        """Return what the query calls the column of exactly this name."""
        return self._names[name]

    def sql(self, name: str) -> str:
        """Return the column of exactly this name as SQL."""
        return quote(self.inner(name))

    def need(self, names: Iterable[str], where: str) -> None:
        """Raise ``UnknownColumn``, placed at ``where``, when there is no column of exactly one of these names."""
        for name in names:
            try:
                self.find(name, exact=True)
            except UnknownColumn as fault:
                raise fault.at(where) from None

    def told(self, names: Iterable[str]) -> str:
        """Return SQL that spells the values of these columns for an error: ``the column c0 = 'x'``, and so on."""
        parts = (
            f"'the column {self.inner(name)} = ' || coalesce('''' || "
            f"left(replace(CAST({self.sql(name)} AS VARCHAR), '''', ''''''), {_VALUE_MAX}) || '''', 'NULL')"
            for name in names
        )
        return " || ', ' || ".join(parts)

    def find(self, written: str, *, exact: bool = False) -> str:
        """Return the column that ``written`` means: exactly it, or the only one that differs in nothing but case.

        ``exact`` (a name in double quotes) takes the first way only. ``UnknownColumn`` when there is none, or several.
        """
        if written in self._names:
            return written
        near = [name for name in self._order if name.lower() == written.lower()]
        if len(near) == 1 and not exact:
            return near[0]
        if near and not exact:
            told = " or ".join(map(repr, near))
            raise UnknownColumn(
                f"{written!r} can mean {told}: they differ in case only",
                hint="Write the one you mean exactly as it is.",
            )
        near = near or difflib.get_close_matches(written, self._order, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(self._order[:_SHOWN])}."
        raise UnknownColumn(f"there is no column {written!r}", hint=hint)
