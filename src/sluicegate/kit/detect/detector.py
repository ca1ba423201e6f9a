"""Looks through a sample of rows and says which columns look personal, and what to do. It tells no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sluicegate.kit.detect.categories import CATEGORIES, Category, fold
from sluicegate.kit.masks.values import SPELLED
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa

Confidence = Literal["high", "medium", "low"]
DISTINCT_MAX: Final = 1000
"""Different values of a column that are looked at."""
VALUE_MAX: Final = 200
"""Longer values are looked at in their first characters: no number and no name is longer."""
_READ: Final = frozenset({"text", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_FEW: Final = 3
"""So many different values tell something by their check digits: of as many orders' numbers one in a thousand would."""
_TELLING: Final = frozenset({"email", "iban"})
"""What is worth a word when only some values of a column are so."""
_SOME: Final = 0.02


@dataclass(frozen=True)
class Finding:
    """One column that looks personal."""

    column: str
    category: str
    share: float
    """Of the different values that were seen, how many look so."""
    by: Literal["name", "content", "both"]
    confidence: Confidence
    tags: tuple[str, ...]
    method: Any
    """What is suggested."""


class Sample:
    """Different values of each column of a few rows, up to a limit."""

    def __init__(self, schema: pa.Schema) -> None:
        """Begin with no rows."""
        self._columns = [(field.name, to_name(field.type)) for field in schema]  # two may share a name (Parquet)
        self.rows = 0
        self._values: list[dict[str, None]] = [{} for _ in self._columns]

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the values of a batch that are text or whole numbers."""
        self.rows += batch.num_rows
        for place, ((_, kind), held) in enumerate(zip(self._columns, self._values, strict=True)):
            if len(held) >= DISTINCT_MAX or kind not in _READ:
                continue
            for value in batch.column(place).to_pylist():
                text = "" if value is None else str(value)[:VALUE_MAX].strip()
                if text and len(held) < DISTINCT_MAX:
                    held.setdefault(text)

    def findings(self) -> tuple[Finding, ...]:
        """Return what looks personal, column by column; of columns that share a name, the first that does."""
        found: dict[str, Finding] = {}
        for (name, kind), held in zip(self._columns, self._values, strict=True):
            each = _judge(name, kind, list(held)) if name not in found else None
            if each is not None:
                found[name] = each
        return tuple(found.values())


def _judge(name: str, kind: str, values: list[str]) -> Finding | None:
    folded = fold(name)
    called = next((each for each in CATEGORIES if each.called.search(folded)), None)
    best, share = _looked(values)
    if best is not None and called is not None and called.looks is not None and best.name != called.name:
        own = _share(called, values)
        if own >= called.usual:  # both fit: the name decides
            best, share = called, own
    if best is not None:
        both = called is not None and called.name == best.name
        enough = len(values) * share >= _FEW
        if both or enough:
            sure = both or len(values) * share >= 3 * _FEW
            return _finding(name, kind, best, share, "both" if both else "content", "high" if sure else "medium")
    if called is not None:
        own = _share(called, values)
        telling = called.looks is None or own > 0
        return _finding(name, kind, called, own, "both" if own else "name", "medium" if telling else "low")
    for each in CATEGORIES:
        if each.name in _TELLING and len(values) * (share := _share(each, values)) >= _FEW and share >= _SOME:
            return _finding(name, kind, each, share, "content", "low")
    return None


def _looked(values: list[str]) -> tuple[Category | None, float]:
    """Return the category that most values look like, when so many do that it is no accident."""
    best, most = None, 0.0
    for each in CATEGORIES:
        share = _share(each, values)
        if share >= each.usual and share > most:
            best, most = each, share
    return best, most


def _share(category: Category, values: list[str]) -> float:
    if category.looks is None or not values:
        return 0.0
    return sum(map(category.looks, values)) / len(values)


def _finding(name: str, kind: str, category: Category, share: float, by: Any, confidence: Confidence) -> Finding:
    method = category.method
    if kind not in SPELLED:
        method = "redact"
    elif kind != "text" and isinstance(method, dict):  # it leaves a text, which does not fit
        method = "hash"
    return Finding(name, category.name, round(share, 3), by, confidence, category.tags, method)


def suggest(findings: Iterable[Finding], key: str = "masking") -> str:
    """Return a step ``mask`` for the findings as YAML to paste; empty when there are none."""
    rules: dict[str, list[str]] = {}
    for each in findings:
        rules.setdefault(spell(each.method), []).append(each.column)
    if not rules:
        return ""
    keyed = "" if set(rules) <= {"redact", spell({"type": "redact", "keep_last": 4})} else f"    key: {key}\n"
    lines = "".join(
        f"      - {{ columns: [{', '.join(map(_quoted, columns))}], method: {method} }}\n"
        for method, columns in rules.items()
    )
    return f"- mask:\n    name: masked\n    from: rows\n{keyed}    rules:\n{lines}"


def tagged(findings: Iterable[Finding]) -> str:
    """Return the columns' tags as YAML to paste into a step ``read`` or a connection; empty when there are none."""
    pairs = ", ".join(f"{_quoted(each.column)}: [{', '.join(each.tags)}]" for each in findings)
    return f"tags: {{ {pairs} }}\n" if pairs else ""


def spell(method: str | Mapping[str, Any]) -> str:
    """Return a method as a flow writes it on one line."""
    if isinstance(method, str):
        return method
    return "{ " + ", ".join(f"{key}: {value}" for key, value in method.items()) + " }"


def _quoted(name: str) -> str:
    """Return the name of a column as YAML: between quotes, as JSON has it, unless it is a plain word."""
    import json

    plain = name.isascii() and name.replace("_", "a").isalnum() and name[0].isalpha()
    return name if plain and name.lower() not in _WORDS else json.dumps(name, ensure_ascii=False)


_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
