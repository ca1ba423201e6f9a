"""What does not fit a model, in plain words: never the library's own, never the input that was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from pydantic import ValidationError

from sluicegate.base.model import EMAIL_PATTERN, ID_PATTERN, NAME_PATTERN

Path = tuple[str | int, ...]
"""Keys and places in lists that lead to a value."""

_KEY_MAX = 64


class Flaw(NamedTuple):
    """One thing that does not fit."""

    path: Path
    text: str
    place: str | None = None
    """How people are told where it is, when the path alone would not say it well."""
    lacking: bool = False
    """Whether something is absent, so that the path leads to what lacks it."""

    def __str__(self) -> str:
        """Return place and text on one line."""
        place = spell(self.path) if self.place is None else self.place
        return f"{place}: {self.text}" if place else self.text


class Misfit(ValueError):
    """What a validator raises. Only its words are shown: those of any other ``ValueError`` may be a library's.

    ``path`` leads on from the field (or model) that is validated.
    """

    def __init__(self, text: str = "", *path: str | int, flaws: Iterable[Flaw] = ()) -> None:
        """Hold one flaw, or all of ``flaws``."""
        self.flaws = tuple(flaws) or (Flaw(path, text),)
        super().__init__(text or "; ".join(map(str, self.flaws)))


def spell(path: Path) -> str:
    """Return a path as people write it: ``rules[0].column``. Keys that nobody would type are cut or masked."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = "".join(letter if letter.isprintable() else "�" for letter in part[:_KEY_MAX])
        text += f".{key}" if text else key
    return text


def flaws_of(fault: ValidationError, given: Any = None) -> list[Flaw]:
    """Return what ``fault`` found, unknown keys first, what is lacking last; ``given`` is what was validated."""
    found: dict[Path, list[Flaw]] = {}
    for item in fault.errors(include_url=False):
        lacking = item["type"] in _LACKING
        path = _pruned(item["loc"], given, lacking=lacking)
        for each in _told(item, lacking=lacking):
            found.setdefault(path + each.path, []).append(each._replace(path=path + each.path))
    merged = [_merged(each) for each in found.values()]
    return sorted(merged, key=lambda each: (each.lacking, each.text != _UNKNOWN))


def _merged(found: list[Flaw]) -> Flaw:
    """Return the ways a value fails to be one of several things as one flaw."""
    texts = list(dict.fromkeys(each.text for each in found))
    if len(texts) == 1:
        return found[0]
    told = [text.removeprefix("must be ") for text in texts if text.startswith("must be ")]
    return found[0]._replace(text="must be " + " or ".join(told) if told else texts[0])


def _pruned(loc: tuple[str | int, ...], given: Any, *, lacking: bool) -> Path:
    """Return ``loc`` without the steps that are the library's (which member of a union) and not the document's."""
    path: list[str | int] = []
    for place, part in enumerate(loc):
        last = place == len(loc) - 1
        if given is None:
            if not (isinstance(part, str) and _is_member(part)):
                path.append(part)
        elif isinstance(given, Mapping) and part in given:
            path.append(part)
            given = given[part]
        elif isinstance(given, Sequence) and not isinstance(given, str) and _is_place(part, given):
            path.append(part)
            given = given[int(part)]
        elif last and lacking:
            path.append(part)
    return tuple(path)


def _is_place(part: str | int, given: Sequence[Any]) -> bool:
    return isinstance(part, int) and 0 <= part < len(given)


_UNIONS = frozenset({"bool", "int", "float", "str", "decimal", "date", "datetime", "time", "none", "bytes"})


def _is_member(part: str) -> bool:
    """Tell whether a part of a place is only the library's name for a member of a union."""
    return part in _UNIONS or "[" in part


def _told(item: Any, *, lacking: bool) -> tuple[Flaw, ...]:
    context = item.get("ctx") or {}
    error = context.get("error")
    if isinstance(error, Misfit):
        return error.flaws
    if isinstance(error, ValidationError):
        return tuple(flaws_of(error))
    text = item["msg"] if item["type"] in _OURS else _text(item["type"], context)
    if item["type"] == "string_type" and isinstance(item["input"], bool | int | float | date):
        text += " in quotes"  # YAML reads no, 12 and 2024-03-01 as something else
    return (Flaw((), text, None, lacking),)


