"""Where the reading steps of a run begin, on the server's side: it knows values as text and never sees a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Failed
from sluicegate.engine import plan
from sluicegate.kit.step import Writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.engine.plan import Segment
    from sluicegate.kit.flow import Flow
    from sluicegate.store.runs import Run
    from sluicegate.store.scope import Scope


def steps(flow: Flow, segment: Segment) -> tuple[str, ...]:
    """Return those of them whose rows a segment lands."""
    return tuple(plan.incremental(plan.steps(flow), segment))


def begin(scope: Scope, run: Run, flow: Flow) -> dict[str, dict[str, Any]]:
    """Return where a run begins, by step; a run that goes on after a crash begins where it began.

    Raises ``Conflict`` when another run of a flow that only adds rows is at work, ``Failed`` when what is kept is of
    another column.
    """
    wanted = flow.watermarks()
    if not wanted:
        return {}
    state = scope.watermarks().begin(run.id, flow.name, wanted, alone=not _keyed(flow))
    return _checked(flow.name, wanted, state)


def find(scope: Scope, flow: Flow) -> dict[str, dict[str, Any]]:
    """Return where the next run would begin, by step; raises as ``begin`` does."""
    wanted = flow.watermarks()
    held = scope.watermarks().current(flow.name) if wanted else {}
    state = {
        step: {"column": held[step].field, "type": held[step].type, "value": held[step].value}
        for step in wanted
        if step in held
    }
    return _checked(flow.name, wanted, state)


def _checked(flow: str, wanted: Mapping[str, str], state: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for step, each in state.items():
        if each["value"] is not None and each["column"] != wanted[step]:
            raise Failed(
                f"what was read so far is told by the column {each['column']!r}, and now it is to be {wanted[step]!r}",
                where=f"step {step}, since",
                hint=f"Begin anew: sluice state reset {flow} {step}, or say where: sluice state set.",
            )
    return state


def _keyed(flow: Flow) -> bool:
    """Tell whether rows that are written twice are there once."""
    return all(getattr(getattr(each, "mode", None), "keys", ()) for each in flow.steps if isinstance(each, Writing))
