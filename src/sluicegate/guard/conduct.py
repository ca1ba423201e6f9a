"""What a tenant's policy asks of flows: looked at when one is saved, and again each time it runs (SEC-F04)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.permission import Permission
from sluicegate.guard import tls
from sluicegate.guard.policy import allowed
from sluicegate.kit import lineage, registry, seals
from sluicegate.kit.step import Masking, Reading, Step, Writing

if TYPE_CHECKING:
    from sluicegate.base.principal import Principal
    from sluicegate.guard.tenancy import Effective
    from sluicegate.kit.connection import Connection
    from sluicegate.kit.flow import Flow

Find = Callable[[str], "Connection | None"]
"""Returns the connection of a name; None when there is none."""


def check(flow: Flow, find: Find, policy: Effective) -> None:
    """Raise ``Denied`` for the first step that the policy does not allow; it names the step and the setting.

    So it does for a column whose tags its destination does not take, as far as the flow tells; the run finds the rest.
    """
    lineage.check(flow, find, policy.guarded)
    for step in flow.steps:
        connection = find(step.connection) if isinstance(step, Reading | Writing) else None
        if connection is None:
            continue
        where = f"step {flow.step_name(step)}"
        tls.check(connection, policy.weakest_tls)
        if policy.residency and connection.residency not in policy.residency:
            lies = f"lies in {connection.residency!r}" if connection.residency else "does not say where it lies"
            _refuse(f"The connection {connection.name!r} {lies}", where, "residency", policy.residency)
        if connection.holds == "files":
            _check_file(step, where, policy)


def reveals(flow: Flow) -> bool:
    """Tell whether a flow takes masks off."""
    return any(isinstance(step, Masking) and step.reveals for step in flow.steps)


def require_reveal(flow: Flow, who: Principal) -> None:
    """Raise ``Denied`` when the flow takes masks off and ``who`` may not have that."""
    if reveals(flow) and not allowed(who, Permission.DATA_REVEAL):
        step = next(each for each in flow.steps if isinstance(each, Masking) and each.reveals)
        raise Denied(
            f"This step takes a mask off: that needs {Permission.DATA_REVEAL}.",
            where=f"step {flow.step_name(step)}",
            hint="Have an administrator of the tenant do it, or leave the step out.",
        )


def _check_file(step: Step, where: str, policy: Effective) -> None:
    seal = seals.of(step)
    item = str(getattr(step, "item", ""))
    if isinstance(step, Writing):
        if policy.files_sealed and seal is None:
            raise Denied(
                "The policy files_sealed asks that files are written sealed, and this step names no seal.",
                where=where,
                hint="Add one: seal: { type: age, to: [RECIPIENT] }",
            )
        if seal is not None and policy.seals and seal.type not in policy.seals:
            _refuse(f"The seal is of type {seal.type!r}", where, "seals", policy.seals)
    if policy.formats and (type_ := _format(step, seal.inner(item) if seal else item)) not in policy.formats:
        _refuse(f"The format is {type_!r}" if type_ else "The format is not named", where, "formats", policy.formats)


def _format(step: Step, item: str) -> str:
    """Return the type of a step's format; empty when nothing tells it yet."""
    named = getattr(step, "format", None)
    try:
        return str((named or registry.format_for(item)).type)
    except Invalid:
        return ""


def _refuse(what: str, where: str, setting: str, allowed: tuple[str, ...]) -> NoReturn:
    raise Denied(
        f"{what}, and the policy {setting} allows only: {', '.join(allowed)}.",
        where=where,
        hint="Change the step, or ask an administrator about the policy.",
    )
