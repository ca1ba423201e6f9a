"""JSON Schemas as Markdown tables that people can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

FEW = 3  # kinds of a union that are told apart; more are "a value"
NAME, ID = "^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$", "^[0-9a-f]{8}-"


def tidy(text: str) -> str:
    """Return help text as one line of Markdown that a table can hold."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; nothing at all when there are no rows."""
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"


def code(text: object) -> str:
    """Return ``text`` as code."""
    return f"`{text}`"


# -- JSON Schema to words ----------------------------------------------------------------------------------------------


def type_of(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - one line for each shape of a schema
    """Return the type in a JSON Schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            parts = list(dict.fromkeys(type_of(each) for each in schema[key] if each.get("type") != "null"))
            return " or ".join(parts) if len(parts) <= FEW else "value"
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(code(each) for each in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        inner = schema.get("items")
        if inner is None and "prefixItems" in schema:
            return "pair of " + " or ".join(dict.fromkeys(f"{type_of(each)}s" for each in schema["prefixItems"]))
        return f"list of {type_of(inner or {})}"
    if kind == "object":
        inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
        return f"map to {type_of(inner)}" if isinstance(inner, dict) else "map"
    if kind == "string":
        pattern = str(schema.get("pattern", ""))
        if schema.get("writeOnly"):
            return "text (secret)"
        plain = {"date": "date", "date-time": "timestamp"}.get(str(schema.get("format")), "text")
        return "name" if pattern == NAME else "id" if pattern.startswith(ID) else plain
    low, high = schema.get("minimum"), schema.get("maximum")
    span = f", {low} to {high}" if low is not None and high is not None else f", from {low}" if low is not None else ""
    words = {"integer": "whole number", "number": "number", "boolean": "yes or no"}
    return words.get(str(kind), "anything") + span


def default_of(name: str, schema: dict[str, Any], required: Sequence[str]) -> str:
    """Return what a field is when it is left out."""
    if name in required:
        return "required"
    value = schema.get("default")
    if value in (None, "", [], {}):
        return "-"
    return code(str(value).lower() if isinstance(value, bool) else value)


def fields(schema: dict[str, Any], skip: Sequence[str] = ()) -> str:
    """Return the table of a schema's fields."""
    required = schema.get("required", ())
    return table(
        ("field", "type", "default", "meaning"),
        [
            (code(name), type_of(each), default_of(name, each, required), tidy(each.get("description", "")))
            for name, each in schema.get("properties", {}).items()
            if name not in skip
        ],
    )


def flat(schema: dict[str, Any], defs: dict[str, Any], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield ``(path, type, meaning)`` of an answer's fields, nested ones too."""
    for name, each in schema.get("properties", {}).items():
        path = f"{above}{name}"
        parts = [part for part in each.get("anyOf", [each]) if part.get("type") != "null"]
        inner = parts[0].get("items", parts[0])
        listed = "[]" if "items" in parts[0] else ""
        if "$ref" in inner:
            yield from flat(defs[type_of(inner)], defs, f"{path}{listed}.")
        else:
            yield code(path), type_of(each), tidy(each.get("description", ""))


def anchor(heading: str) -> str:
    """Return the link target that Markdown viewers give to a heading."""
    kept = (letter for letter in heading.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")
    return "".join(kept)
