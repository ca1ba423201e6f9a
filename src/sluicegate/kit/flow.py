"""A flow: named steps that form a graph without cycles, and what a run may be told."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import (
    Field,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.base.flaws import Flaw, Misfit, Path, flaws_of, spell
from sluicegate.base.model import NAME_PATTERN, Model, Name
from sluicegate.kit import registry, watermark
from sluicegate.kit.step import Check, Reading, Step, Transform, Writing

Value = bool | int | Decimal | date | datetime | str | float | None
_SEGMENT_MAX = 200
_TEXT_MAX = 65_536
_DIGITS_MAX = 38
"""Digits of a decimal, as in ``decimal(38,s)``: before the point, and after it."""

_TYPES: dict[str, Any] = {
    "bool": bool, "int64": int, "float64": float, "text": str, "date": date, "timestamp": datetime, "decimal": Decimal,
}  # fmt: skip

_SAID = {
    "bool": "true or false",
    "int64": "a whole number of 64 bits",
    "float64": "a finite number",
    "text": f"text of at most {_TEXT_MAX} characters, without NUL, in valid Unicode",
    "date": "a date (2013-01-31)",
    "timestamp": "a date and time (2013-01-31T12:00:00)",
    "decimal": f"a finite number with at most {_DIGITS_MAX} digits before and after the point",
}


def _is_usual(value: Value) -> bool:
    """Tell whether every place a parameter goes to (store, JSON, SQL, names of files) can hold ``value``."""
    if isinstance(value, str):
        return len(value) <= _TEXT_MAX and not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return isinstance(exponent, int) and exponent >= -_DIGITS_MAX and value.adjusted() < _DIGITS_MAX
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    return True


class Param(Model):
    """One value that a run may be told."""

    type: Literal["bool", "int64", "float64", "text", "date", "timestamp", "decimal"] = "text"
    """Its type."""
    default: bool | int | float | date | datetime | str | None = None
    """What it is when nothing is said; a run must say it when there is no default."""
    description: str = Field(default="", max_length=1000)
    """What it means."""

    @model_validator(mode="after")
    def _fits(self) -> Param:
        if self.default is not None:
            try:
                self.read(self.default)
            except ValueError:
                raise Misfit(f"must be {_SAID[self.type]}", "default") from None
        return self

    def read(self, value: Any) -> Value:
        """Return ``value`` in this parameter's type; ``ValueError`` when it does not fit."""
        result: Value = TypeAdapter(_TYPES[self.type]).validate_python(value)
        if not _is_usual(result):
            raise ValueError(f"not a usual {self.type}")
        return result