def _text(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _EXACT:
        found = _EXACT[kind]
        return found if isinstance(found, str) else found(context)
    return next((text for begin, text in _FAMILIES.items() if kind.startswith(begin)), "does not fit")


def _number(context: Mapping[str, Any], key: str) -> str:
    return str(context.get(key, "the limit"))


def _pattern(context: Mapping[str, Any]) -> str:
    return _PATTERNS.get(str(context.get("pattern")), "is not written as it must be")


def _at_least(context: Mapping[str, Any], thing: str) -> str:
    count = context.get("min_length", 1)
    return "must not be empty" if count == 1 else f"needs at least {count} {thing}"


_PATTERNS = {
    NAME_PATTERN: "is not a name: use lower-case letters, digits, - and _ (1 to 64 characters, a letter or digit at "
    "both ends)",
    EMAIL_PATTERN: "is not an e-mail address",
    ID_PATTERN: "is not an id: an id looks like 01890a5d-ac96-774b-bcce-b302099a8057",
}
_UNKNOWN = "unknown key"
_OURS = frozenset({"one_line", "not_empty", "secret_url"})
"""Errors of validators beneath this module, which cannot raise ``Misfit``: their words are ours, and without input."""
_LACKING = frozenset({"missing", "union_tag_not_found", "missing_argument"})
_EXACT: dict[str, str | Callable[[Mapping[str, Any]], str]] = {
    "missing": "is required",
    "extra_forbidden": _UNKNOWN,
    "invalid_key": "has a key that is not text",
    "none_required": "must be empty",
    "greater_than": lambda context: f"must be more than {_number(context, 'gt')}",
    "greater_than_equal": lambda context: f"must be at least {_number(context, 'ge')}",
    "less_than": lambda context: f"must be less than {_number(context, 'lt')}",
    "less_than_equal": lambda context: f"must be at most {_number(context, 'le')}",
    "multiple_of": lambda context: f"must be a multiple of {_number(context, 'multiple_of')}",
    "string_too_short": lambda context: _at_least(context, "characters"),
    "string_too_long": lambda context: f"has at most {_number(context, 'max_length')} characters",
    "string_pattern_mismatch": _pattern,
    "bytes_too_short": lambda context: _at_least(context, "bytes"),
    "bytes_too_long": lambda context: f"has at most {_number(context, 'max_length')} bytes",
    "too_short": lambda context: _at_least(context, "entries"),
    "too_long": lambda context: f"has at most {_number(context, 'max_length')} entries",
    "literal_error": lambda context: f"must be {context.get('expected', 'one of the words allowed')}",
    "enum": lambda context: f"must be {context.get('expected', 'one of the words allowed')}",
    "union_tag_invalid": lambda context: f"its type must be one of {context.get('expected_tags', 'those there are')}",
    "union_tag_not_found": "needs a type",
    "timezone_naive": "must not name a time zone",
    "timezone_aware": "must name a time zone",
    "int_parsing_size": "must be a whole number of fewer digits",
}
_FAMILIES = {
    "string": "must be text",
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be a number",
    "decimal": "must be a number",
    "fraction": "must be a number",
    "complex": "must be a number",
    "datetime": "must be a moment, such as 2024-03-01 12:00:00",
    "date": "must be a date, such as 2024-03-01",
    "time_delta": "must be a length of time",
    "time": "must be a time, such as 12:00:00",
    "bytes": "must be bytes",
    "uuid": "must be a UUID",
    "url": "must be a URL",
    "json": "must be JSON",
    "dict": "must be a map (name: value)",
    "model": "must be a map (name: value)",
    "dataclass": "must be a map (name: value)",
    "mapping": "must be a map (name: value)",
    "ordered_dict": "must be a map (name: value)",
    "frozen_dict": "must be a map (name: value)",
    "list": "must be a list",
    "tuple": "must be a list",
    "named_tuple": "must be a list",
    "set": "must be a list",
    "frozen_set": "must be a list",
    "deque": "must be a list",
    "iter": "must be a list",
    "recursion": "is nested too deeply",
}
