"""Tables and their columns as PostgreSQL's catalogue tells them, and how each type travels.

What has no exact counterpart travels as text in the server's own spelling, with the type's name in the field's
metadata, so that a table made from it gets the type back: numeric without precision, network addresses, ranges,
enumerations and the like. Arrays travel as JSON made by the server; composite values are JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.connectors.postgres.link import check_name, quoted
from sluicegate.kit import tables
from sluicegate.kit.target import Ddl, Index, Keys, Option
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

SOURCE = b"sluicegate.postgres"
"""Key of the field metadata that holds the name of the PostgreSQL type a text came from."""
_PLAIN = {
    "bool": "bool", "int2": "int16", "int4": "int32", "int8": "int64", "oid": "int64", "float4": "float32",
    "float8": "float64", "text": "text", "varchar": "text", "bpchar": "text", "name": "text", "bytea": "bytes",
    "date": "date", "time": "time", "timestamp": "timestamp", "timestamptz": "timestamptz", "interval": "interval",
    "uuid": "uuid", "json": "json", "jsonb": "json",
}  # fmt: skip
_MADE = {
    "bool": "boolean", "int8": "smallint", "int16": "smallint", "int32": "integer", "int64": "bigint",
    "uint8": "smallint", "uint16": "integer", "uint32": "bigint", "uint64": "numeric(20,0)", "float32": "real",
    "float64": "double precision", "text": "text", "bytes": "bytea", "date": "date", "time": "time",
    "timestamp": "timestamp", "timestamptz": "timestamptz", "interval": "interval", "uuid": "uuid", "json": "json",
}  # fmt: skip
_KEPT = frozenset(
    {
        "jsonb", "numeric", "inet", "cidr", "macaddr", "macaddr8", "timetz", "money", "xml", "varbit", "int4range",
        "int8range", "numrange", "tsrange", "tstzrange", "daterange", "point", "tsvector", "tsquery",
    }
)  # fmt: skip
"""Types that a new table takes over from the metadata; all others would need more than a name."""

DDL = Ddl(
    frozenset({*_PLAIN, *_MADE.values(), *_KEPT, "char", "bit", "decimal"})
    - {"numeric(20,0)", "oid", "bpchar", "name"},
    {
        "fillfactor": Option(r"[1-9]\d|100", "with (fillfactor = {})"),
        "tablespace": Option(r"[A-Za-z_]\w{0,62}", 'tablespace "{}"'),
    },
)

_COLUMNS = """
select a.attname, base.typname, base.typtype::text, n.nspname,
       case when t.typtype = 'd' then t.typtypmod else a.atttypmod end,
       element.typname, home.nspname, a.attgenerated::text <> '' or a.attidentity::text = 'a',
       a.atthasdef or a.attidentity::text <> '',
       pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_type base on base.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
join pg_catalog.pg_namespace n on n.oid = base.typnamespace
left join pg_catalog.pg_type element on element.oid = base.typelem and base.typcategory = 'A'
left join pg_catalog.pg_namespace home on home.oid = element.typnamespace
where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""


class Table(NamedTuple):
    """A table or view that exists."""

    oid: int
    schema: str
    name: str
    plain: bool = True
    """Whether it keeps its rows itself: false for views, foreign tables and tables cut into partitions."""

    def sql(self) -> str:
        """Return its quoted name."""
        return quoted(self.schema, self.name)


class Column(NamedTuple):
    """One column: its type in PostgreSQL, ours, and how to select and insert it."""

    name: str
    declared: str
    base: str
    """Name of the type below any domain; empty for one that is not built in."""
    kind: pa.DataType
    as_text: bool
    """Whether it is selected as text and cast back on insert."""
    bare: bool
    """Whether the type has no exact counterpart of ours, so that ``kind`` is text."""
    element: str
    """For an array: quoted name of its elements' type."""
    writable: bool
    """False when the database computes it."""
    required: bool
    """Whether a load must bring it: false when the database can fill it (default, identity, generated)."""
    mod: int
    """The type's modifier (length, precision) as the catalogue holds it; -1 for none."""
    type_sql: str
    """Quoted name of the type below any domain, without modifier: casting to it cuts nothing off."""

    def select(self) -> str:
        """Return the expression that reads it."""
        name = quoted(self.name)
        if self.element or (to_name(self.kind) == "json" and self.base not in ("json", "jsonb")):
            return f"pg_catalog.to_json({name})::text"
        return f"{name}::text" if self.as_text else name


