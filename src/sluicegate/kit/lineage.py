"""What is known of columns before there are rows: their tags, and their types where something tells. Pure.

It is worked out from the flow alone, so nothing that runs can strip a tag: a column has all tags of all columns that
it is computed from. Names are compared without regard to case, as DuckDB does. What no step tells apart has the
tags of all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from sluicegate.base.errors import Denied
from sluicegate.base.model import Name

if TYPE_CHECKING:
    from sluicegate.kit.connection import Connection
    from sluicegate.kit.flow import Flow
    from sluicegate.kit.step import Reading

TAGS_MAX = 20
Tags = Annotated[tuple[Name, ...], Field(max_length=TAGS_MAX)]
"""Words that say what a column holds: ``personal``, ``card``, ``health`` …; policies give them their weight."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one column."""

    tags: frozenset[str] = frozenset()
    under: frozenset[str] = frozenset()
    """Tags of what a mask hides, which come back when it is taken off."""
    kind: str = ""
    """Its type by name; empty when nothing tells."""
    sure: bool = False
    """Whether the flow itself tells that there is such a column. Of others the run finds out."""

    def joined(self, other: Fact) -> Fact:
        """Return what is known of a column that comes of both."""
        kind = self.kind if self.kind == other.kind else ""
        return Fact(self.tags | other.tags, self.under | other.under, kind, self.sure or other.sure)


@dataclass(frozen=True)
class Facts:
    """What is known of the columns of one step."""

    named: Mapping[str, Fact] = field(default_factory=dict)
    """By name, in small letters."""
    rest: Fact = Fact()
    """Of all others."""

    def get(self, name: str) -> Fact:
        """Return what is known of a column."""
        return self.named.get(name.lower(), self.rest)

    def of(self, names: Iterable[str]) -> Fact:
        """Return what is known of a value that is computed from these columns; its type is not."""
        found = Fact()
        for name in names:
            found = found.joined(self.get(name))
        return Fact(found.tags, found.under, sure=True)

    @classmethod
    def listed(cls, columns: Iterable[tuple[str, Fact]], rest: Fact | None = None) -> Self:
        """Return facts of columns; what two of one name have, that name has."""
        named: dict[str, Fact] = {}
        for name, fact in columns:
            key = name.lower()
            named[key] = named[key].joined(fact) if key in named else fact
        return cls(named, rest or Fact())

    @classmethod
    def smeared(cls, inputs: Iterable[Facts]) -> Self:
        """Return facts by which each column comes of every column of the inputs."""
        facts = [fact for each in inputs for fact in (*each.named.values(), each.rest) if fact.tags or fact.under]
        rest = Fact()
        for fact in facts:
            rest = rest.joined(fact)
        return cls({}, Fact(rest.tags, rest.under, sure=bool(facts) and all(fact.sure for fact in facts)))

    @classmethod
    def merged(cls, inputs: Iterable[Facts]) -> Self:
        """Return facts of inputs that stand side by side: a column has what it has in any of them."""
        found = list(inputs)
        rest = Fact()
        for each in found:
            rest = rest.joined(each.rest)
        names = dict.fromkeys(name for each in found for name in each.named)
        sides = ((name, each) for name in names for each in found)
        return cls.listed(
            [(name, each.get(name)) for name, each in sides if name in each.named or each.rest.tags], rest
        )

    def tagged(self) -> Iterator[tuple[str, Fact]]:
        """Yield the columns that the flow tells of and that have tags; all that have none of their own are ``*``."""
        named = ((name, fact) for name, fact in self.named.items() if fact.sure and fact.tags)
        yield from (*named, *([("*", self.rest)] if self.rest.sure and self.rest.tags else []))


Find = Callable[[str], "Connection | None"]
"""Returns the connection of a name; None when there is none."""


def trace(flow: Flow, find: Find) -> dict[str, Facts]:
    """Return what is known of the columns of each step, by the step's name; ``Invalid`` when a mask does not fit."""
    from sluicegate.kit.step import Reading, Writing

    known: dict[str, Facts] = {}
    for step in flow.order():
        if isinstance(step, Writing):
            continue
        name = flow.step_name(step)
        if isinstance(step, Reading):
            known[name] = _read(step, find(step.connection))
        else:
            known[name] = step.trace({each: known[each] for each in step.inputs})
    return known


def _read(step: Reading, connection: Connection | None) -> Facts:
    own = {name: frozenset(tags) for name, tags in step.tags.items()}
    held = {name: frozenset(tags) for name, tags in connection.tags.items()} if connection else {}
    kinds: Mapping[str, str] = getattr(getattr(step, "format", None), "columns", None) or {}
    chosen: tuple[str, ...] | None = getattr(step, "columns", None)
    facts = [
        *((name, Fact(tags, sure=True)) for name, tags in own.items()),
        *((name, Fact(tags)) for name, tags in held.items()),
    ]
    found = Facts.listed(facts)
    told = dict.fromkeys((*found.named, *(each.lower() for each in kinds), *(each.lower() for each in chosen or ())))
    small = {name.lower(): kind for name, kind in kinds.items()} if len({*map(str.lower, kinds)}) == len(kinds) else {}
    wanted = {each.lower() for each in chosen} if chosen is not None else None
    named = {}
    for name in told:
        if wanted is not None and name not in wanted:
            continue
        fact = found.get(name)
        named[name] = replace(fact, kind=small.get(name, ""), sure=fact.sure or name in small or wanted is not None)
    return Facts(named)


def check(flow: Flow, find: Find, guarded: Collection[str] = ()) -> None:
    """Raise ``Denied`` for the first column whose tags its destination does not take, as far as the flow tells.

    ``guarded``: tags that only connections take which accept them by name. Raises ``Invalid`` as ``trace`` does.
    """
    from sluicegate.kit.step import Writing

    known = trace(flow, find)
    for step in flow.steps:
        if isinstance(step, Writing) and (connection := find(step.connection)) is not None:
            for name, fact in known[step.from_].tagged():
                admit(name, fact, connection, guarded, f"step {flow.step_name(step)}")


def check_rows(facts: Facts, columns: Iterable[str], connection: Connection, guarded: Collection[str]) -> None:
    """Raise ``Denied`` for the first of the columns that there really are whose tags ``connection`` does not take."""
    for name in columns:
        admit(name, facts.get(name), connection, guarded, "")


def admit(name: str, fact: Fact, connection: Connection, guarded: Collection[str], where: str) -> None:
    """Raise ``Denied`` when ``connection`` does not take a column."""
    refused = sorted(fact.tags & set(connection.refuses))
    closed = sorted((fact.tags & set(guarded)) - set(connection.accepts))
    if not refused and not closed:
        return
    why = f"the connection {connection.name!r} refuses that"
    if not refused:
        why = f"the policy guarded lets it only into connections that accept it, which {connection.name!r} does not"
    column = "Each column" if name == "*" else f"The column {name!r}"
    raise Denied(
        f"{column} is tagged {(refused or closed)[0]!r}, and {why}.",
        where=where,
        hint="Mask it in a step mask, or leave it out in a step map.",
    )
