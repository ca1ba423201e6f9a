"""From a flow to segments. Pure: the same flow always gives the same plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluicegate.base.errors import Invalid
from sluicegate.base.model import Model
from sluicegate.kit import registry
from sluicegate.kit.connection import Connection
from sluicegate.kit.flow import Flow
from sluicegate.kit.step import Reading, Step, Writing
from sluicegate.kit.watermark import Since


class Segment(Model):
    """The unit of retry: all that flows from the sources into one step, and the writing steps that take its rows.

    The writing steps run side by side and commit together, in their order.
    """

    name: str
    source: str
    """The step whose rows are written."""
    writes: tuple[str, ...]
    """Names of the writing steps."""
    jails: bool
    """Whether it holds a person's text, so that a jail is started."""


def plan(flow: Flow, one_writer: frozenset[str] = frozenset()) -> tuple[Segment, ...]:
    """Return the segments in the order of their first writing step.

    ``one_writer``: connections that take one load at a time; two loads into one of them are two segments.
    """
    named = steps(flow)
    groups: list[tuple[str, list[str], set[str]]] = []
    for step in flow.steps:
        if not isinstance(step, Writing):
            continue
        alone = {step.connection} & one_writer
        fitting = (each for each in groups if each[0] == step.from_ and not alone & each[2])
        group = next(fitting, None)
        if group is None:
            group = (step.from_, [], set())
            groups.append(group)
        group[1].append(flow.step_name(step))
        group[2].update(alone)
    found = tuple(
        Segment(
            name=writes[0],
            source=source,
            writes=tuple(writes),
            jails=any(each.jails for each in above(named, source)),
        )
        for source, writes, _ in groups
    )
    read: set[str] = set()
    for segment in found:
        for name in incremental(named, segment):
            if name in read:
                raise Invalid(
                    "its rows go to a connection that takes one load at a time, so they would be read twice",
                    where=f"step {name}, since",
                    hint="Write each of the tables in a flow of its own.",
                )
            read.add(name)
    return found


def incremental(named: dict[str, Step], segment: Segment) -> dict[str, Since]:
    """Return the steps above a segment that read what is new since the run before, by name."""
    found = {each.name: each.since for each in above(named, segment.source) if isinstance(each, Reading)}
    return {name: since for name, since in found.items() if name and since}


def looks(segment: Segment, named: Mapping[str, Step]) -> str:
    """Return why rows of the segment must be looked at on their way; empty when they go as they are to one target."""
    source = named[segment.source]
    if not isinstance(source, Reading):
        return f"step {segment.source} ({source.type}) works on the rows"
    if source.since is not None:
        return f"the highest {source.since.column} is looked for in the rows"
    return "the rows go to several targets" if len(segment.writes) > 1 else ""


def one_writer(connections: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return the names of those connections (by name, as documents) that take one load at a time."""
    return frozenset(name for name, body in connections.items() if _plugin(body).single_writer)


def steps(flow: Flow) -> dict[str, Step]:
    """Return the steps by name."""
    return {flow.step_name(each): each for each in flow.steps}


def above(named: dict[str, Step], source: str) -> tuple[Step, ...]:
    """Return a step and all that it takes rows from, directly or not, sources first."""
    found: dict[str, Step] = {}

    def visit(name: str) -> None:
        if name not in named:
            raise Invalid(f"the flow has no step {name[:64]!r}", hint=f"It has: {', '.join(named) or 'none'}.")
        for each in named[name].inputs:
            visit(each)
        found.setdefault(name, named[name])

    visit(source)
    return tuple(found.values())


def _plugin(body: Mapping[str, Any]) -> type[Connection]:
    found: type[Connection] = registry.find("connection", str(body["type"]))
    return found
