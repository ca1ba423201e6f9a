"""``run --local``: the same engine in this process. No server, no store, no key file: the person here is the policy."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from sluicegate.base import clock
from sluicegate.base.errors import Cancelled, Invalid, SluiceError, Usage
from sluicegate.base.model import new_id
from sluicegate.base.secret import Secret
from sluicegate.cli import beside, show
from sluicegate.cli.memory import Memory
from sluicegate.cli.table import text_of
from sluicegate.kit import bundle, document, seals
from sluicegate.kit.connection import Connection
from sluicegate.kit.document import Recipient
from sluicegate.kit.flow import Flow
from sluicegate.kit.step import Masking


def run_here(
    file: Path,
    wanted: str | None,
    params: dict[str, str],
    secrets: dict[str, str],
    rejects: Path | None,
    *,
    full: bool,
    state: Path | None,
    as_json: bool,
) -> int:
    """Run a flow of ``file`` and return the exit code."""
    from sluicegate.cli.runs import ended

    job, flow = _read(file, wanted, "run", params, secrets, rejects)
    memory = Memory.open(state, flow, full=full)
    job.state.update(memory.state)
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    progress = show.Progress(quiet=as_json)
    created = time.time()
    record: dict[str, Any] = {
        "id": job.run,
        "flow": flow.name,
        "state": "succeeded",
        "created": clock.iso(created),
        "params": params,
        "error": None,
        "counts": {"read": 0, "written": 0, "rejected": 0, "bytes": 0, "peak": 0},
        "receipts": {},
    }
    try:
        _carry_out(job, flow, record, progress, stop, memory)
    except SluiceError as fault:
        record["state"] = "cancelled" if isinstance(fault, Cancelled) or stop.is_set() else "failed"
        record["error"] = fault.problem()
    finally:
        signal.signal(signal.SIGINT, before)
        progress.clear()
    record["counts"]["seconds"] = round(time.time() - created, 3)
    return ended(record, as_json=as_json)


def explain_here(file: Path, wanted: str | None, params: dict[str, str], secrets: dict[str, str]) -> dict[str, Any]:
    """Return how a flow of ``file`` would be carried out."""
    from sluicegate.engine import explanation

    job, _ = _read(file, wanted, "explain", params, secrets)
    return explanation.explain(job, lambda _kind, _body: None, lambda: False)


def _read(
    file: Path,
    wanted: str | None,
    what: str,
    params: dict[str, str],
    secrets: dict[str, str],
    rejects: Path | None = None,
) -> tuple[Any, Flow]:
    """Return the job for a flow of ``file``, and the flow."""
    chosen, known = _flow(_documents(file), file, wanted)
    flow = chosen.definition
    if not isinstance(flow, Flow):
        raise TypeError(flow.kind)
    return _job(known, flow, chosen.body, file.resolve().parent, what, params, secrets, rejects), flow


def _carry_out(
    job: Any, flow: Flow, record: dict[str, Any], progress: show.Progress, stop: threading.Event, memory: Memory
) -> None:
    import pyarrow as pa

    from sluicegate.engine import stage
    from sluicegate.engine.plan import one_writer, plan, steps
    from sluicegate.kit.step import Reading

    pa.enable_signal_handlers(enable=False)  # Ctrl-C is ours: Arrow would end a read with an error of its own
    named = steps(flow)
    counts = record["counts"]

    def report(kind: str, body: dict[str, Any]) -> None:
        if kind == "watermark":
            memory.see(**body)
        elif kind != "schema":
            progress.event(kind, body)

    for segment in plan(flow, one_writer(job.connections)):
        done = stage.execute(job, segment.name, report, stop.is_set)
        for name, each in done["counts"]["steps"].items():
            if isinstance(named.get(name), Reading):
                counts["read"] += each["rows"]
                counts["bytes"] += each["bytes"]
            counts["rejected"] += each["rejected"]
        for name, receipt in done["receipts"].items():
            record["receipts"][name] = receipt
            counts["written"] += receipt["rows"]
            progress.event("receipt", {"step": name, **receipt})
        memory.land()
        counts["peak"] = max(counts["peak"], done["counts"]["peak"])
    if counts["rejected"]:
        record["state"] = "finished_with_rejects"


def _documents(file: Path) -> list[document.Document]:
    if file.is_dir():
        raise Usage("this is a folder", where=str(file), hint="Name the file: sluice run --local FILE [FLOW]")
    if not file.is_file():
        raise Usage("there is no such file", where=str(file))
    return beside.read(file)


def _flow(
    found: list[document.Document], file: Path, wanted: str | None
) -> tuple[document.Document, list[document.Document]]:
    """Return the flow's document, and all documents that it may take names from: its file's own, then those beside."""
    flows = [each for each in found if isinstance(each.definition, Flow)]
    near: list[document.Document] = []
    if wanted is None:
        if len(flows) != 1:
            raise Usage(
                f"the file holds {len(flows) or 'no'} flows",
                where=str(file),
                hint="Name one: sluice run --local FILE FLOW",
            )
        chosen = flows[0]
    else:
        if wanted not in (each.definition.name for each in flows):
            near = beside.neighbours([file]).documents
            flows += [each for each in near if isinstance(each.definition, Flow)]
        named = [each for each in flows if each.definition.name == wanted]
        if not named:
            names = ", ".join(dict.fromkeys(each.definition.name for each in flows))
            raise Usage(f"there is no flow {wanted!r}", where=str(file), hint=f"There are: {names or 'none'}.")
        chosen = named[0]
    around = beside.complete([chosen, *found], [file])
    known = [*found, *around.documents]
    find = bundle.finder(reversed(known))
    bundle.check([chosen], find, hint=around.hint())
    bundle.check_tags([chosen], find)
    return chosen, known


def _job(
    found: list[document.Document],
    flow: Flow,
    body: dict[str, Any],
    folder: Path,
    what: str,
    params: dict[str, str],
    secrets: dict[str, str],
    rejects: Path | None,
) -> Any:
    from sluicegate.engine.job import Job

    known = {each.definition.name: each for each in reversed(found) if isinstance(each.definition, Connection)}
    connections: dict[str, dict[str, Any]] = {}
    needed: dict[str, Secret] = {}
    for name in flow.connections():
        connections[name] = known[name].body
        definition = known[name].definition
        for secret in sorted(definition.secret_names()) if isinstance(definition, Connection) else ():
            needed[secret] = _secret(secret, secrets, f"connection {name}")
    for secret, step in seals.secret_names(flow.steps):
        needed[secret] = _secret(secret, secrets, f"step {flow.step_name(step)}")
    keys = {
        name: _secret(name, secrets, f"step {flow.step_name(step)}")
        for step in flow.steps
        if isinstance(step, Masking)
        for name, _ in step.key_names()
    }
    recipients = {
        each.definition.name: each.definition.recipient
        for each in reversed(found)
        if isinstance(each.definition, Recipient)
    }
    flow.values(params)
    return Job(
        what=what,  # type: ignore[arg-type] # ours
        run=new_id(),
        root=folder,
        flow=body,
        params=params,
        connections=connections,
        recipients=recipients,
        secrets=needed,
        keys=keys,
        local=True,
        jail=_jail(flow),
        quarantine_folder=rejects.absolute() if rejects else None,
    )


def _jail(flow: Flow) -> dict[str, Any]:
    """Return the settings of the jail for a flow that needs one: reading all settings takes time."""
    if not any(each.jails for each in flow.steps):
        return {}
    from sluicegate.base.settings import load

    return load().jail.model_dump()


def _secret(name: str, files: dict[str, str], where: str) -> Secret:
    if name in files:
        return Secret(text_of(files[name], f"the file of the secret {name!r}"))
    variable = "SLUICE_SECRET_" + name.upper().replace("-", "_")
    if variable not in os.environ:
        raise Invalid(
            f"the secret {name!r} is not given",
            where=where,
            hint=f"Add --secret {name}=FILE, or set {variable}.",
        )
    return Secret(os.environ[variable])
