"""Open a sealed server, change its seal, and rehearse the ceremony without a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from sluicegate.base import memory
from sluicegate.base.home import home
from sluicegate.base.secret import Secret
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.remote import Server
from sluicegate.cli.table import command as table_command
from sluicegate.cli.table import read_new, read_secret
from sluicegate.operations import find


def command(name: str) -> click.Command:
    """Return the command called ``name``."""
    if name == "unseal":
        return unseal
    group = table_command("seal")
    for each in (change, confirm, rehearse, adopt):
        group.add_command(each)
    return group


def show_shares(shares: tuple[str, ...]) -> None:
    """Print shares, each on a line of its own."""
    if not shares:
        return
    print("\nThe shares. They are shown this once and kept nowhere: give each to another person.\n")
    for number, each in enumerate(shares, 1):
        print(f"{number}  {each}")


def new_passphrase(file: str | None) -> Secret:
    """Return a passphrase that is to seal something."""
    return Secret(read_new("passphrase", file))


@click.command()
@click.option("--url", help="Address of the server.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CA certificate to trust (PEM)."
)
@click.option(
    "--file", "files", multiple=True, help="File that holds a share or the passphrase; '-' reads standard input."
)
@json_option
def unseal(*, url: str | None, ca: Path | None, files: tuple[str, ...], as_json: bool) -> None:
    """Give your share, or the passphrase, to a sealed server; it is asked for, and never an argument."""
    memory.close()
    server = Server(url, ca)
    found = server.call(find("seal.get"))
    if found["sealed"]:
        for file in files or (None,):
            label = "passphrase" if found["kind"] == "passphrase" else "share"
            found = server.call(find("seal.open"), {"share": read_secret(label, file)})
            if not found["sealed"]:
                break
    if as_json:
        show.answer(found, as_json=True)
    elif found["sealed"]:
        print(f"Sealed: {found['given']} of {found['needed']} shares are there.")
    else:
        print("The server is open.")


@click.command()
@click.option(
    "--to",
    required=True,
    type=click.Choice(["file", "passphrase", "shamir", "transit", "aws-kms"]),
    help="What is to seal the root key from now on; its settings are in sluice.toml.",
)
@click.option("--passphrase-file", help="For --to passphrase: file that holds it; '-' reads standard input.")
@json_option
def change(*, to: str, passphrase_file: str | None, as_json: bool) -> None:
    """Put another seal into the place of this one, with a new root key, while everybody works."""
    told: dict[str, Any] = {"to": to}
    if to == "passphrase":
        told["passphrase"] = new_passphrase(passphrase_file).reveal()
    found = Server().call(find("seal.change"), told)
    if as_json:
        show.answer(found, as_json=True)
        return
    show_shares(tuple(found["shares"]))
    print(
        "It is sealed anew." if found["done"] else "\nNothing has changed yet. Bring enough back: sluice seal confirm"
    )


@click.command()
@click.option("--file", "files", multiple=True, help="File that holds a share; '-' reads standard input, one a line.")
@json_option
def confirm(*, files: tuple[str, ...], as_json: bool) -> None:
    """Bring shares back that "change" has handed out: from now on they open."""
    memory.close()
    lines = "\n".join(read_secret("share", each) for each in files) if files else _lines()
    shares = [line.strip() for line in lines.splitlines() if line.strip()]
    show.answer(Server().call(find("seal.confirm"), {"shares": shares}), as_json=as_json)


def _lines() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.read()
    given: list[str] = []
    while line := click.prompt("Share (none when that is all)", hide_input=True, default="", show_default=False):
        given.append(line)
    return "\n".join(given)


@click.command()
@click.option("--shares", default=5, show_default=True, type=click.IntRange(2, 32), help="Shares to make.")
@click.option(
    "--threshold", default=3, show_default=True, type=click.IntRange(2, 32), help="Shares that open together."
)
@json_option
def rehearse(*, shares: int, threshold: int, as_json: bool) -> None:
    """Rehearse the ceremony with a key that is thrown away: which shares open together, and which do not."""
    from sluicegate.app import rehearse_seal

    found = rehearse_seal(shares, threshold)
    if not as_json:
        show_shares(found.shares)
        print()
    show.answer(
        {"shares": list(found.shares) if as_json else shares, "threshold": threshold, "opened": found.opened,
         "stayed_shut": found.shut},
        as_json=as_json,
    )  # fmt: skip


@click.command()
@click.option("--file", "files", multiple=True, help="File that holds a share or the passphrase; '-' reads stdin.")
@json_option
def adopt(*, files: tuple[str, ...], as_json: bool) -> None:
    """Give a store that was restored from an older backup the keyring of today. The server must be stopped."""
    from sluicegate.app import adopt_keyring
    from sluicegate.base import settings

    memory.close()
    lines = "\n".join(read_secret("share", each) for each in files)
    given = tuple(Secret(line.strip()) for line in lines.splitlines() if line.strip())
    show.answer({"home": str(home()), "root": adopt_keyring(settings.load(), given)}, as_json=as_json)
