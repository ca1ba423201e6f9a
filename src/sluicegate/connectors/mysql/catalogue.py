"""Tables and their columns as MySQL's or MariaDB's catalogue tells them, and how each type travels.

| MySQL, MariaDB | ours |
|---|---|
| TINYINT, SMALLINT, MEDIUMINT, INT, BIGINT (UNSIGNED) | int8, int16, int32, int32, int64 (uint…) |
| TINYINT(1) | int8: it holds 7, too; a table made by us says ``bool`` |
| BIT(1); BIT(n); YEAR | bool; uint64; int16 |
| FLOAT; DOUBLE; DECIMAL(p,s) | float32; float64; decimal(p,s) |
| CHAR, VARCHAR, TEXT, ENUM, SET, INET4, INET6 | text |
| BINARY, VARBINARY, BLOB | bytes |
| DATE; TIME; DATETIME; TIMESTAMP | date; time; timestamp; timestamptz |
| JSON; UUID (MariaDB) | json; uuid |
| geometry and all others | an error: cast it in a view |

The other way round, what the server has no exact type for is stored as text, and the column's comment says which of
our types it is (``sluicegate: interval``): it comes back as it went. So are ``timestamptz`` (TIMESTAMP ends in 2038),
``bool`` and ``json`` (MySQL rewrites the numbers of its own JSON).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sluicegate.base.flaws import Misfit
from sluicegate.connectors.mysql.link import check_name, quoted
from sluicegate.kit.target import Ddl, Index, Keys, Option
from sluicegate.kit.types import check_type, to_arrow, to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.connectors.mysql.protocol import Link

_INTS = {"tinyint": "int8", "smallint": "int16", "mediumint": "int32", "int": "int32", "bigint": "int64"}
_PLAIN = {
    "double": "float64", "float": "float32", "year": "int16", "date": "date", "time": "time", "datetime": "timestamp",
    "timestamp": "timestamptz", "json": "json", "uuid": "uuid",
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"), "text"),
    **dict.fromkeys(("inet4", "inet6"), "text"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "bytes"),
}  # fmt: skip
_MADE = {
    "bool": "tinyint(1)", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
    "uint8": "tinyint unsigned", "uint16": "smallint unsigned", "uint32": "int unsigned", "uint64": "bigint unsigned",
    "float32": "float", "float64": "double", "text": "longtext", "bytes": "longblob", "date": "date",
    "time": "time(6)", "timestamp": "datetime(6)", "timestamptz": "datetime(6)",
}  # fmt: skip
_BACK = {"tinyint": {"bool"}, "datetime": {"timestamptz"}}
"""What the comment of a column may say, by its type; a text may be anything that we spell as text."""
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_NOTE = re.compile(r"sluicegate: ([a-z0-9(), ]{1,40})")
_KEY_LETTERS, _KEY_BYTES = 768, 3072
"""What InnoDB takes into an index, of utf8mb4 and of bytes."""
_MAX_DIGITS, _MAX_SCALE = 65, 30

DDL = Ddl(
    frozenset(
        {"bigint unsigned", "int unsigned", "smallint unsigned", "tinyint unsigned", "decimal", "bit", *_INTS, *_PLAIN}
    )
    - {"enum", "set"},
    {
        "row_format": Option("dynamic|compressed|compact", "row_format = {}"),
        "key_block_size": Option("1|2|4|8|16", "key_block_size = {}"),
    },
)
_COLUMNS = """
select column_name, data_type, column_type, is_nullable, column_default, extra, column_comment, numeric_precision,
       numeric_scale, datetime_precision, character_maximum_length
