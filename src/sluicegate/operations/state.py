"""Up to where a flow's steps have read: see it, set it, begin anew, go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import Invalid, Missing
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model, Name, Number
from sluicegate.base.permission import Permission
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Operation
from sluicegate.kit import document
from sluicegate.kit.flow import Flow
from sluicegate.kit.watermark import VALUE_MAX, check_value

if TYPE_CHECKING:
    from sluicegate.store.watermarks import Watermark


class StateAsk(Model):
    """Which flow."""

    name: Name
    """Name of the flow."""
    step: Name | None = None
    """All versions of this step that are kept, newest first; of each step the one that holds, when left out."""


class StateOf(Model):
    """One step of a flow."""

    name: Name
    """Name of the flow."""
    step: Name
    """Name of the reading step."""


class StateSet(StateOf):
    """One step of a flow, and where its next run begins."""

    above: str = Field(min_length=1, max_length=VALUE_MAX)
    """The next run reads rows above this value: a number, a date (2024-01-31) or a moment (2024-01-31T12:00:00Z)."""


class State(Model):
    """Up to where a step has read."""

    step: str
    version: int
    column: str
    """Column that tells what is new."""
    value: str | None
    """Its highest value; nothing: the next run begins where the flow says."""
    run: str | None
    """The run that has seen it; nothing when a person has set it."""
    by: str
    at: str


class States(Model):
    """Up to where steps have read."""

    items: tuple[State, ...]


class Changed(Model):
    """The state of a step has changed."""

    step: str
    version: Number


def _columns(desk: Desk, name: str) -> dict[str, str]:
    """Return the steps of a flow that have a state, each with its column. Raises ``Missing``."""
    flow = document.parse_definition(desk.scope.definitions().get("flow", name).body)
    if not isinstance(flow, Flow):
        raise Invalid("this is not a flow", where=name)
    return flow.watermarks()


def _column(desk: Desk, ask: StateOf) -> str:
    found = _columns(desk, ask.name)
    if ask.step not in found:
        told = ", ".join(found) or "none"
        raise Missing(f"The flow has no step {ask.step} that reads since.", hint=f"Those that do: {told}.")
    return found[ask.step]


def _shown(each: Watermark) -> State:
    return State(
        step=each.step, version=each.version, column=each.field, value=each.value, run=each.run or None, by=each.by,
        at=clock.iso(each.at),
    )  # fmt: skip


def list_(ask: StateAsk, desk: Desk) -> States:
    """List up to where the steps of a flow have read."""
    _columns(desk, ask.name)
    watermarks = desk.scope.watermarks()
    found = watermarks.versions(ask.name, ask.step) if ask.step else watermarks.current(ask.name).values()
    return States(items=tuple(map(_shown, found)))


def set_(ask: StateSet, desk: Desk) -> Changed:
    """Set where the next run of a step begins: it reads rows above the value."""
    try:
        check_value(ask.above)
    except Misfit as fault:
        raise Invalid(str(fault), where="above") from None
    column = _column(desk, ask)
    return Changed(step=ask.step, version=desk.scope.watermarks().put(ask.name, ask.step, column, ask.above))


def reset(ask: StateOf, desk: Desk) -> Changed:
    """Have the next run of a step begin anew, where the flow says."""
    column = _column(desk, ask)
    return Changed(step=ask.step, version=desk.scope.watermarks().put(ask.name, ask.step, column, None))


def undo(ask: StateOf, desk: Desk) -> Changed:
    """Bring back the state that a step had before."""
    _column(desk, ask)
    return Changed(step=ask.step, version=desk.scope.watermarks().undo(ask.name, ask.step))


OPERATIONS = (
    Operation(
        "state.list",
        Permission.DATA_READ,
        Http("GET", "/flows/{name}/state"),
        StateAsk,
        States,
        list_,
        audited=True,
    ),
    Operation(
        "state.set",
        Permission.RUN_CONTROL,
        Http("PUT", "/flows/{name}/state/{step}"),
        StateSet,
        Changed,
        set_,
        audited=True,
    ),
    Operation(
        "state.reset",
        Permission.RUN_CONTROL,
        Http("DELETE", "/flows/{name}/state/{step}"),
        StateOf,
        Changed,
        reset,
        audited=True,
    ),
    Operation(
        "state.undo",
        Permission.RUN_CONTROL,
        Http("POST", "/flows/{name}/state/{step}/undo"),
        StateOf,
        Changed,
        undo,
        audited=True,
    ),
)
