"""Commands made from the operations table: ``noun.verb`` is ``sluice noun verb``.

Fields in the path are arguments, the others options; a secret field is asked for, or read from a file or standard
input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic import SecretStr

from sluicegate.base.permission import Permission
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.people import name_people
from sluicegate.cli.remote import Server
from sluicegate.guard.operation import Operation
from sluicegate.operations import of

_ARGUMENTS = {
    "tenant.create": ("name",), "user.create": ("email",), "secret.set": ("name",), "service.create": ("name",),
    "key.create": ("name",), "user.invite": ("email",), "profile.email": ("email",), "password.forgot": ("email",),
}  # fmt: skip


def command(noun: str) -> click.Group:
    """Return the group of commands for one noun."""
    group = click.Group(noun, no_args_is_help=True)
    for each in of(noun):
        if each.name != "invitation.accept":  # 'sluice accept' signs in, too
            group.add_command(_command(each))
    return group


def _command(operation: Operation) -> click.Command:
    arguments = _ARGUMENTS.get(operation.name, operation.http.places)
    secrets = [name for name, field in operation.takes.model_fields.items() if field.annotation is SecretStr]
    parameters: list[click.Parameter] = [click.Argument([name]) for name in arguments]
    for name, field in operation.takes.model_fields.items():
        if name in arguments:
            continue
        if name in secrets:
            parameters.append(
                click.Option(
                    [f"--{name}-file", f"{name}_file"],
                    help="File that holds it; '-' reads standard input. Asked for when left out.",
                )
            )
            continue
        if field.annotation is bool or get_args(field.annotation) == (bool, type(None)):
            words = name.replace("_", "-")
            parameters.append(click.Option([f"--{words}/--no-{words}", name], default=None, help=field.description))
            continue
        kind: Any = str
        if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
            kind = click.Choice([each.value for each in field.annotation])
        elif int in (field.annotation, *get_args(field.annotation)):
            kind = int
        many = get_origin(field.annotation) is tuple
        if many and get_args(field.annotation)[0] is Permission:
            kind = click.Choice([each.value for each in Permission])
        shown = (field.description or "") + (" May stand several times." if many else "")
        option = [f"--{name.replace('_', '-')}", name]
        parameters.append(click.Option(option, type=kind, required=field.is_required(), multiple=many, help=shown))

    def run(*, as_json: bool, **given: Any) -> None:
        for name in secrets:
            given[name] = read_secret(name, given.pop(f"{name}_file"))
            if name == "token":
                given[name] = token_of(given[name])
        server = Server()
        found = server.call(operation, {name: value for name, value in given.items() if value != ()})
        show.answer(found if as_json else name_people(server, found), as_json=as_json)

    made = click.Command(operation.name.partition(".")[2], params=parameters, callback=run, help=operation.summary)
    decorated: click.Command = json_option(made)
    return decorated


def token_of(text: str) -> str:
    """Return what a one-time link carries; whoever has the link may give all of it."""
    return text.strip().rpartition("/")[2]


def read_secret(name: str, file: str | None, ask: Callable[..., str] = click.prompt) -> str:
    """Return a secret from a file, standard input or a prompt; never from an argument, which others could see."""
    if file == "-" or (file is None and not sys.stdin.isatty()):
        return sys.stdin.read().rstrip("\n")
    if file is not None:
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\n")
        except OSError as fault:
            raise click.UsageError(f"The file {file!r} cannot be read: {fault.strerror}.") from None
    return str(ask(name.capitalize(), hide_input=True))
