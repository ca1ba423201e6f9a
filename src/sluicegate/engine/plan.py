"""From a flow to segments. Pure: the same flow always gives the same plan."""

from __future__ import annotations

from sluicegate.base.errors import Invalid
from sluicegate.base.model import Model
from sluicegate.kit.flow import Flow
from sluicegate.kit.step import Step, Transform, Writing


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


def plan(flow: Flow) -> tuple[Segment, ...]:
    """Return the segments in the order of their first writing step."""
    named = steps(flow)
    sources: dict[str, list[str]] = {}
    for step in flow.steps:
        if isinstance(step, Writing):
            sources.setdefault(step.from_, []).append(flow.step_name(step))
    return tuple(
        Segment(
            name=writes[0],
            source=source,
            writes=tuple(writes),
            jails=any(isinstance(each, Transform) for each in above(named, source)),
        )
        for source, writes in sources.items()
    )


def steps(flow: Flow) -> dict[str, Step]:
    """Return the steps by name."""
    return {flow.step_name(each): each for each in flow.steps}


def above(named: dict[str, Step], source: str) -> tuple[Step, ...]:
    """Return a step and all that it takes rows from, directly or not, sources first."""
    found: dict[str, Step] = {}

    def visit(name: str) -> None:
        if name not in named:
            raise Invalid(f"the flow has no step {name[:64]!r}", hint=f"It has: {', '.join(named)}.")
        for each in named[name].inputs:
            visit(each)
        found.setdefault(name, named[name])

    visit(source)
    return tuple(found.values())
