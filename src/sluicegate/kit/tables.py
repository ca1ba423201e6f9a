"""What connections to tables share: names, and the columns asked for. Loads: see ``loading``.

A table is named with or without a schema: ``table``, ``schema.table``, each in double quotes when it holds a dot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sluicegate.base.errors import DataError, Invalid
from sluicegate.kit.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sluicegate.kit.connection import Read

_SHOWN = 63


def check_name(name: str, most: int) -> str:
    """Return ``name`` when it can be an identifier of ``most`` bytes at the most. ``Invalid`` otherwise."""
    if not name or "\0" in name or len(name.encode("utf-8", "surrogatepass")) > most:
        raise Invalid(f"A name is 1 to {most} bytes long and holds no NUL.", where=name[:_SHOWN])
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Invalid("A name is not valid Unicode.") from None
    return name


def split_item(item: str, check: Callable[[str], str]) -> tuple[str | None, str]:
    """Return schema and table of ``table`` or ``schema.table``: ``"my.schema"."t"``.

    ``check`` returns a name that can be one and raises ``Invalid`` for any other, as does this function.
    """
    parts, rest = [], item
    while True:
        if rest.startswith('"'):
            end, text = 1, ""
            while end < len(rest):
                if rest[end] != '"':
                    text, end = text + rest[end], end + 1
                elif rest[end : end + 2] == '""':
                    text, end = text + '"', end + 2
                else:
                    break
            if end >= len(rest) or rest[end + 1 : end + 2] not in ("", "."):
                raise Invalid("The quotes of the table's name do not match.", where=item[:_SHOWN])
            part, rest, more = text, rest[end + 2 :], rest[end + 1 : end + 2] == "."
        else:
            part, dot, rest = rest.partition(".")
            more = bool(dot)
        parts.append(check(part))
        if not more:
            break
    if len(parts) > 2:  # noqa: PLR2004 - schema and table
        raise Invalid("A table is named table or schema.table.", where=item[:_SHOWN], hint="Quote names with dots.")
    return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])  # noqa: PLR2004 - the same


def spell_item(schema: str | None, table: str) -> str:
    """Return the name that ``split_item`` takes apart again."""
    parts = (table,) if schema is None else (schema, table)
    return ".".join(
        '"' + part.replace('"', '""') + '"' if "." in part or part.startswith('"') else part for part in parts
    )


class Column(Protocol):
    """A column as a catalogue has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def declared(self) -> str:
        """Its type as the database calls it."""

    @property
    def kind(self) -> Any:
        """The Arrow type it is read as; ``None`` when there is none."""


C = TypeVar("C", bound=Column)


def choose(found: Sequence[C], ask: Read, where: str) -> list[C]:
    """Return the columns that ``ask`` names, in its order. ``DataError`` for one that is not there or has no type."""
    by_name = {column.name: column for column in found}
    if unknown := [name for name in ask.columns or () if name not in by_name]:
        raise DataError(f"There is no column {shown(unknown[0])}.", where=where)
    wanted = [by_name[name] for name in ask.columns] if ask.columns else list(found)
    for column in wanted:
        if column.kind is None:
            raise DataError(
                f"The column is {column.declared:.80}, which has no counterpart.",
                where=f"{where}: column {column.name}",
                hint="Read a view that casts it, or leave it out with columns.",
            )
    return wanted
