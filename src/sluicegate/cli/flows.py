"""Definitions from files: apply, get, diff, validate; and a look into connections and steps."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sluicegate.base.errors import Invalid, Missing, SluiceError, Usage
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.people import name_people
from sluicegate.cli.remote import Server, call
from sluicegate.operations import find

_KINDS = ("flow", "connection", "recipient")
_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))


def command(name: str) -> click.Command:
    """Return the command called ``name``."""
    return {
        "apply": apply,
        "get": get,
        "diff": diff,
        "validate": validate,
        "test": test,
        "items": items,
        "preview": preview,
        "detect": detect,
    }[name]


def documents(paths: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the YAML and JSON files in ``paths``, folders not gone into deeper."""
    for path in paths:
        if path.is_dir():
            found = sorted(
                each for each in path.iterdir() if each.suffix in (".yaml", ".yml", ".json") and each.is_file()
            )
            if not found:
                raise Usage("there is no .yaml, .yml or .json file in it", where=str(path))
        else:
            found = [path]
        for each in found:
            try:
                yield each, each.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise Usage("this is not UTF-8 text", where=str(each)) from None
            except OSError as fault:
                raise Usage(f"the file cannot be read: {fault.strerror}", where=str(each)) from None


def read(paths: tuple[Path, ...]) -> list[Any]:
    """Return the documents in ``paths``, checked here so that an error names its file and line."""
    from sluicegate.kit import document

    found = [each for path, text in documents(paths) for each in document.read(text, where=str(path))]
    if not found:
        raise Invalid("there is no document in it", where=", ".join(map(str, paths)))
    return found


_LINE = re.compile(r"line (\d+)")


def _placed(fault: SluiceError, found: list[Any]) -> SluiceError:
    """Return what the server says of the text that ``found`` was sent as, placed in the files it came from."""

    def place(told: re.Match[str]) -> str:
        line = int(told[1])
        for each in found:
            count = each.source.count("\n")
            if line <= count:
                file, _, first = each.where.rpartition(":")
                return f"{file}:{int(first) + line - 1}"
            line -= count + 1  # the divider
        return told[0]

    fault.where = _LINE.sub(place, fault.where, count=1)
    return fault


@click.command()
@_paths
@json_option
def apply(*, paths: tuple[Path, ...], as_json: bool) -> None:
    """Save the documents in PATHS: all of them, or none when one is wrong."""
    sent = read(paths)
    try:
        found = call("definition.apply", source="---\n".join(each.source for each in sent))
    except SluiceError as fault:
        raise _placed(fault, sent) from None
    if as_json:
        show.answer(found, as_json=True)
        return
    for each in found["items"]:
        about = "" if each["changed"] else " (unchanged)"
        print(f"{show.clean(each['kind'])} {show.clean(each['name'])}: version {show.clean(each['version'])}{about}")
        for name in each["cleared"]:
            print(f"  the connection leads elsewhere now, so its secret {show.clean(name)!r} was cleared; set it again")


@click.command()
@_paths
@json_option
def validate(*, paths: tuple[Path, ...], as_json: bool) -> None:
    """Check the documents in PATHS without saving them; what they refer to is looked for beside them, too.

    Needs no server.
    """
    from sluicegate.cli import beside
    from sluicegate.kit import bundle

    found = read(paths)
    files = [path for path, _ in documents(paths)]
    near = beside.complete(found, files)
    find = bundle.finder([*near.documents, *found])
    bundle.check(found, find, hint=near.hint())
    bundle.check_tags(found, find)
    items = [{"kind": each.definition.kind, "name": each.definition.name, "where": each.where} for each in found]
    show.answer({"items": items}, as_json=as_json)


