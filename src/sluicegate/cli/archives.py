"""``sluice archive``: what the server does with archives, and what needs none: keys, opening, ``--local FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sluicegate.base.errors import Invalid, Usage
from sluicegate.cli import show, table
from sluicegate.cli.commands import json_option
from sluicegate.cli.remote import Server
from sluicegate.operations import find

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KINDS = click.Choice(["age", "openpgp", "zip"])


def command(name: str) -> click.Group:
    """Return the group: the operations of the server, and the commands beside them."""
    group = table.command(name)
    group.help = "Make keys for archives; list, verify, open and reseal archives."
    for each in (key, keygen, open_):
        group.add_command(each)
    for each in (verify, reseal):
        _beside(group, each)
    return group


def _beside(group: click.Group, local: click.Command) -> None:
    """Put ``--local FILE`` beside an operation: with it, the command needs no server."""
    remote = group.commands[str(local.name)]
    options = [each for each in remote.params if each.name != "as_json"]
    own = [each for each in local.params if each.name not in {other.name for other in options}]
    needed = {each.name for each in remote.params if each.required}
    for each in options:
        each.required = False

    def run(*, local_file: Path | None, as_json: bool, **given: Any) -> Any:
        asked = {key: value for key, value in given.items() if value is not None and value != ()}
        if local_file is None:
            missing = sorted(needed - set(asked))
            beyond = sorted(set(asked) - {each.name for each in options})
            if missing or beyond:
                why = f"{missing[0]} is missing" if missing else f"--{beyond[0]} goes with --local"
                raise Usage(why, hint=f"See sluice archive {local.name} --help")
            return remote.callback(as_json=as_json, **given) if remote.callback else None
        return local.callback(local_file=local_file, as_json=as_json, **given) if local.callback else None

    group.add_command(
        click.Command(local.name, params=[*options, *own], callback=run, help=f"{remote.help} --local: a file here.")
    )


@click.command()
@json_option
def key(*, as_json: bool) -> None:
    """Print the key that manifests of archives are checked with: Ed25519, PEM."""
    found = Server().call(find("archive.key"))
    if as_json:
        show.answer(found, as_json=True)
    else:
        print("\n".join(show.clean(line) for line in str(found["public"]).splitlines()))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seal", type=_KINDS, default="age", show_default=True, help="For which kind of seal.")
@click.option("--name", default="", help="Name in an OpenPGP key: Name <address@example.org>.")
@json_option
def keygen(*, file: Path, seal: str, name: str, as_json: bool) -> None:
    """Make a key, keep it in FILE (mode 0600), and print what to seal for. For zip: make a passphrase."""
    from sluicegate.engine.archive import make_key

    show.answer({**make_key(file, seal, name), "identity": str(file)}, as_json=as_json)


@click.command("open")
@click.argument("file", type=_FILE)
@click.option("--identity", required=True, type=_FILE, help="File with the identity, key or passphrase.")
@click.option("--signed-by", multiple=True, type=_FILE, help="OpenPGP certificate of who must have signed it.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Where to put what is in it; must not exist."
)
@json_option
def open_(*, file: Path, identity: Path, signed_by: tuple[Path, ...], output: Path, as_json: bool) -> None:
    """Open an archive of any kind. An archive that was tampered with leaves nothing behind."""
    from sluicegate.engine.archive import open_archive

    if output.exists():
        raise Invalid("this file exists already", where=str(output))
    size = open_archive(file, identity, output, signed_by)
    show.answer({"output": str(output), "bytes": size}, as_json=as_json)


@click.command()
@click.option("--local", "local_file", type=_FILE, help="An archive on this machine, with its manifest beside it.")
@click.option("--key", type=_FILE, help="The key of the installation (PEM), from sluice archive key.")
@json_option
def verify(*, local_file: Path, key: Path | None, identity: str | None, as_json: bool, **_: Any) -> None:
    """Check an archive here."""
    from sluicegate.engine.archive import verify_archive

    show.answer(verify_archive(local_file, key, Path(identity) if identity else None), as_json=as_json)


@click.command()
@click.option("--local", "local_file", type=_FILE, help="An archive on this machine; it is replaced.")
@json_option
def reseal(
    *, local_file: Path, identity: str | None, to: tuple[str, ...], passphrase: str | None, sign: str | None,
    as_json: bool, **_: Any,
) -> None:  # fmt: skip
    """Seal an archive here for others."""
    from sluicegate.engine.archive import reseal_archive

    if identity is None:
        raise Usage("--identity is missing: the file with the key that opens it now")
    signs, phrase = (Path(each) if each else None for each in (sign, passphrase))
    found = reseal_archive(local_file, Path(identity), to, signs, phrase)
    show.answer(found, as_json=as_json)