def find(link: psycopg.Connection[Any], item: str) -> Table | None:
    """Return the table or view that ``item`` names; ``None`` when there is none."""
    schema, name = tables.split_item(item, check_name)
    text = quoted(schema, name) if schema else quoted(name)
    row = link.execute(
        "select c.oid, n.nspname, c.relname, c.relkind = 'r' from pg_catalog.pg_class c "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = pg_catalog.to_regclass(%s) "
        "and c.relkind in ('r', 'p', 'v', 'm', 'f')", (text,)
    ).fetchone()  # fmt: skip
    return Table(*row) if row else None


def place(link: psycopg.Connection[Any], item: str) -> tuple[str, str]:
    """Return schema and name for a table to be made."""
    schema, name = tables.split_item(item, check_name)
    if schema is None:
        row = link.execute("select pg_catalog.current_schema()").fetchone()
        schema = row[0] if row else None
    return schema or "public", name


def columns(link: psycopg.Connection[Any], table: Table) -> list[Column]:
    """Return the columns of a table, in order."""
    found = []
    for name, base, sort, namespace, mod, element, home, computed, filled, declared in link.execute(
        _COLUMNS, (table.oid,)
    ).fetchall():
        check_name(name)
        own = base if namespace == "pg_catalog" else ""
        kind, as_text = _kind(own, sort, mod, element if home == "pg_catalog" else "" if element else None)
        arrow = to_arrow(kind)
        inner = quoted(home, element) if element else ""
        bare = kind == "text" and as_text
        type_sql = quoted(namespace, base)
        found.append(Column(name, declared, own, arrow, as_text, bare, inner, not computed, not filled, mod, type_sql))
    return found


_INDEXES = """
select i.indisprimary, i.indisunique, (
  select pg_catalog.array_agg(a.attname::text order by k.place)
  from pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality as k (number, place)
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number)
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_am m on m.oid = c.relam
where i.indrelid = %s and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
and m.amname = 'btree' order by i.indexrelid
"""


def keys(link: psycopg.Connection[Any], table: Table) -> Keys:
    """Return the primary key and the B-tree indexes of a table over whole columns and all rows."""
    found = link.execute(_INDEXES, (table.oid,)).fetchall()
    primary = next((tuple(names) for main, _, names in found if main), ())
    return Keys(primary, tuple(Index(tuple(names), unique) for main, unique, names in found if not main))


def _kind(base: str, sort: str, mod: int, element: str | None) -> tuple[str, bool]:
    """Return our type name, and whether the value is selected as text."""
    if base in _PLAIN:
        return _PLAIN[base], False
    if base == "numeric" and (kind := _decimal(mod)):
        return kind, False
    if element == "numeric" and (kind := _decimal(mod)):
        return f"list({kind})", True
    if element in _PLAIN and element not in ("json", "jsonb"):
        return f"list({_PLAIN[element]})", True
    if sort == "c" or element is not None:
        return "json", True
    return "text", True


def _decimal(mod: int) -> str | None:
    """Return the type name for the modifier of a numeric; ``None`` when it has none or one that we have no type for."""
    packed = mod - 4  # the size of PostgreSQL's header
    precision, scale = packed >> 16, packed & 0x7FF  # since 15 the scale has 11 bits, sign included
    return f"decimal({precision},{scale})" if packed >= 0 and scale <= precision <= 76 else None  # noqa: PLR2004 - Arrow's decimal256


def declare(field: pa.Field) -> str:
    """Return the column type for a new table."""
    kept: str = (field.metadata or {}).get(SOURCE, b"").decode("ascii", "replace")
    name = to_name(field.type)
    if kept in _KEPT and name in ("text", "json"):
        return kept
    if name.startswith("decimal("):
        return name.replace("decimal", "numeric")
    if name.startswith("list(decimal("):
        return name[5:-1].replace("decimal", "numeric") + "[]"
    if name.startswith("list(") and (inner := _MADE.get(name[5:-1])):
        return f"{inner}[]"
    return _MADE.get(name, "json")
