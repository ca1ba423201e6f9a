"""Documents: YAML (or JSON) text to definitions. Several may stand in one file, divided by ``---``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError, field_validator

from sluicegate.base.errors import Invalid, from_validation
from sluicegate.base.model import Model, Name
from sluicegate.kit import registry
from sluicegate.kit.connection import Connection
from sluicegate.kit.flow import Flow
from sluicegate.kit.step import Formatted, parse_format

BYTES_MAX = 1 << 20
DEPTH_MAX = 32
DOCUMENTS_MAX = 500


class Recipient(Model):
    """Someone whom archives can be sealed for."""

    kind: Literal["recipient"] = "recipient"
    name: Name
    """Name of this recipient."""
    type: Literal["age"] = "age"
    """Kind of key."""
    recipient: str
    """The public key: an age recipient, ``age1…``."""

    @field_validator("recipient")
    @classmethod
    def _public(cls, value: str) -> str:
        if value.upper().startswith("AGE-SECRET-KEY"):
            raise ValueError("this is the secret half of the key; keep it, and give the public half (age1…)")
        if not value.startswith("age1") or not value.isalnum() or len(value) > 4096:  # noqa: PLR2004 - generous
            raise ValueError("an age recipient begins with age1")
        return value


class SavedFormat(Formatted):
    """A format with a name, for several flows."""

    kind: Literal["format"] = "format"
    name: Name


Definition = Connection | Flow | Recipient
KINDS = ("connection", "flow", "recipient")


class Document(NamedTuple):
    """One document and where it came from."""

    definition: Definition
    body: dict[str, Any]
    source: str
    where: str


def body_of(definition: Definition) -> dict[str, Any]:
    """Return a definition as plain JSON values: what was written, without what was left out."""
    shown = definition.model_dump(mode="json", by_alias=True, exclude_unset=True)
    typed = {"type": definition.type} if isinstance(definition, Connection) else {}
    return {"kind": definition.kind, "name": definition.name, **typed, **shown}


def parse_definition(value: Any, where: str = "") -> Definition:
    """Return the definition in a map; ``Invalid`` says what does not fit and where."""
    if not isinstance(value, dict):
        raise Invalid("a document is a map with a kind and a name", where=where)
    kind = value.get("kind")
    name = value.get("name")
    place = ", ".join(
        filter(None, (where, f"{kind} {name}" if isinstance(name, str) and isinstance(kind, str) else ""))
    )
    try:
        if kind == "flow":
            return Flow.model_validate(value)
        if kind == "recipient":
            return Recipient.model_validate(value)
        if kind == "connection":
            type_ = value.get("type")
            if not isinstance(type_, str):
                raise Invalid(
                    "type: is required", where=place, hint=f"There are: {', '.join(registry.types('connection'))}."
                )
            try:
                plugin = registry.find("connection", type_)
            except Invalid as fault:
                raise fault.at(place) from None
            found: Connection = plugin.model_validate(value)  # type: ignore[attr-defined]
            return found
    except ValidationError as fault:
        raise _clear(from_validation(fault, where=place)) from None
    raise Invalid(f"unknown kind {str(kind)[:64]!r}", where=place or where, hint=f"There are: {', '.join(KINDS)}.")


def _clear(fault: Invalid) -> Invalid:
    fault.message = fault.message.replace("Value error, ", "").removeprefix("steps: ")
    return fault


def read(text: str, *, where: str = "") -> list[Document]:
    """Return the documents in ``text``; ``Invalid`` names the line of what is wrong.

    Keys that stand twice, aliases that grow, and nesting beyond ``DEPTH_MAX`` are refused.
    """
    import yaml

    if len(text.encode()) > BYTES_MAX:
        raise Invalid(f"a file of documents has at most {BYTES_MAX} bytes", where=where)
    found = []
    try:
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if isinstance(node, yaml.ScalarNode) and not node.value:
                continue  # nothing between two dividers
            line = node.start_mark.line + 1
            place = f"{where}:{line}" if where else f"line {line}"
            value = _plain(node, where)
            source = text[node.start_mark.index : node.end_mark.index].rstrip() + "\n"
            definition = parse_definition(value, place)
            found.append(Document(definition, body_of(definition), source, place))
            if len(found) > DOCUMENTS_MAX:
                raise Invalid(f"a file holds at most {DOCUMENTS_MAX} documents", where=where)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        line = f"{where}:{mark.line + 1}" if mark and where else f"line {mark.line + 1}" if mark else where
        raise Invalid(f"this is not YAML: {fault.problem or 'it cannot be read'}", where=line) from None
    except yaml.YAMLError:
        raise Invalid("this is not YAML", where=where) from None
    except RecursionError:
        raise Invalid("the document is nested too deeply", where=where) from None
    twice = [each for each in _keys(found) if _keys(found).count(each) > 1]
    if twice:
        raise Invalid(f"{twice[0][0]} {twice[0][1]!r} stands twice", where=where)
    return found


def _keys(found: list[Document]) -> list[tuple[str, str]]:
    return [(each.definition.kind, each.definition.name) for each in found]


def _plain(root: Any, where: str) -> Any:
    """Return the plain value of a YAML node: no aliases, no tags beyond the core ones, no key twice."""
    import yaml

    builder = yaml.constructor.SafeConstructor()

    def at(node: Any) -> str:
        line = node.start_mark.line + 1
        return f"{where}:{line}" if where else f"line {line}"

    seen: set[int] = set()

    def build(node: Any, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise Invalid("the document is nested too deeply", where=at(node))
        if id(node) in seen:
            raise Invalid("aliases (*name) are not taken", where=at(node))
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = _key(key_node)
                if key is None or key == "<<":
                    raise Invalid("a key is a plain word", where=at(key_node))
                if key in result:
                    raise Invalid(f"the key {key[:64]!r} stands twice", where=at(key_node))
                result[key] = build(value_node, depth + 1)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [build(each, depth + 1) for each in node.value]
        if node.tag not in _TAGS:
            raise Invalid(f"the tag {str(node.tag)[:64]!r} is not taken", where=at(node))
        return builder.construct_object(node)

    return build(root, 0)


def _key(node: Any) -> str | None:
    """Return the text of a key as it was written: ``on`` and ``no`` stay words, not booleans."""
    return node.value if isinstance(getattr(node, "value", None), str) else None


_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp"))


def names_used(documents: list[Document]) -> Iterator[tuple[str, str, str]]:
    """Yield ``(kind, name, where)`` for everything the documents refer to: connections and recipients."""
    for each in documents:
        if isinstance(each.definition, Flow):
            for name in each.definition.connections():
                yield "connection", name, each.where
            for step in each.definition.steps:
                seal = getattr(step, "seal", None)
                for to in seal.to if seal else ():
                    if not to.startswith("age1"):
                        yield "recipient", to, each.where


__all__ = [
    "KINDS",
    "Definition",
    "Document",
    "Recipient",
    "body_of",
    "names_used",
    "parse_definition",
    "parse_format",
    "read",
]
