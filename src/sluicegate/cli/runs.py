"""Start runs and watch them, on a server or right here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from sluicegate.base.errors import Usage
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.remote import Server, call
from sluicegate.operations import find

_EXITS = {"succeeded": 0, "finished_with_rejects": 3, "failed": 1, "cancelled": 130}


def command(name: str) -> click.Command:
    """Return the command called ``name``."""
    return {"run": run, "runs": runs, "logs": logs, "cancel": cancel, "rejects": rejects}[name]


@click.command()
@click.argument("flow", required=False)
@click.argument("local_flow", required=False)
@click.option("--local", is_flag=True, help="Run without a server: FLOW is a FILE, after it the name of a flow in it.")
@click.option("-p", "--param", "params", multiple=True, help="A parameter, NAME=VALUE.")
@click.option("--secret", "secrets", multiple=True, help="With --local: a secret, NAME=FILE.")
@click.option(
    "--rejects",
    "rejects_file",
    type=click.Path(path_type=Path),
    help="With --local: folder to keep quarantined rows in, in clear.",
)
@click.option("--full", is_flag=True, help="Read all rows, whatever runs before have seen, and go on from there.")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="With --local: file that keeps up to where steps with 'since' have read.",
)
@click.option("--wait", is_flag=True, help="Wait for the end; show what happens.")
@json_option
def run(
    *,
    flow: str | None,
    local_flow: str | None,
    local: bool,
    params: tuple[str, ...],
    secrets: tuple[str, ...],
    rejects_file: Path | None,
    full: bool,
    state: Path | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Run a flow. Exits 0 when green, 1 failed, 3 with rejects, 130 cancelled (with --wait or --local)."""
    from sluicegate.cli.flows import values

    if flow is None:
        raise Usage("which flow?", hint="sluice run FLOW, or sluice run --local FILE [FLOW]")
    if local:
        from sluicegate.cli.here import run_here

        return run_here(
            Path(flow), local_flow, values(params), values(secrets, "--secret"), rejects_file,
            full=full, state=state, as_json=as_json,
        )  # fmt: skip
    if local_flow or secrets or rejects_file or state:
        raise Usage("a second name, --secret, --rejects and --state go with --local")
    if set(flow) & set("./"):
        raise Usage(
            "this is the name of a file, not of a flow", hint="Without a server: sluice run --local FILE [FLOW]"
        )
    server = Server()
    started = server.call(find("run.start"), {"name": flow, "params": values(params), "full": full or None})
    if not wait:
        show.answer(started, as_json=as_json)
        return 0
    if not as_json:
        print(f"run {show.clean(started['id'])}", flush=True)  # in a pipe, too, it comes before the log
    return _follow(server, started["id"], as_json=as_json)


def _follow(server: Server, run_id: str, *, as_json: bool) -> int:
    progress = show.Progress(quiet=as_json)
    after = 0
    try:
        while True:
            found = server.call(find("run.events"), {"id": run_id, "after": after, "wait": 10})
            for each in found["items"]:
                after = each["seq"]
                progress.event(each["kind"], each["body"])
            if found["done"]:
                break
    except KeyboardInterrupt:
        server.call(find("run.cancel"), {"id": run_id})
        time.sleep(0.1)
        raise
    finally:
        progress.clear()
    return ended(server.call(find("run.get"), {"id": run_id}), as_json=as_json)


def ended(found: dict[str, Any], *, as_json: bool) -> int:
    """Show how a run ended and return the exit code."""
    if as_json:
        show.answer(found, as_json=True)
    else:
        counts = found["counts"]
        told = ", ".join(f"{counts.get(key, 0):,} {key}" for key in ("read", "written", "rejected"))
        line = f"{show.clean(found['state'])}: {told}"
        seconds = counts.get("seconds")
        print(line + (f", {seconds:.2f} s" if seconds else ""))
        error = found.get("error")
        if error:
            place = f"{show.clean(error['where'])}: " if error.get("where") else ""
            click.echo(f"sluice: {place}{show.clean(error['title'])}", err=True)
            if error.get("hint"):
                click.echo(f"        {show.clean(error['hint'])}", err=True)
    return _EXITS.get(found["state"], 1)


@click.command()
@click.option("--flow", help="Only runs of this flow.")
@click.option("--limit", default=20, help="At most this many.")
@json_option
def runs(*, flow: str | None, limit: int, as_json: bool) -> None:
    """List runs, the newest first."""
    found = call("run.list", flow=flow, limit=limit)
    if as_json:
        show.answer(found, as_json=True)
        return
    rows = [
        each | {f"rows_{key}": each["counts"].get(key) for key in ("read", "written", "rejected")}
        for each in found["items"]
    ]
    show.table(rows, ("id", "flow", "state", "created", "rows_read", "rows_written", "rows_rejected"))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("-f", "--follow", is_flag=True, help="Wait for more until the run ends.")
@click.option("-o", "--output", help="Write it all into this new file, an event a line.")
@json_option
def logs(*, run_id: str, follow: bool, output: str | None, as_json: bool) -> int:
    """Show what happened in a run."""
    server = Server()
    if output is not None:
        return _download(server, "run.log", run_id, output, as_json=as_json)
    if follow and not as_json:
        return _follow(server, run_id, as_json=False)
    items: list[dict[str, Any]] = []
    after, done = 0, False
    while not done:
        found = server.call(find("run.events"), {"id": run_id, "after": after, "wait": 10 if follow else None})
        items += found["items"]
        after = items[-1]["seq"] if items else after
        done = found["done"] or (not follow and not found["items"])
    if as_json:
        show.answer({"items": items}, as_json=True)
        return 0
    progress = show.Progress()
    for each in items:
        progress.event(each["kind"], each["body"])
    return 0


def _download(server: Server, name: str, run_id: str, output: str, *, as_json: bool) -> int:
    size = server.download(find(name), {"id": run_id}, Path(output))
    show.answer({"file": output, "bytes": size}, as_json=as_json)
    return 0


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def cancel(*, run_id: str, as_json: bool) -> None:
    """Cancel a run. What it has not committed is undone."""
    found = call("run.cancel", id=run_id)
    show.answer({"id": found["id"], "state": found["state"]}, as_json=as_json)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--limit", default=50, help="At most this many.")
@click.option("-o", "--output", help="Write them all into this new file, a row a line.")
@json_option
def rejects(*, run_id: str, limit: int, output: str | None, as_json: bool) -> None:
    """Show rows that a run put into quarantine."""
    if output is not None:
        _download(Server(), "run.rejected", run_id, output, as_json=as_json)
        return
    show.answer(call("run.rejects", id=run_id, limit=limit), as_json=as_json)
