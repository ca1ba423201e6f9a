"""How a flow will be carried out, told by a server or right here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sluicegate.base.errors import Usage
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.remote import call


def command(name: str) -> click.Command:
    """Return the command called ``name``."""
    return {"explain": explain}[name]


@click.command()
@click.argument("flow")
@click.argument("local_flow", required=False)
@click.option("--local", is_flag=True, help="Without a server: FLOW is a FILE, after it the name of a flow in it.")
@click.option("-p", "--param", "params", multiple=True, help="A parameter, NAME=VALUE.")
@click.option("--secret", "secrets", multiple=True, help="With --local: a secret, NAME=FILE.")
@json_option
def explain(
    *, flow: str, local_flow: str | None, local: bool, params: tuple[str, ...], secrets: tuple[str, ...], as_json: bool
) -> None:
    """Tell how a flow will be carried out: types between steps, which way rows take, and why. No row is read."""
    from sluicegate.cli.flows import values

    if local:
        from sluicegate.cli.here import explain_here

        found = explain_here(Path(flow), local_flow, values(params), values(secrets))
    elif local_flow or secrets:
        raise Usage("a second name and --secret go with --local")
    else:
        found = call("flow.explain", name=flow, params=values(params))
    if as_json:
        show.answer(found, as_json=True)
    else:
        _tell(found)


def _tell(found: dict[str, Any]) -> None:
    for step in found["steps"]:
        source = f" from {', '.join(step['inputs'])}" if step["inputs"] else ""
        print(show.clean(f"{step['name']}: {step['type']}{source}, in the {step['runs_in']}"))
        if since := step.get("since"):
            print(show.clean(f"  since: {_since(since)}"))
        _columns(step["columns"])
    for segment in found["segments"]:
        for write in segment["writes"]:
            print(
                show.clean(
                    f"{write['name']}: {write['mode']} of {segment['source']} to {write['connection']}/{write['item']}"
                    f"{', sealed' if write['sealed'] else ''}"
                )
            )
            print(show.clean(f"  way: {write['way']}: {write['why']}"))
            if write.get("change"):
                print(show.clean(f"  {write['change']}"))
            if write["columns"] is not None:
                print("  the table as it is:")
                _columns(write["columns"])


def _since(since: dict[str, Any]) -> str:
    if since["value"] is None:
        return f"all rows; the highest {since['column']} is kept"
    from_ = "from" if since["inclusive"] else "above"
    return f"{since['column']} {from_} {since['value']}, filtered by the {since['filtered_by']}"


def _columns(columns: dict[str, str]) -> None:
    width = max(map(len, columns), default=0)
    for name, kind in columns.items():
        print(show.clean(f"    {name:{width}}  {kind}"))
