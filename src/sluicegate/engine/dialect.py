"""What DuckDB says of a query, in the product's words: its types, its columns, no jargon."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_TYPES = {
    "BOOLEAN": "bool", "TINYINT": "int8", "SMALLINT": "int16", "INTEGER": "int32", "BIGINT": "int64",
    "UTINYINT": "uint8", "USMALLINT": "uint16", "UINTEGER": "uint32", "UBIGINT": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32",
    "UINT64": "uint64", "HUGEINT": "decimal(38,0)", "INT128": "decimal(38,0)", "FLOAT": "float32", "DOUBLE": "float64",
    "VARCHAR": "text", "STRING_LITERAL": "text", "INTEGER_LITERAL": "int32", "BLOB": "bytes", "DATE": "date",
    "TIME": "time", "TIMESTAMP WITH TIME ZONE": "timestamptz", "TIMESTAMPTZ": "timestamptz", "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp", "TIMESTAMP_NS": "timestamp", "INTERVAL": "interval",
    "UUID": "uuid", "JSON": "json", "DECIMAL": "decimal", "STRUCT": "struct", "BIGNUM": "bignum", "BIT": "bit",
}  # fmt: skip
_WORD = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _TYPES), key=len, reverse=True)) + r")\b(\[\])*")
_VALUE = re.compile(r"('(?:[^']|'')*')")
_COLUMN = re.compile(r'(?:when casting from source column|the column|column) "?(c\d+(?:_[0-9a-f]{16})?)"?')
_SOURCE = re.compile(r' when casting from source column "?(c\d+(?:_[0-9a-f]{16})?)"?$')
_SENTENCES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"Could not convert string ('.*') to (.+)", re.DOTALL),
        lambda found: f"the text {found[1]} is not {_types(found[2])}",
    ),
    (
        re.compile(r"No function matches the given name and argument types '(.+)'\. You might need.*", re.DOTALL),
        lambda found: f"there is nothing called {_types(found[1])}: cast the values, or use another function",
    ),
    (
        re.compile(r"Cannot compare values of type (.+) and type (.+?)(?: in .*)? - an explicit cast is required"),
        lambda found: f"{_types(found[1])} and {_types(found[2])} cannot be compared: cast one of them",
    ),
    (
        re.compile(r"Unimplemented type for cast \((.+) -> (.+)\)", re.DOTALL),
        lambda found: f"{_types(found[1])} cannot be cast to {_types(found[2])}",
    ),
    (
        re.compile(r"Type (.+) with value (.+) can't be cast .* destination type (.+)", re.DOTALL),
        lambda found: f"the {_types(found[1])} value {found[2]} is out of the range of {_types(found[3])}",
    ),
)


def plain(message: str, names: Mapping[str, str]) -> str:
    """Return ``message`` with our names of types, and with people's names for the query's (``names``)."""
    place = ""
    if source := _SOURCE.search(message):
        message = message[: source.start()]
        if source[1] in names:
            place = f", in column {names[source[1]]!r}"
    for pattern, sentence in _SENTENCES:
        if found := pattern.fullmatch(message):
            return sentence(found) + place
    parts = _VALUE.split(message)  # what stands between quotes is data
    parts[::2] = (_types(_COLUMN.sub(lambda found: _named(found, names), part)) for part in parts[::2])
    return "".join(parts) + place


def _named(found: re.Match[str], names: Mapping[str, str]) -> str:
    return f"the column {names[found[1]]!r}" if found[1] in names else found[0]


def _types(text: str) -> str:
    def word(found: re.Match[str]) -> str:
        name = _TYPES[found[1]]
        for _ in range(found[0].count("[]")):
            name = f"list({name})"
        return name

    return _WORD.sub(word, text)
