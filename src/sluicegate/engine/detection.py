"""Looks through the first rows of an item for personal data, in the task: rows stay in its memory, values in there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sluicegate.engine.inlet import Inlet
from sluicegate.engine.meter import Meter, Report
from sluicegate.kit.document import parse_definition
from sluicegate.kit.flow import Flow

if TYPE_CHECKING:
    from sluicegate.engine.job import Job

_STEP = "rows"


def looking(connection: str, item: str, format_: str) -> dict[str, Any]:
    """Return a flow that reads an item; what stands between braces in the item's name is its name."""
    plain = item.replace("{", "{{").replace("}", "}}")
    read = {"name": _STEP, "connection": connection, "item": plain, **({"format": format_} if format_ else {})}
    return {"kind": "flow", "name": "detect", "steps": [{"read": read}]}


def detect(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Return the findings in the first rows of an item, without any value."""
    from sluicegate.kit.detect.detector import Sample, spell, suggest, tagged

    flow = parse_definition(job.flow)
    if not isinstance(flow, Flow):
        raise TypeError(flow.kind)
    left = int(job.ask["rows"])
    with Meter(report) as meter, Inlet(job, flow, meter, report, cancelled, limit=left) as inlet:
        rows = inlet.pull(_STEP)
        sample = Sample(rows.schema)
        for batch in rows:
            sample.add(batch.slice(0, left))
            left -= batch.num_rows
            if left <= 0:
                break
        findings = sample.findings()
    items = [
        {
            "column": each.column, "category": each.category, "share": each.share, "by": each.by,
            "confidence": each.confidence, "tags": each.tags, "rule": spell(each.method),
        }
        for each in findings
    ]  # fmt: skip
    return {"rows": sample.rows, "found": items, "step": suggest(findings), "tags": tagged(findings)}
