"""Which columns go from one PostgreSQL to another in COPY's binary form, unseen: no value is decoded, so none changes.

Only types whose binary form says the same everywhere: money depends on the locale of its database, an oid (and all that
are called by one, such as regclass) on its catalogue, an enumeration or a composite on definitions that may differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.connectors.postgres.catalogue import Column, declare
from sluicegate.kit.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_SAFE = frozenset(
    {
        "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "bytea", "date",
        "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "inet", "cidr", "macaddr",
        "macaddr8", "bit", "varbit", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange",
    }
)  # fmt: skip
_TEXTS = frozenset({"text", "varchar", "bpchar"})
_SPELLED = {
    "boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4",
    "double precision": "float8",
}  # fmt: skip


def obstacle(source: Sequence[Column], target: Sequence[Column]) -> str:
    """Return why these columns cannot go into those, in this order, as they are; empty when each can.

    A target that is narrower (its modifier differs) would round or cut what the server takes in.
    """
    for ours, theirs in zip(source, target, strict=True):
        if _element(ours.base) not in _SAFE:
            return f"{ours.declared} in column {shown(ours.name)} has no binary form that is the same everywhere"
        texts = ours.base in _TEXTS and theirs.base in ("text", "varchar") and theirs.mod < 0
        same = ours.base == theirs.base and theirs.mod in (ours.mod, -1)
        if not (texts or same):
            return f"column {shown(ours.name)} is {ours.declared} in the source and {theirs.declared} in the target"
    return ""


def made(source: Sequence[Column], schema: pa.Schema) -> list[Column]:
    """Return the columns of a table that a load makes for these rows, as far as ``obstacle`` looks at them."""
    columns = []
    for column, field in zip(source, schema, strict=True):
        declared = declare(field)
        name = declared.removesuffix("[]").partition("(")[0]
        base = ("_" if declared.endswith("[]") else "") + _SPELLED.get(name, name)
        columns.append(column._replace(declared=declared, base=base, mod=column.mod if "(" in declared else -1))
    return columns


def _element(base: str) -> str:
    return base.removeprefix("_")