from information_schema.columns where table_schema = database() and table_name = %s order by ordinal_position
"""


class Column(NamedTuple):
    """One column: its type there, ours, and what a load must heed."""

    name: str
    declared: str
    base: str
    kind: pa.DataType | None
    """``None`` when there is no counterpart."""
    nullable: bool
    writable: bool
    required: bool
    """Whether a load must bring it: false when the database can fill it."""
    counts: bool
    """AUTO_INCREMENT: it would make a number of a NULL."""
    size: int
    """Of a fixed BINARY or CHAR."""
    places: int
    """Decimal places of seconds that it keeps."""

    def select(self) -> str:
        """Return the expression that reads it."""
        name = quoted(self.name)
        if self.base == "bit":
            return f"{name} + 0"
        return f"cast({name} as double)" if self.base == "float" else name  # else it shows six digits only


def is_mariadb(link: Link) -> bool:
    """Tell which of the two it is."""
    return "mariadb" in link.server_version.lower()


def find(link: Link, table: str) -> tuple[str, str, str] | None:
    """Return kind (``table``, ``view``), engine and comment; ``None`` when there is no table of this name."""
    rows = link.rows(
        "select table_name, table_type, engine, table_comment from information_schema.tables "
        "where table_schema = database() and table_name = %s", check_name(table),
    )  # fmt: skip
    for name, kind, engine, comment in rows:
        if text(name) == table:
            return ("view" if "VIEW" in text(kind) else "table"), text(engine), text(comment)
    return None


def columns(link: Link, table: str) -> list[Column]:
    """Return the columns of a table or view, in order."""
    checked = _checked_json(link, table) if is_mariadb(link) else frozenset()
    made = []
    for row in link.rows(_COLUMNS, table):
        name, base, declared, nullable, default, extra, note = (text(each) for each in row[:7])
        numbers = [None if each is None else int(each) for each in row[7:]]
        check_name(name)
        kind = _kind(base, declared, numbers, note, as_json=name in checked)
        flags = extra.lower()
        computed = re.search(r"\b(?:stored|virtual|persistent)\b", flags) is not None
        counts = "auto_increment" in flags
        filled = computed or counts or (row[4] is not None and default != "NULL")
        size = (numbers[3] or 0) if base in ("binary", "char") else 0
        made.append(
            Column(
                name, declared, base, None if kind is None else to_arrow(kind), nullable == "YES", not computed,
                not filled, counts, size, numbers[2] or 0,
            )
        )  # fmt: skip
    return made


def keys(link: Link, table: str) -> Keys:
    """Return the primary key and the B-tree indexes of a table over whole columns."""
    rows = link.rows(
        "select index_name, non_unique, column_name, sub_part, index_type from information_schema.statistics "
        "where table_schema = database() and table_name = %s order by index_name, seq_in_index", table,
    )  # fmt: skip
    found: dict[str, tuple[list[str], bool]] = {}
    partly = set()
    for each, repeats, name, part, kind in rows:
        index = text(each)
        found.setdefault(index, ([], text(repeats) == "0"))[0].append(text(name))
        if part is not None or name is None or text(kind) != "BTREE":
            partly.add(index)
    whole = {name: each for name, each in found.items() if name not in partly}
    primary = tuple(whole.pop("PRIMARY", ([], True))[0])
    return Keys(primary, tuple(Index(tuple(names), unique) for names, unique in whole.values()))


def _checked_json(link: Link, table: str) -> frozenset[str]:
    """Return the columns that MariaDB was told are JSON: it makes them texts with a check."""
    rows = link.rows(
        "select check_clause from information_schema.check_constraints where constraint_schema = database() "
        "and table_name = %s and level = 'Column'", table,
    )  # fmt: skip
    found = (re.fullmatch(r"json_valid\(`(.*)`\)", text(row[0])) for row in rows)
    return frozenset(each[1].replace("``", "`") for each in found if each)


def _kind(base: str, declared: str, numbers: list[int | None], note: str, *, as_json: bool) -> str | None:
    noted = _NOTE.fullmatch(note)
    if noted and (noted[1] in _BACK.get(base, ()) or base in _TEXTS):
        try:
            return check_type(noted[1])
        except Misfit:
            pass  # somebody else's comment
    if as_json:
        return "json"
    if base in _INTS:
        return ("u" if "unsigned" in declared else "") + _INTS[base]
    if base == "decimal":
        return f"decimal({numbers[0]},{numbers[1]})"
    if base == "bit":
        return "bool" if numbers[0] == 1 else "uint64"
    return _PLAIN.get(base)


def declare(link: Link, field: pa.Field, keys: tuple[str, ...], wanted: str = "", *, nullable: bool = True) -> str:
    """Return type (``wanted``, if that is said), character set and comment of a column."""
    import pyarrow as pa

    name, key = to_name(field.type), field.name in keys
    note = ""
    if wanted:
        made = wanted
    elif name.startswith("decimal(") and field.type.precision <= _MAX_DIGITS and field.type.scale <= _MAX_SCALE:
        made = name
    elif name == "uuid":  # MariaDB's own type refuses some
        made, note = "char(36) character set ascii collate ascii_bin", name
    elif name in _MADE:
        made = _MADE[name]
        note = name if name in ("bool", "timestamptz") else ""
    else:
        made, note = "longtext", "json" if pa.types.is_nested(field.type) else name
    if key and made in ("longtext", "longblob"):
        room = _KEY_LETTERS if made == "longtext" else _KEY_BYTES
        made = f"{'varchar' if made == 'longtext' else 'varbinary'}({room // len(keys)})"
    if (
        made.partition("(")[0] in _TEXTS and "character set" not in made
    ):  # texts are told apart by every letter, and by spaces at their end
        collation = "utf8mb4_nopad_bin" if is_mariadb(link) else "utf8mb4_0900_bin"
        made += f" character set utf8mb4 collate {collation}"
    made += " not null" if key or not nullable else " null"
    return made + (f" comment 'sluicegate: {note}'" if note else "")


def text(value: bytes | str | None) -> str:
    """Return what the catalogue says; nothing for NULL."""
    if isinstance(value, str):
        return value
    return "" if value is None else bytes(value).decode("utf-8", "replace")