@click.command()
@_paths
@json_option
def diff(*, paths: tuple[Path, ...], as_json: bool) -> int:
    """Compare the documents in PATHS with what is saved. Exits 1 when they differ."""
    server = Server()
    found = []
    for each in read(paths):
        kind, name = each.definition.kind, each.definition.name
        try:
            saved = server.call(find(f"{kind}.get"), {"name": name})
            lines = (
                list(
                    difflib.unified_diff(
                        saved["source"].splitlines(),
                        each.source.splitlines(),
                        f"{kind}/{name} version {saved['version']}",
                        each.where,
                        lineterm="",
                    )
                )
                if saved["body"] != json.loads(json.dumps(each.body))
                else []
            )
        except Missing:
            lines = [f"+ {kind} {name} is new"]
        found.append({"kind": kind, "name": name, "changed": bool(lines), "diff": lines})
    if as_json:
        show.answer({"items": found}, as_json=True)
    else:
        for item in found:
            print(
                "\n".join(show.clean(line) for line in item["diff"]) or f"{item['kind']} {item['name']}: no difference"
            )
    return 1 if any(item["changed"] for item in found) else 0


@click.command()
@click.argument("kind", type=click.Choice([*_KINDS, *(f"{each}s" for each in _KINDS)]))
@click.argument("name", required=False)
@click.option("--version", type=int, help="A version; the newest when left out.")
@json_option
def get(*, kind: str, name: str | None, version: int | None, as_json: bool) -> None:
    """Show a definition as it was written, or list all of a kind."""
    kind = kind.removesuffix("s")
    if name is None:
        server = Server()
        listed = server.call(find(f"{kind}.list"))
        show.answer(listed if as_json else name_people(server, listed), as_json=as_json)
        return
    found = call(f"{kind}.get", name=name, version=version)
    if as_json:
        show.answer(found, as_json=True)
    else:
        print("".join(letter for letter in found["source"] if letter.isprintable() or letter in "\n\t"), end="")


@click.command()
@click.argument("connection")
@json_option
def test(*, connection: str, as_json: bool) -> None:
    """Test whether a connection answers."""
    found = call("connection.test", name=connection)
    show.answer(found, as_json=as_json)


@click.command()
@click.argument("connection")
@click.argument("under", default="")
@json_option
def items(*, connection: str, under: str, as_json: bool) -> None:
    """List what a connection offers."""
    show.answer(call("connection.items", name=connection, under=under), as_json=as_json)


@click.command()
@click.argument("flow")
@click.argument("step")
@click.option("-p", "--param", "params", multiple=True, help="A parameter, NAME=VALUE.")
@click.option("--limit", default=20, help="At most this many rows.")
@json_option
def preview(*, flow: str, step: str, params: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Show the first rows of a step. Nothing is written."""
    found = call("flow.preview", name=flow, step=step, params=values(params), limit=limit)
    if as_json:
        show.answer(found, as_json=True)
    else:
        names = list(found["columns"])
        show.table([dict(zip(names, row, strict=True)) for row in found["rows"]], names)
        if found.get("cut"):
            click.echo(found["cut"], err=True)


@click.command()
@click.argument("connection")
@click.argument("item")
@click.option("--format", "format_", help="How a file is read (csv); told by its name when left out.")
@click.option("--rows", default=1000, help="At most this many of the first rows.")
@json_option
def detect(*, connection: str, item: str, format_: str | None, rows: int, as_json: bool) -> None:
    """Look for columns that hold personal data, and suggest how to mask them. No value is shown."""
    found = call("connection.detect", name=connection, item=item, format=format_, rows=rows)
    if as_json:
        show.answer(found, as_json=True)
        return
    items = [{**each, "share": f"{each['share']:.0%}"} for each in found["items"]]
    show.table(items, ["column", "category", "share", "by", "confidence", "rule"])
    if items:
        print(
            "\n" + "".join(letter for letter in found["tags"] + found["step"] if letter.isprintable() or letter == "\n")
        )


def values(params: tuple[str, ...], option: str = "-p") -> dict[str, str]:
    """Return ``NAME=VALUE`` words as a map; a word that is not one may be a secret, and is not repeated."""
    found = {}
    for each in params:
        name, equals, value = each.partition("=")
        if not equals:
            raise Usage(f"{option} takes NAME=VALUE", hint="Such as: -p day=2024-03-01, --secret NAME=FILE.")
        found[name] = value
    return found
