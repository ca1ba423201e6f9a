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
from pydantic.fields import FieldInfo

from sluicegate.base.docstrings import describe
from sluicegate.base.errors import Usage
from sluicegate.base.model import Model
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.people import name_people
from sluicegate.cli.remote import Server
from sluicegate.guard.operation import Operation
from sluicegate.operations import of

_ARGUMENTS = {
    "tenant.create": ("name",), "user.create": ("email",), "secret.set": ("name",), "service.create": ("name",),
    "key.create": ("name",), "user.invite": ("email",), "profile.email": ("email",), "password.forgot": ("email",),
    "archive.verify": ("name", "item"), "archive.reseal": ("name", "item"), "secret.generate": ("name",),
    "state.set": ("name", "step", "above"),
    "secret.link": ("name", "reference"),
    "connection.detect": ("name", "item"),
}  # fmt: skip


_ELSEWHERE = frozenset({"sso.begin", "sso.finish", "sso.prove", "sso.confirm", "invitation.accept"})
"""Operations that are steps of other commands (``sluice login --sso``, ``sluice accept``)."""


def command(noun: str) -> click.Group:
    """Return the group of commands for one noun."""
    group = click.Group(noun, no_args_is_help=True)
    for each in of(noun):
        if each.name not in _ELSEWHERE:
            group.add_command(_download(each) if each.ticketed else _command(each))
    return group


def _command(operation: Operation) -> click.Command:
    arguments = _ARGUMENTS.get(operation.name, operation.http.places)
    fields, texts = operation.takes.model_fields, describe(operation.takes)
    secrets = [name for name, field in fields.items() if SecretStr in (field.annotation, *get_args(field.annotation))]
    parameters: list[click.Parameter] = [click.Argument([name]) for name in arguments]
    for name, field in fields.items():
        if name in arguments:
            continue
        if name in secrets:
            parameters.append(
                click.Option(
                    [f"--{name}-file", f"{name}_file"],
                    help="File that holds it; '-' reads standard input."
                    + (" Asked for when left out." if field.is_required() else ""),
                )
            )
            continue
        parameters.append(_option(name, field, texts.get(name, "")))

    def run(*, as_json: bool, **given: Any) -> None:
        for name in secrets:
            file = given.pop(f"{name}_file")
            if file is not None or fields[name].is_required():
                given[name] = read_secret(name, file)
        if "token" in secrets and "token" in given:
            given["token"] = token_of(given["token"])
        given = {name: value for name, value in given.items() if value != ()}
        server = Server()
        found = server.call(operation, {name: value for name, value in given.items() if value != ()})
        show.answer(found if as_json else name_people(server, found), as_json=as_json)

    made = click.Command(operation.name.partition(".")[2], params=parameters, callback=run, help=operation.summary)
    decorated: click.Command = json_option(made)
    return decorated


def _download(operation: Operation) -> click.Command:
    """Return the command that writes what an operation sends into a file."""

    def save(*, output: str, as_json: bool, **given: Any) -> None:
        size = Server().download(operation, given, Path(output))
        show.answer({"file": output, "bytes": size}, as_json=as_json)

    made = _command(operation)
    made.params.append(click.Option(["-o", "--output"], required=True, help="The file to write: a new one."))
    made.callback = save
    return made


def _option(name: str, field: FieldInfo, text: str) -> click.Option:
    words, many = name.replace("_", "-"), get_origin(field.annotation) is tuple
    if field.annotation is bool or get_args(field.annotation) == (bool, type(None)):
        return click.Option([f"--{words}/--no-{words}", name], default=None, help=text)
    shown = text + (" May stand several times." if many else "")
    kind = _kind(field.annotation)
    return click.Option([f"--{words}", name], type=kind, required=field.is_required(), multiple=many, help=shown)


def _kind(annotation: Any) -> Any:
    """Return how a value of a field is read; each value, of a field that takes several."""
    parts = get_args(annotation)
    item = parts[0] if get_origin(annotation) is tuple else annotation
    if isinstance(item, type) and issubclass(item, Enum):
        return click.Choice([each.value for each in item])
    if _is_pair(item):
        return Pair(item)
    return int if int in (annotation, *parts) else str


class Pair(click.ParamType[Any]):
    """Two fields of a model, as ``first=second``."""

    name = "pair"

    def __init__(self, model: type[Model]) -> None:
        """Name its fields."""
        self._first, self._second = model.model_fields
        self._shape = f"{self._first}={self._second}".upper()

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        """Say what is expected."""
        return self._shape

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """Read ``first=second``; what stands after the last ``=`` is the second."""
        first, equals, second = str(value).rpartition("=")
        if not equals:
            self.fail(f"It must be {self._shape}.", param, ctx)
        return {self._first: first, self._second: second}


def _is_pair(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, Model) and len(item.model_fields) == 2  # noqa: PLR2004 - a pair


def token_of(text: str) -> str:
    """Return what a one-time link carries; whoever has the link may give all of it."""
    return text.strip().rpartition("/")[2]


def read_secret(name: str, file: str | None, ask: Callable[..., str] = click.prompt) -> str:
    """Return a secret from a file, standard input or a prompt; never from an argument, which others could see."""
    if file == "-" or (file is None and not sys.stdin.isatty()):
        return sys.stdin.read().rstrip("\n")
    if file is not None:
        return text_of(file, f"the file of the {name}")
    return str(ask(name.capitalize(), hide_input=True))


def read_new(name: str, file: str | None) -> str:
    """Return a secret that is chosen now: on a terminal it is asked for twice."""
    text = read_secret(name, file)
    if file is None and sys.stdin.isatty() and click.prompt("Once more", hide_input=True) != text:
        raise Usage("the two are not the same")
    return text


def text_of(file: str, called: str) -> str:
    """Return what a file holds. What was given for its name is not repeated: it may be the secret itself."""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\n")
    except UnicodeDecodeError:
        raise Usage(f"{called} holds no UTF-8 text", hint="Write it down as text: base64, say.") from None
    except (OSError, ValueError) as fault:  # the latter for a name with NUL
        raise Usage(f"{called} cannot be read: {getattr(fault, 'strerror', None) or 'no file is called so'}") from None
