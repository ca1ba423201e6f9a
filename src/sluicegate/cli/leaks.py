"""``sluice prove leaks``: plants canaries, does all that can be done with them, and searches for them."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sluicegate.base.home import home
from sluicegate.cli import show
from sluicegate.cli.canaries import random_word
from sluicegate.cli.commands import json_option
from sluicegate.cli.proof import Proof
from sluicegate.conformance.leaks import flows

_PATH = click.Path(exists=True, path_type=Path)
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--home", "place", type=_PATH, help="Directory of the server's data; SLUICE_HOME when left out.")
@click.option(
    "--also", multiple=True, type=_PATH, help="File or folder to search, too: logs, backups. May be repeated."
)
@json_option
def leaks(*, place: Path | None, also: tuple[Path, ...], as_json: bool) -> int:
    """Plant canaries in a tenant of its own, do everything with them, and search the installation for them.

    You are a SuperAdmin who has just signed in, on the server's own machine, as the user that owns its directory.
    """
    name = f"prove-leaks-{random_word()[:12].lower()}"
    with (
        orderly(),
        tempfile.TemporaryDirectory(prefix=f"{name}-") as own,
        Proof(place or home(), Path(own), name) as proof,
    ):
        told = proof.run([each.absolute() for each in also])
    told |= {"left": proof.left, "ok": told["ok"] and not proof.left}
    if as_json:
        show.answer(told, as_json=True)
    else:
        _print(told)
    return 0 if told["ok"] else 1


def _print(told: dict[str, Any]) -> None:
    looked = told["searched"]
    print(f"canaries   {len(told['secrets'])}: {', '.join(told['secrets'])}")
    print(f"runs       {', '.join(f'{name} {state}' for name, state in told['runs'].items())}")
    print(f"searched   {looked['files']} files, {looked['answers']} answers, {looked['bytes'] >> 20} MiB,"
          f" {looked['patterns']} patterns")  # fmt: skip
    print(f"processes  {looked['processes']} by their arguments, {looked['environments']} by their environment,"
          f" {looked['environments_refused']} environments that we may not read")  # fmt: skip
    for each in told["hits"]:
        print(f"LEAK       {each['secret']} ({each['form']}) in {show.clean(each['place'])}")
    for each in told["unread"]:
        print(f"UNREAD     {show.clean(each)}")
    if told["swap"]:
        print(f"not searched: memory that the machine swaps out, to {show.clean(', '.join(told['swap']))}; encrypt it")
    for each in told["uncovered"]:
        print(f"not covered: {show.clean(each)}")
    for each in told["earlier"]:
        print(f"suspended  {each}, which a proof that was cut off had left active")
    for each in told["left"]:
        print(f"LEFT       {show.clean(each)}")
    for name, state in told["not_done"].items():
        print(f"not done: {name} {state}, but should end as {flows.STATES[name]}; see: sluice runs")
    if told["ok"]:
        print("nothing found")
    else:
        print(f"{len(told['hits'])} leaks, {len(told['unread'])} not searched, {len(told['not_done'])} not done,"
              f" {len(told['left'])} left behind")  # fmt: skip


@contextmanager
def orderly() -> Iterator[None]:
    """Have what ends a process end this as Ctrl-C does, so that what was made is taken away; a second one waits."""

    def end(*_: object) -> None:
        for each in _ENDINGS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, end) for each in _ENDINGS}
    try:
        yield
    finally:
        for each, done in before.items():
            signal.signal(each, done)