class Flow(Model):
    """Steps that bring rows from anywhere to anywhere."""

    kind: Literal["flow"] = "flow"
    name: Name
    """Name of this flow."""
    description: str = Field(default="", max_length=2000)
    """What this flow is for."""
    params: dict[Name, Param] = Field(default={})
    """What a run may be told."""
    steps: tuple[SerializeAsAny[Step], ...] = Field(max_length=200)
    """The steps, each a map with one key: its type."""

    @field_validator("steps", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise Misfit("must be a list")
        made: list[Step] = []
        flaws: list[Flaw] = []
        for place, each in enumerate(value):
            try:
                made.append(_step(each, place))
            except Misfit as fault:
                flaws += fault.flaws
        if flaws:
            raise Misfit(flaws=flaws)
        return tuple(made)

    @field_serializer("steps")
    def _write(self, steps: tuple[Step, ...]) -> list[dict[str, Any]]:
        return [{each.type: each.model_dump(mode="json", by_alias=True, exclude_unset=True)} for each in steps]

    @model_validator(mode="after")
    def _sound(self) -> Flow:
        seen: set[str] = set()
        for each in self.steps:
            if each.name is not None and each.name in seen:
                raise self._misfit(each, f"two steps are called {each.name!r}", "name")
            seen.update([each.name] if each.name else [])
        self.order()
        for each in self.steps:
            try:
                each.check_text()
            except SluiceError as fault:
                text = f"{fault.message}. {fault.hint}" if fault.hint else fault.message
                raise self._misfit(each, text, *(fault.path if isinstance(fault, Invalid) else ())) from None
            for name, path in self._params_of(each).items():
                if name not in self.params:
                    known = ", ".join(self.params) or "none"
                    raise self._misfit(each, f"the flow has no parameter {name[:64]!r}; it has: {known}", *path)
            since = each.since if isinstance(each, Reading) else None
            if since is not None and (text := watermark.obstacle(since, self._fed(each))):
                raise self._misfit(each, text, "since")
        return self

    def _fed(self, source: Step) -> Iterator[tuple[str, Writing]]:
        """Yield the steps, by name, that write rows of ``source``, or what was made of them."""
        fed = {source.name}
        for each in self.order():
            if fed.intersection(each.inputs):
                fed.add(each.name)
                if isinstance(each, Writing):
                    yield self.step_name(each), each

    def _params_of(self, step: Step) -> dict[str, tuple[str | int, ...]]:
        if isinstance(step, Transform | Check):
            return dict(step.params())
        if not isinstance(step, Reading | Writing):
            return {}
        try:
            return {name: ("item",) for _, name in _pieces(step.item) if name is not None}
        except Invalid as fault:
            raise self._misfit(step, f"{fault.message}. {fault.hint}", "item") from None

    def path(self, step: Step, *rest: str | int) -> Path:
        """Return the path to (a part of) a step in the flow's document."""
        place = next(place for place, each in enumerate(self.steps) if each is step)
        return ("steps", place, step.type, *rest)

    def _misfit(self, step: Step, text: str, *path: str | int) -> Misfit:
        return Misfit(flaws=[_flaw(self.path(step), self.step_name(step), Flaw(path, text))])

    def step_name(self, step: Step) -> str:
        """Return the step's name; a writing step without one is called after its type and place."""
        place = next(place for place, each in enumerate(self.steps, 1) if each is step)
        return step.name or f"{step.type}-{place}"

    def order(self) -> tuple[Step, ...]:
        """Return the steps so that each comes after its inputs; ``Misfit`` for a cycle or an unknown name."""
        named = {each.name: each for each in self.steps if each.name}
        done: dict[int, Step] = {}
        open_: set[int] = set()

        def visit(step: Step) -> None:
            if id(step) in done:
                return
            if id(step) in open_:
                raise self._misfit(step, "takes its own rows: the steps form a cycle", *_input(step))
            open_.add(id(step))
            for wanted in step.inputs:
                if wanted not in named:
                    raise self._misfit(step, f"no step is called {wanted!r}", *_input(step, wanted))
                if isinstance(named[wanted], Writing):
                    raise self._misfit(step, f"{wanted!r} gives no rows: it only writes", *_input(step, wanted))
                visit(named[wanted])
            done[id(step)] = step

        for each in self.steps:
            visit(each)
        return tuple(done.values())

    def connections(self) -> tuple[str, ...]:
        """Return the names of the connections it uses, in order."""
        used = (each.connection for each in self.steps if isinstance(each, Reading | Writing))
        return tuple(dict.fromkeys(used))

    def watermarks(self) -> dict[str, str]:
        """Return the steps that read what is new since the run before, each with its column."""
        found = ((each.name, each.since) for each in self.steps if isinstance(each, Reading))
        return {name: since.column for name, since in found if name and since}

    def values(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """Return every parameter's value for a run; ``Invalid`` names one that is missing, unknown or does not fit."""
        for name in given:
            if name not in self.params:
                known = ", ".join(self.params) or "none"
                raise Invalid(f"the flow has no parameter {name[:64]!r}", hint=f"It has: {known}.")
        told: dict[str, Value] = {}
        for name, param in self.params.items():
            value = given.get(name, param.default)
            if value is None:
                raise Invalid(f"the parameter {name!r} must be given", hint=f"Add -p {name}=VALUE.")
            try:
                told[name] = param.read(value)
            except ValueError:
                raise Invalid(f"the parameter {name!r} must be of type {param.type}: {_SAID[param.type]}") from None
        return told


def _step(value: Any, place: int) -> Step:
    if isinstance(value, Step):
        return value
    known = ", ".join(registry.types("step"))
    if not isinstance(value, dict) or len(value) != 1:
        raise Misfit(flaws=[Flaw((place,), f"must be a map with one key, its type: {known}", f"step {place + 1}")])
    type_, body = next(iter(value.items()))
    if type_ not in registry.types("step"):
        text = f"unknown step type {str(type_)[:64]!r}; there are: {known}"
        raise Misfit(flaws=[Flaw((place, type_), text, f"step {place + 1}")])
    if not isinstance(body, dict):
        raise Misfit(flaws=[Flaw((place, type_), "its value must be a map", f"step {place + 1} ({type_})")])
    try:
        step: Step = registry.find("step", type_).model_validate(body)  # type: ignore[attr-defined]
    except ValidationError as fault:
        name = body.get("name")
        named = name if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) else f"{type_}-{place + 1}"
        found = (_flaw((place, type_), named, each) for each in flaws_of(fault, body))
        raise Misfit(flaws=found) from None
    return step


def _flaw(path: Path, name: str, flaw: Flaw) -> Flaw:
    """Return a flaw of a step as one of the flow, told by the step's name."""
    place = f"step {name}, {spell(flaw.path)}" if flaw.path else f"step {name}"
    return flaw._replace(path=path + flaw.path, place=place)


def _input(step: Step, wanted: str = "") -> Path:
    """Return the field in which a step names an input, and its place in a list."""
    for key, field in type(step).model_fields.items():
        if isinstance(value := getattr(step, key), tuple) and wanted in value and wanted in step.inputs:
            return (field.alias or key, value.index(wanted))
        if getattr(step, key) in step.inputs and (not wanted or getattr(step, key) == wanted) and key != "name":
            return (field.alias or key,)
    return ()


def fill(item: str, values: Mapping[str, Value], *, where: str) -> str:
    """Return ``item`` with each ``{param}`` filled in; a value must be one plain path segment (SEC-F06).

    It begins no query, and behind a question mark it is one value: no other parameter comes with it (SEC-P03).
    """
    parts = []
    try:
        pieces = list(_pieces(item))
    except Invalid as fault:
        raise fault.at(where) from None
    for literal, field in pieces:
        parts.append(literal)
        if field is None:
            continue
        if field not in values:
            raise Invalid(f"{{{field}}} is not a parameter of the flow", where=where)
        text = str(values[field])
        if (
            not text
            or len(text) > _SEGMENT_MAX
            or text in {".", ".."}
            or any(bad in text for bad in "/\\\0%{}?")
            or ("&" in text and any("?" in part for part in parts))
            or not text.isprintable()
        ):
            raise Invalid(f"the value of {field!r} cannot be part of a name", where=where)
        parts.append(text)
    return "".join(parts)


def _pieces(item: str) -> Iterator[tuple[str, str | None]]:
    """Yield the pieces of an item: a text, and the parameter after it if there is one."""
    import string

    try:
        for literal, field, spec, conversion in string.Formatter().parse(item):
            if spec or conversion or field == "":
                raise ValueError
            yield literal, field
    except ValueError:
        raise Invalid("its braces hold no parameter", hint="Write {param}, or {{ for a brace.") from None


def digest(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a definition's body in canonical form."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def unused(flow: Flow) -> Iterable[str]:
    """Yield the names of steps whose rows nobody takes: a warning, not an error."""
    taken = {wanted for each in flow.steps for wanted in each.inputs}
    return (
        each.name
        for each in flow.steps
        if isinstance(each, Reading | Transform | Check) and each.name and each.name not in taken
    )
