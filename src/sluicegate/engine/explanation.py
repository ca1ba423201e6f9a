"""How a flow will be carried out, told beforehand: the segments, the types between steps, which way rows take and why.

Nothing is written and no row is read, but connections are opened: types are what the systems say now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Missing, SluiceError
from sluicegate.engine.inlet import Inlet
from sluicegate.engine.meter import Meter, Report
from sluicegate.engine.plan import Segment, above, one_writer, plan, steps
from sluicegate.kit import connection as kinds
from sluicegate.kit import loading
from sluicegate.kit.document import parse_definition
from sluicegate.kit.flow import Flow
from sluicegate.kit.mode import Append
from sluicegate.kit.seals import of as seals_of
from sluicegate.kit.step import Step, Transform, Writing
from sluicegate.kit.target import of as target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from sluicegate.engine.job import Job
    from sluicegate.kit.mode import Mode


def explain(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Return the plan of the job's flow as JSON values; raises what the run would raise before its first row."""
    flow = parse_definition(job.flow)
    if not isinstance(flow, Flow):
        raise TypeError(flow.kind)
    with Meter(report) as meter:

        def look() -> Inlet:
            return Inlet(job, flow, meter, report, cancelled, limit=0)

        named = steps(flow)
        segments = plan(flow, one_writer(job.connections))
        order = dict.fromkeys(flow.step_name(step) for segment in segments for step in above(named, segment.source))
        within = {one for step in named.values() if isinstance(step, Transform) for one in step.inputs}
        told = [_step(look, name, named[name], alone=name not in within) for name in order]
        return {"steps": told, "segments": [_segment(look, segment, named) for segment in segments]}


def _step(look: Callable[[], Inlet], name: str, step: Step, *, alone: bool) -> dict[str, Any]:
    """``alone``: whether no transform takes its rows, so that its query, if any, is its own."""
    with look() as inlet:
        columns = _types(inlet.pull(name).schema)
        since = inlet.since(name)
        jails = step.jails and not (alone and name in inlet.unjailed)
    return {
        "name": name, "type": step.type, "inputs": list(step.inputs), "columns": columns,
        "runs_in": "jail" if jails else "task", "since": since,
    }  # fmt: skip


def _types(schema: pa.Schema) -> dict[str, str]:
    from sluicegate.kit.types import to_name

    return {field.name: to_name(field.type) for field in schema}


def _segment(look: Callable[[], Inlet], segment: Segment, named: dict[str, Step]) -> dict[str, Any]:
    writes = []
    for name in segment.writes:
        step = named[name]
        if not isinstance(step, Writing):
            raise TypeError(name)
        with look() as inlet:
            try:
                writes.append(_write(inlet, segment, name, step))
            except SluiceError as fault:
                raise fault.at(f"step {name}") from None
    return {"name": segment.name, "source": segment.source, "writes": writes}


def _write(inlet: Inlet, segment: Segment, name: str, step: Writing) -> dict[str, Any]:
    target, item = inlet.session(step.connection), inlet.item(step.item, name)
    mode: Mode = getattr(step, "mode", None) or Append()
    columns, change = None, ""
    if isinstance(target, kinds.ReadsRows):
        try:
            there = target.read(kinds.Read(item=item, limit=0)).schema
            columns = _types(there)
        except Missing:
            there = None
        known = None if there is None else {field.name: field.type for field in there}
        change = loading.foretell(inlet.pull(segment.source).schema, known, mode, target_of(step))
    reason = inlet.obstacle(segment, step, target, item)
    return {
        "name": name, "connection": step.connection, "item": item,
        "mode": mode.type, "change": change, "sealed": seals_of(step) is not None,
        "columns": columns, "way": "batches" if reason else "passage", "why": reason or PASSES,
    }  # fmt: skip


PASSES = "source and target speak the same form, and nothing between them looks at a row"
