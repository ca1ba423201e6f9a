"""Types for columns that nobody has declared, proposed so that no value changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.kit.types import to_arrow

if TYPE_CHECKING:
    import pyarrow as pa

_PROPOSALS = (
    (r"^(?i:true|false)$", "bool"),
    (r"^(0|-?[1-9][0-9]{0,17})$", "int64"),
    (r"^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+)$", "decimal"),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "date"),
    (r"^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$", "time"),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$", "timestamp"),
    (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$",
        "timestamptz",
    ),
)


def propose(column: pa.Array) -> str:
    """Return the type name for a sample of one column (binary, as it stands in the file), such that nothing changes.

    Text unless all values have one of the spellings in ``_PROPOSALS``: numbers with leading zeros, plus signs or
    exponents stay text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.unique(column).drop_null()
    if not len(values):
        return "text"
    for pattern, kind in _PROPOSALS:
        if not pc.all(pc.match_substring_regex(values, pattern)).as_py():
            continue
        texts = values.cast(pa.string())
        if kind == "decimal":
            whole = pc.max(pc.utf8_length(pc.replace_substring_regex(texts, r"^-|\..*$", ""))).as_py()
            scale = pc.max(pc.utf8_length(pc.replace_substring_regex(texts, r"^[^.]*\.?", ""))).as_py()
            room = next((size for size in (18, 38) if whole + scale <= size), None)
            return f"decimal({room},{scale})" if room else "text"
        if kind in ("date", "timestamp", "timestamptz"):
            try:
                texts.cast(to_arrow(kind))
            except pa.ArrowInvalid:
                return "text"
        return kind
    return "text"
