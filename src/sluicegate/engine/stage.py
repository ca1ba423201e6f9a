"""One segment, carried out: read → transform → check → write, batch by batch, in the task process.

Nothing is visible in any destination before every writing step has staged all its rows; then they commit in order.
"""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Cancelled, Failed, Invalid, NoSpace, SluiceError
from sluicegate.engine.conveyor import Conveyor, Stopped
from sluicegate.engine.inlet import Inlet
from sluicegate.engine.meter import Count, Meter, Report
from sluicegate.engine.outlet import open_outlet
from sluicegate.engine.plan import Segment, one_writer, plan, steps
from sluicegate.kit import lineage
from sluicegate.kit.connection import Connection, WritesFiles, WritesRows
from sluicegate.kit.document import parse_definition
from sluicegate.kit.flow import Flow
from sluicegate.kit.rows import COUNTS, Marker, Parcel, Receipt, Stage
from sluicegate.kit.seals import Zip
from sluicegate.kit.seals import of as seals_of
from sluicegate.kit.step import Writing
from sluicegate.kit.target import of as target_of
from sluicegate.kit.types import opened

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from sluicegate.engine.job import Job
    from sluicegate.kit.target import Target

_QUEUE_BYTES = 8 << 20


def read_flow(job: Job) -> Flow:
    """Return the job's flow."""
    found = parse_definition(job.flow)
    if not isinstance(found, Flow):
        raise Invalid("this is not a flow")
    return found


