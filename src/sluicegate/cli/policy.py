"""A tenant's policy: ``set`` changes what it names, and leaves the rest as it is."""

from __future__ import annotations

from typing import Any

import click

from sluicegate.base.errors import Usage
from sluicegate.cli import show, table
from sluicegate.cli.remote import Server
from sluicegate.operations import find

_ALL = "all"
_REVISION = "revision"


def command(_name: str) -> click.Group:
    """Return the group: the operations' commands, but ``set`` does not forget what it is not told."""
    group = table.command("policy")
    words = [name.replace("_", "-") for name in find("policy.set").takes.model_fields if name != _REVISION]
    set_ = group.commands["set"]
    set_.params.append(
        click.Option(
            ["--reset"],
            multiple=True,
            type=click.Choice([_ALL, *words]),
            metavar="SETTING",
            help="Leave this setting, or all, to the installation. May stand several times.",
        )
    )
    set_.help = (
        "Set what your tenant asks of its people; what is not named stays. Access tokens end, so it holds at once."
    )
    set_.callback = _set
    return group


def _set(*, reset: tuple[str, ...], as_json: bool, **given: Any) -> None:
    told = {name: value for name, value in given.items() if value not in (None, ())}
    left = {each.replace("-", "_") for each in reset}
    if not set(told) - {_REVISION} and not left:
        raise Usage("nothing is set", hint="'sluice policy get' shows what holds.")
    if both := sorted(left & set(told)):
        raise Usage(f"--{both[0].replace('_', '-')} is set and reset")
    server = Server()
    # The operation replaces the whole, so what the tenant has said before is said again.
    held = server.call(find("policy.get"))
    kept = {each["name"]: each["value"] for each in held["items"] if each["origin"] == "tenant" and _ALL not in left}
    whole = {_REVISION: held[_REVISION], **kept, **told}
    asked = {name: value for name, value in whole.items() if name not in left}
    show.answer(server.call(find("policy.set"), asked), as_json=as_json)
