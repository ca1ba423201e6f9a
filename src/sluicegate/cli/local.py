"""Commands that need no server: make a home, serve, settings, schemas."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, get_args

import click

from sluicegate.base.errors import Usage
from sluicegate.base.home import home
from sluicegate.base.seals import SealKind
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.seal import new_passphrase, show_shares


def command(name: str) -> click.Command:
    """Return the command called ``name``."""
    return {
        "init": init,
        "serve": serve,
        "settings": settings,
        "schema": schema,
        "passwords": passwords,
    }[name]


@click.command()
@click.option("--example", is_flag=True, help="Also write a first flow into this folder (sluice-example/).")
@click.option(
    "--name", "names", multiple=True, help="A name or address of this server, for its certificate (several allowed)."
)
@click.option(
    "--certificate",
    type=click.Path(exists=True, path_type=Path),
    help="Your own certificate chain (PEM) instead of a local CA.",
)
@click.option("--key", type=click.Path(exists=True, path_type=Path), help="Its private key (PEM, mode 0600).")
@click.option("--seal", type=click.Choice(get_args(SealKind)), help="What seals the root key (a key file).")
@click.option("--passphrase-file", help="For --seal passphrase: file that holds it; '-' reads standard input.")
@json_option
def init(
    *,
    example: bool,
    names: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    seal: SealKind | None,
    passphrase_file: str | None,
    as_json: bool,
) -> None:
    """Make a home: root key, certificate, settings. What is there already stays as it is. Shares are shown once."""
    from sluicegate.app import make_home, make_seal
    from sluicegate.base import memory

    if bool(certificate) != bool(key):
        raise Usage("--certificate and --key go together")
    memory.close()  # before it makes a key
    passphrase = new_passphrase(passphrase_file) if seal == "passphrase" else None
    made = make_home(home(), names, certificate, key, keyed=seal is None)
    shares: tuple[str, ...] = ()
    if seal is not None:
        sealed = make_seal(home(), seal, passphrase)
        made.append(sealed.file)
        shares = tuple(each.reveal() for each in sealed.shares)
    if example:
        made.append(str(_example(Path("sluice-example"))))
    if as_json:
        show.answer({"home": str(home()), "made": made, **({"shares": shares} if shares else {})}, as_json=True)
        return
    show.answer({"home": str(home()), "made": made}, as_json=False)
    if names and certificate is None and "tls/" not in made:
        click.echo("There is a certificate already, so --name changes nothing: remove tls/server.pem first.", err=True)
    show_shares(shares)
    print("\nNext: sluice serve" + ("      and: sluice run --local sluice-example/flow.yaml" if example else ""))


def _example(folder: Path) -> Path:
    source = Path(__file__).parent / "example"
    if folder.exists():
        raise Usage("this folder exists already", where=str(folder))
    shutil.copytree(source, folder)
    return folder


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@json_option
def serve(*, host: str | None, port: int | None, as_json: bool) -> None:
    """Serve the API and the UI over TLS 1.3, with a worker in the same process. --json: where, in one line."""
    from sluicegate.base import memory
    from sluicegate.base import settings as settings_
    from sluicegate.web.listener import listen

    if host == "":
        raise Usage("--host must not be empty", hint="Such as 127.0.0.1; 0.0.0.0 for all addresses.")
    memory.close()  # before it holds a key
    found = settings_.load()
    server = found.server.model_copy(
        update={key: value for key, value in (("host", host), ("port", port)) if value is not None}
    )
    again = listen(found.model_copy(update={"server": server}), as_json=as_json)
    if again is not None:  # sealed: a new program in this process, so that no key is left in its memory
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "--port", str(again)])  # noqa: S606 - itself


@click.command()
@json_option
def settings(*, as_json: bool) -> None:
    """List all settings: name, value, meaning. They stand in SLUICE_HOME/sluice.toml or in SLUICE_… variables."""
    from sluicegate.base import settings as settings_

    found = settings_.load()
    rows = []
    for name, default, text in settings_.describe():
        value: Any = found
        for part in name.split("."):
            value = getattr(value, part)
        rows.append({"setting": name, "value": str(value), "default": default, "meaning": text})
    if as_json:
        show.answer({"home": str(found.home), "items": rows}, as_json=True)
        return
    print(f"home {found.home}\n")
    for row in rows:
        changed = "" if row["value"] == row["default"] else f"   (default {row['default']})"
        print(f"{row['setting']} = {row['value']}{changed}\n    {row['meaning']}")


@click.command()
@click.argument("kind", type=click.Choice(["flow", "connection", "format", "step", "recipient"]))
@click.argument("type_", metavar="TYPE", required=False)
@json_option
def schema(*, kind: str, type_: str | None, as_json: bool) -> None:  # noqa: ARG001 - it is JSON either way
    """Print the JSON Schema of a kind of document; for connections, formats and steps, of one TYPE."""
    from sluicegate.kit import document, registry
    from sluicegate.kit.flow import Flow

    whole: dict[str, Any] = {"flow": Flow, "recipient": document.Recipient}
    if kind in whole:
        model = whole[kind]
    elif type_ is None:
        print(json.dumps({"kind": kind, "types": list(registry.types(kind))}))
        return
    else:
        model = registry.find(kind, type_)
    print(json.dumps(model.model_json_schema(by_alias=True), indent=2 if sys.stdout.isatty() else None))


@click.group()
def passwords() -> None:
    """Say which passwords are refused because others have lost them. Works on this machine's SLUICE_HOME."""


@passwords.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@json_option
def import_(*, file: Path, as_json: bool) -> None:
    """Load FILE: SHA-1 hashes of breached passwords, sorted, one a line, with or without a count (- reads stdin).

    It takes the place of the list before it, whole or not at all. A running server sees it at once.
    """
    from sluicegate.app import import_breached

    if file == Path("-"):
        count = import_breached(home(), sys.stdin.buffer, "stdin")
    else:
        with file.open("rb") as stream:
            count = import_breached(home(), stream, str(file))
    show.answer({"passwords": count}, as_json=as_json)


@passwords.command()
@json_option
def status(*, as_json: bool) -> None:
    """Say how many passwords the lists hold, and since when."""
    from sluicegate.app import describe_breached

    show.answer(describe_breached(home()), as_json=as_json)