def execute(job: Job, name: str, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Carry out the segment called ``name`` and return its receipts and counts.

    Raises a ``SluiceError`` that names the step; the destinations are then as they were.
    """
    flow = read_flow(job)
    segment = next((each for each in plan(flow, one_writer(job.connections)) if each.name == name), None)
    if segment is None:
        raise Invalid(f"the flow has no segment {name[:64]!r}")
    with ExitStack() as stack, Meter(report) as meter:
        stack.enter_context(_few_collections())
        inlet = stack.enter_context(Inlet(job, flow, meter, report, cancelled))
        receipts = _carry(job, flow, segment, inlet, meter, cancelled, stack)
        inlet.commit()
    body = meter.body()
    return {"receipts": {step: _body(receipt) for step, receipt in receipts.items()}, "counts": body}


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for cycles seldom: rows are no cycles, and those that are Python objects on their way are many."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _body(receipt: Receipt) -> dict[str, Any]:
    empty = {name for name in ("manifest", *COUNTS) if getattr(receipt, name) is None}
    return receipt.model_dump(mode="json", exclude=empty)


def _carry(
    job: Job, flow: Flow, segment: Segment, inlet: Inlet, meter: Meter, cancelled: Callable[[], bool], stack: ExitStack
) -> dict[str, Receipt]:
    named = steps(flow)
    rows = inlet.pull(segment.source)
    if inlet.guesses:
        rows = _settled(rows)
    _check_tags(job, flow, segment, rows.schema.names)
    sinks = []
    for name in segment.writes:
        step = named[name]
        if not isinstance(step, Writing):
            raise TypeError(name)
        stage = _placed(name, lambda step=step, name=name: _open(job, inlet, step, name, rows.schema, stack))  # type: ignore[misc]
        sinks.append(Sink(name, stage, meter.step(name)))
    if all(sink.stage.done for sink in sinks):
        return {sink.name: sink.stage.done for sink in sinks if sink.stage.done}
    waiting = [sink for sink in sinks if not sink.stage.done]
    if len(waiting) < len(sinks):
        inlet.sieves.hold()
    passage = inlet.passage(segment, sinks[0].stage)
    _pump(rows if passage is None else passage, waiting, cancelled)
    if cancelled():
        raise Cancelled("The run was cancelled; nothing of it has landed.")
    inlet.sieves.tell()
    return {sink.name: _placed(sink.name, sink.commit) for sink in sinks}


def _check_tags(job: Job, flow: Flow, segment: Segment, columns: list[str]) -> None:
    """Refuse columns that a destination does not take, now that it is known which there are."""
    named = steps(flow)
    parsed = {name: parse_definition(body) for name, body in job.connections.items()}
    connections = {name: each for name, each in parsed.items() if isinstance(each, Connection)}
    facts = lineage.trace(flow, connections.get)[segment.source]
    for name in segment.writes:
        target = connections.get(getattr(named[name], "connection", ""))
        if target is not None:
            _placed(name, lambda target=target: lineage.check_rows(facts, columns, target, job.guarded))  # type: ignore[misc]


def _settled(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Look for a first row. When there is none, types that were never seen must not contradict those of a target."""
    import pyarrow as pa

    for batch in rows:
        if batch.num_rows:
            return pa.RecordBatchReader.from_batches(rows.schema, chain([batch], rows))
    return pa.RecordBatchReader.from_batches(opened(rows.schema), [])


def _open(job: Job, inlet: Inlet, step: Writing, name: str, schema: pa.Schema, stack: ExitStack) -> Stage:
    session = inlet.session(step.connection)
    item = inlet.item(step.item, name)
    marker = Marker(job.run, name)
    stage: AbstractContextManager[Stage]
    seal = seals_of(step)
    if isinstance(session, WritesRows) and seal is None:
        from sluicegate.kit.mode import Append

        stage = session.stage(item, schema, getattr(step, "mode", None) or Append(), marker, _target(inlet, step))
    elif isinstance(session, WritesFiles):
        if isinstance(seal, Zip):
            inlet.say("Names stand readable in a ZIP file; what is in the file does not.", step=name)
        stage = open_outlet(session, step, item, schema, marker, inlet.keys, inlet.origin)
    else:
        takes = "files" if seal is not None else "rows"
        raise Invalid(f"the connection {step.connection!r} does not take {takes}")
    return stack.enter_context(stage)


def _target(inlet: Inlet, step: Writing) -> Target:
    """Return what the step says about its target, with the keys of its source when they are to be copied."""
    said = target_of(step)
    return said._replace(keys=inlet.keys_of(step.from_)) if said.table.copies else said


def _pump(rows: Iterable[pa.RecordBatch | Parcel], sinks: list[Sink], cancelled: Callable[[], bool]) -> None:
    for sink in sinks:
        sink.start()
    try:
        for batch in rows:
            if cancelled():
                raise Cancelled("The run was cancelled; nothing of it has landed.")
            if batch.num_rows == 0:
                continue
            for sink in sinks:
                sink.put(batch)
        for sink in sinks:
            sink.finish()
    except Stopped:
        for sink in sinks:
            sink.stop()
        for sink in sinks:
            sink.check()
        raise
    except BaseException:
        for sink in sinks:
            sink.stop()
        raise


class Sink:
    """One writing step: a thread of its own behind a queue of bounded bytes."""

    def __init__(self, name: str, stage: Stage, count: Count) -> None:
        """Stage rows into ``stage``."""
        self.name = name
        self.stage = stage
        self._count = count
        self._queue = Conveyor(_QUEUE_BYTES)
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"sink-{name}", daemon=True)

    def start(self) -> None:
        """Begin to take batches."""
        self._thread.start()

    def put(self, batch: pa.RecordBatch | Parcel) -> None:
        """Hand over a batch; waits while the queue is full."""
        self._queue.put(batch)

    def finish(self) -> None:
        """Wait until all is staged; raises what went wrong there."""
        self._queue.close()
        self._thread.join()
        self.check()

    def stop(self) -> None:
        """Give up and wait for the thread."""
        self._queue.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what went wrong in the thread."""
        if self._fault is not None and not isinstance(self._fault, Stopped):
            raise _at(self._fault, self.name)

    def commit(self) -> Receipt:
        """Commit, and reconcile what the destination confirms with what was handed over."""
        if self.stage.done:
            return self.stage.done
        receipt = self.stage.commit()
        if receipt.rows != self._count.rows:
            raise Failed(
                f"the destination confirms {receipt.rows} rows, but {self._count.rows} were sent",
                hint="The source and the target do not reconcile: look at the target before the next run.",
            )
        self._count.bytes = receipt.bytes or self._count.bytes
        return receipt

    def _work(self) -> None:
        try:
            for batch in self._queue:
                self.stage.write(batch)
                self._count.rows += batch.num_rows
                self._count.bytes += batch.nbytes
        except BaseException as fault:  # noqa: BLE001 - handed to the main thread
            self._fault = fault
            self._queue.stop()


def _at(fault: BaseException, name: str) -> BaseException:
    import errno

    if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace("The disk is full.", where=f"step {name}", hint="Free some space and run the flow again.")
    if isinstance(fault, SluiceError):
        if not fault.where.startswith("step "):
            fault.where = f"step {name}" + (f", {fault.where}" if fault.where else "")
        return fault
    return fault


def _placed(name: str, do: Callable[[], Any]) -> Any:
    try:
        return do()
    except (SluiceError, OSError) as fault:
        raise _at(fault, name) from None


def preview(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Return the first rows of a step as JSON values, within bounds of bytes; ``cut`` says what was left out.

    Nothing is written.
    """
    from sluicegate.kit.types import to_name

    flow = read_flow(job)
    limit = int(job.ask["limit"])
    with Meter(report) as meter, Inlet(job, flow, meter, report, cancelled, limit=limit) as inlet:
        rows = inlet.pull(str(job.ask["step"]))
        found: list[list[Any]] = []
        spent, cut = 0, []
        for batch in _first(rows, limit):
            texts = [[_bounded(_shown(value)) for value in batch.to_pylist()[0].values()]]
            spent += sum(len(json.dumps(value)) for value in texts[0])
            if spent > _PREVIEW_MAX:
                cut.append(f"Only {len(found)} rows are shown: more would take over {_PREVIEW_MAX >> 20} MiB.")
                break
            found += texts
        if any(isinstance(value, str) and value.endswith(_CUT) for row in found for value in row):
            cut.insert(0, f"Values of more than {_VALUE_MAX} characters are cut.")
        columns = {field.name: to_name(field.type) for field in rows.schema}
        return {"columns": columns, "rows": found, "cut": " ".join(cut)}


def _first(rows: pa.RecordBatchReader, limit: int) -> Iterator[pa.RecordBatch]:
    """Yield the first rows, one at a time."""
    for batch in rows:
        for row in range(min(batch.num_rows, limit)):
            yield batch.slice(row, 1)
        limit -= batch.num_rows
        if limit <= 0:
            return


_EXACT = 1 << 53
_VALUE_MAX = 16 << 10
_PREVIEW_MAX = 4 << 20
_CUT = " … (cut)"


def _bounded(value: object) -> object:
    text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else ""
    return text[:_VALUE_MAX] + _CUT if len(text) > _VALUE_MAX else value


def _shown(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124 - NaN
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return str(value)


def explore(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Test a connection, or list its items."""
    name = str(job.ask["connection"])
    flow = Flow(name="explore", steps=())
    with Meter(report) as meter, Inlet(job, flow, meter, report, cancelled) as inlet:
        session = inlet.session(name)
        if job.what == "test":
            return {"answer": session.test()}
        found = []
        for entry in session.items(str(job.ask.get("under", ""))):
            found.append({"name": entry.name, "type": entry.type, "bytes": entry.bytes, "rows": entry.rows})
            if len(found) >= _ITEMS_MAX:
                break
        return {"items": found}


_ITEMS_MAX = 5000
