"""Names of tables with or without a schema: ``table``, ``schema.table``, each in double quotes when it holds a dot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

_SHOWN = 63


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
