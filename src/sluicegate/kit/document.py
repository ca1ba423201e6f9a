"""Documents: YAML (or JSON) text to definitions. Several may stand in one file, divided by ``---``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from sluicegate.base.errors import Invalid, from_validation
from sluicegate.base.flaws import Misfit, Path
from sluicegate.base.model import NAME_PATTERN, Model, Name
from sluicegate.kit import registry, seals
from sluicegate.kit.connection import Connection
from sluicegate.kit.flow import Flow
from sluicegate.kit.origin import Origin
from sluicegate.kit.step import Formatted, Reading, Writing, parse_format

BYTES_MAX = 1 << 20
DEPTH_MAX = 32
DOCUMENTS_MAX = 500
CERTIFICATE_MAX = 256 << 10
EVENTS_MAX = 50_000
"""Keys, values, beginnings and ends of maps and lists in a file: a parser's work grows with these, not with bytes."""


class Recipient(Model):
    """Someone whom archives can be sealed for."""

    kind: Literal["recipient"] = "recipient"
    name: Name
    """Name of this recipient."""
    type: Literal["age", "openpgp"] = "age"
    """Kind of key."""
    recipient: str = Field(max_length=CERTIFICATE_MAX)
    """The public key: an age recipient (``age1…``), or an armoured OpenPGP certificate."""

    @field_validator("recipient")
    @classmethod
    def _public(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("type") == "openpgp":
            return _certificate(value)
        if value.upper().startswith("AGE-SECRET-KEY"):
            raise Misfit("this is the secret half of the key; keep it, and give the public half (age1…)")
        if not value.startswith("age1") or not value.isalnum() or len(value) > 4096:  # noqa: PLR2004 - generous
            raise Misfit("an age recipient begins with age1")
        return value


def _certificate(value: str) -> str:
    from sluicegate.crypto.seal.openpgp import check_certificate

    try:
        check_certificate(value)
    except Invalid as fault:
        raise Misfit(f"{fault.message} {fault.hint}".strip()) from None
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
    """Its first line."""
    origin: Origin | None = None

    def place(self, path: Path = ()) -> str:
        """Return the line of one of its keys, as errors name it."""
        return self.origin.place(path) if self.origin else self.where


def body_of(definition: Definition) -> dict[str, Any]:
    """Return a definition as plain JSON values: what was written, without what was left out."""
    shown = definition.model_dump(mode="json", by_alias=True, exclude_unset=True)
    typed = {"type": definition.type} if isinstance(definition, Connection) else {}
    return {"kind": definition.kind, "name": definition.name, **typed, **shown}


def parse_definition(value: Any, where: str = "", origin: Origin | None = None) -> Definition:
    """Return the definition in a map; ``Invalid`` says what does not fit and where (``origin`` knows the lines)."""

    def place(path: Path = ()) -> str:
        told = f"{kind} {name}" if isinstance(name, str) and kind in KINDS and re.fullmatch(NAME_PATTERN, name) else ""
        return ", ".join(filter(None, (origin.place(path) if origin else where, told)))

    kind = name = None
    if not isinstance(value, dict):
        raise Invalid("a document is a map with a kind and a name", where=place())
    kind, name = value.get("kind"), value.get("name")
    if kind not in KINDS:
        said = f"unknown kind {kind[:64]!r}" if isinstance(kind, str) else "kind: is required"
        raise Invalid(said, where=place(("kind",)), hint=f"There are: {', '.join(KINDS)}.")
    try:
        if kind == "flow":
            return Flow.model_validate(value)
        if kind == "recipient":
            return Recipient.model_validate(value)
        type_ = value.get("type")
        if not isinstance(type_, str):
            known = ", ".join(registry.types("connection"))
            raise Invalid("type: is required", where=place(("type",)), hint=f"There are: {known}.")
        try:
            plugin = registry.find("connection", type_)
        except Invalid as fault:
            raise fault.at(place(("type",))) from None
        found: Connection = plugin.model_validate(value)  # type: ignore[attr-defined]
    except ValidationError as fault:
        told = from_validation(fault, given=value, line=origin.line if origin else None)
        told.where = place(told.path)
        raise told from None
    return found


def read(text: str, *, where: str = "") -> list[Document]:
    """Return the documents in ``text``; ``Invalid`` names the line of what is wrong.

    Keys that stand twice, aliases that grow, and nesting beyond ``DEPTH_MAX`` are refused.
    """
    import yaml

    if len(text.encode()) > BYTES_MAX:
        raise Invalid(f"a file of documents has at most {BYTES_MAX} bytes", where=where)
    found = []
    try:
        _weigh(yaml.parse(text, Loader=yaml.CSafeLoader), where)
        for node in yaml.compose_all(text, Loader=yaml.CSafeLoader):
            if isinstance(node, yaml.ScalarNode) and not node.value:
                continue  # nothing between two dividers
            origin = Origin(where, node)
            source = text[node.start_mark.index : node.end_mark.index].rstrip() + "\n"
            definition = parse_definition(_plain(node, where), origin=origin)
            found.append(Document(definition, body_of(definition), source, origin.place(), origin))
            if len(found) > DOCUMENTS_MAX:
                raise Invalid(f"a file holds at most {DOCUMENTS_MAX} documents", where=where)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        line = f"{where}:{mark.line + 1}" if mark and where else f"line {mark.line + 1}" if mark else where
        raise Invalid(f"this is not YAML: {fault.problem or 'it cannot be read'}", where=line) from None
    except yaml.YAMLError:
        raise Invalid("this is not YAML", where=where) from None
    seen: set[tuple[str, str]] = set()
    for each in found:
        key = (each.definition.kind, each.definition.name)
        if key in seen:
            raise Invalid(f"{key[0]} {key[1]!r} stands twice", where=each.place(("name",)))
        seen.add(key)
    return found


def _weigh(events: Iterator[Any], where: str) -> None:
    """Refuse what would cost a parser of trees more than its bytes tell: very many nodes, or very deep ones."""
    import yaml

    depth = 0
    for count, event in enumerate(events):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX or count > EVENTS_MAX:
            line = event.start_mark.line + 1
            what = "the document is nested too deeply" if depth > DEPTH_MAX else "too many keys and values for one file"
            raise Invalid(what, where=f"{where}:{line}" if where else f"line {line}")


def _plain(root: Any, where: str) -> Any:
    """Return the plain value of a YAML node: no aliases, no tags beyond the core ones, no key twice."""
    import yaml

    builder = yaml.constructor.SafeConstructor()

    def at(node: Any) -> str:
        line = node.start_mark.line + 1
        return f"{where}:{line}" if where else f"line {line}"

    seen: set[int] = set()

    def build(node: Any) -> Any:
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
                result[key] = build(value_node)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [build(each) for each in node.value]
        if node.tag not in _TAGS:
            raise Invalid(f"the tag {str(node.tag)[:64]!r} is not taken", where=at(node))
        if node.tag in _NUMBERS and _OLD_NUMBER.match(node.value):
            raise Invalid(
                "YAML counts this number in another base; write it plainly, or in quotes for text", where=at(node)
            )
        try:
            return builder.construct_object(node)
        except (ValueError, KeyError, AttributeError):  # 2013-02-30, !!bool maybe, 5,000 digits
            raise Invalid(
                f"this is no {_TAGS[node.tag]} that there is; text stands in quotes", where=at(node)
            ) from None

    return build(root)


def _key(node: Any) -> str | None:
    """Return the text of a key as it was written: ``on`` and ``no`` stay words, not booleans."""
    return node.value if isinstance(getattr(node, "value", None), str) else None


_CORE = "tag:yaml.org,2002:"
_TAGS = {
    _CORE + "str": "text", _CORE + "int": "number", _CORE + "float": "number", _CORE + "bool": "boolean",
    _CORE + "null": "null", _CORE + "timestamp": "date or moment",
}  # fmt: skip
_NUMBERS = frozenset({_CORE + "int", _CORE + "float"})
_OLD_NUMBER = re.compile(r"[-+]?(?:0[0-9_]+$|[^:]*:)")
"""YAML 1.1's octal numbers and those of base 60: ``010`` would be 8, and ``1:30`` 90."""


def names_used(documents: list[Document]) -> Iterator[tuple[str, str, str]]:
    """Yield ``(kind, name, where)`` for everything the documents refer to: connections and recipients."""
    for each in documents:
        if isinstance(each.definition, Flow):
            yield from _used(each, each.definition)


def _used(document: Document, flow: Flow) -> Iterator[tuple[str, str, str]]:
    for step in flow.steps:
        if isinstance(step, Reading | Writing):
            yield "connection", step.connection, document.place(flow.path(step, "connection"))
        for name, path in seals.recipients(step):
            yield "recipient", name, document.place(flow.path(step, "seal", *path))


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
