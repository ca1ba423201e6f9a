"""The jail: a fresh child process for one SQL program over streams of rows. No network, no secrets, no files.

Full tier: bubblewrap (own user, pid, network, mount, ipc, uts and cgroup namespaces; only the interpreter, two packages
and the C libraries, read-only), inside it rlimits, no capabilities, Landlock, seccomp (``confine.py``, ``jailed.py``).
Fallback tier, only by explicit setting: the same without the namespaces. A layer that is missing is an error.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sluicegate.base.errors import Failed, SluiceError
from sluicegate.engine.cell import BOOT, Cell
from sluicegate.engine.program import USUAL, Bounds, Program, encode

if TYPE_CHECKING:
    import pyarrow as pa

_SLOW = 5.0  # seconds: a source that does not give its next batch sooner is left to end by itself


class Jail:
    """One cell and the program it runs. A context manager: leaving it ends the child."""

    def __init__(self, cell: Cell) -> None:
        """Take over ``cell``; ``start`` is the way to call this."""
        self.cell = cell
        self._feeders: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        """The process the operating system accounts the work to, once it stands."""
        return self.cell.pid

    @contextlib.contextmanager
    def run(self, program: Program, *, cancelled: Callable[[], bool] = lambda: False) -> Iterator[pa.RecordBatchReader]:
        """Run ``program`` and hand out its rows; leaving the context ends the child, read to the end or not.

        The reader raises ``DataError``, ``UnknownColumn``, ``Failed`` or ``Cancelled`` placed at ``program.where``, and
        what an input raised, unchanged. It never ends early without an error. Nobody else reads the inputs meanwhile.
        """
        import pyarrow as pa

        def rows() -> Iterator[pa.RecordBatch]:
            count = 0
            with self._placed(program.where):
                try:
                    for batch in stream:
                        count += batch.num_rows
                        yield batch
                except (pa.ArrowInvalid, OSError):  # cut off between two messages or within one: the child tells why
                    self.cell.told("", cancelled)
                told = self.cell.told("ok", cancelled)
                self.cell.check()
                if told != count:
                    raise Failed(f"gave {count} of {told} rows")

        with self:
            with self._placed(program.where):
                stream = self._begin(program, cancelled)
            yield pa.RecordBatchReader.from_batches(stream.schema, rows())

    def _begin(self, program: Program, cancelled: Callable[[], bool]) -> pa.RecordBatchReader:
        """Hand the program and its inputs to the child; return its stream once the schema is there."""
        import pyarrow as pa

        params = {name: encode(name, value, program.where) for name, value in program.params.items()}
        self.cell.stand(cancelled)
        inlets = self.cell.inlets(len(program.inputs))
        self.cell.limit()
        for number, source in zip(inlets, program.inputs.values(), strict=True):
            self._feeders.append(threading.Thread(target=self._feed, args=(number, source), daemon=True))
            self._feeders[-1].start()
        job = {"sql": program.sql, "types": program.types, "params": params, "inputs": list(program.inputs)}
        self.cell.send(job)
        if program.types:
            told = base64.b64decode(self.cell.told("types", cancelled))
            program.judge(pa.ipc.read_schema(pa.py_buffer(told)))
        try:
            return pa.ipc.open_stream(io.BufferedReader(self.cell.output(cancelled), 1 << 16))
        except (pa.ArrowInvalid, OSError):  # not even a schema: the child tells why
            self.cell.told("", cancelled)
            raise

    def _feed(self, number: int, rows: pa.RecordBatchReader) -> None:
        """Write ``rows`` to a pipe. An error of the rows ends the run and is kept; one of the pipe is the child's."""
        import pyarrow as pa

        with (
            contextlib.suppress(OSError),
            os.fdopen(number, "wb") as pipe,
            pa.ipc.new_stream(pipe, rows.schema) as sink,
        ):
            while True:
                try:
                    batch = rows.read_next_batch()
                except StopIteration:
                    break
                except BaseException as fault:  # noqa: BLE001 - raised again, unchanged, where the rows are read
                    self.cell.fault = fault
                    self.cell.kill()
                    return
                sink.write_batch(batch)

    @contextlib.contextmanager
    def _placed(self, where: str) -> Iterator[None]:
        try:
            yield
        except SluiceError as fault:
            if fault is not self.cell.fault:
                fault.at(where)
            raise

    def attack(self, canary: str) -> dict[str, bool]:
        """Have the child try to break out (SEC-S06); return way → refused. ``canary`` is a file it must not read."""
        self.cell.stand()
        self.cell.send({"probe": {"file": canary, "pid": os.getpid()}})
        tried: dict[str, bool] = self.cell.told("probe", lambda: False, time.monotonic() + BOOT)
        return tried

    def close(self) -> None:
        """End the child, wait until it is gone, let go of the inputs. May be called twice."""
        self.cell.close()
        for feeder in self._feeders:
            feeder.join(_SLOW)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(bounds: Bounds = USUAL, *, fallback: bool = False, inputs: int = 1) -> Jail:
    """Boot a jail for a program with up to ``inputs`` inputs that is not known yet. Returns at once.

    Raises ``JailUnavailable`` when bubblewrap is missing and ``fallback`` does not allow the tier without namespaces.
    """
    return Jail(Cell(bounds, fallback=fallback, inputs=inputs))


@contextlib.contextmanager
def _run(
    program: Program, bounds: Bounds, fallback: bool, cancelled: Callable[[], bool]
) -> Iterator[pa.RecordBatchReader]:
    with (
        start(bounds, fallback=fallback, inputs=len(program.inputs)) as jail,
        jail.run(program, cancelled=cancelled) as rows,
    ):
        yield rows


def run(
    program: Program,
    *,
    bounds: Bounds = USUAL,
    fallback: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> AbstractContextManager[pa.RecordBatchReader]:
    """Run ``program`` in a fresh jail; see ``Jail.run`` for what the reader raises and ``start`` for ``fallback``."""
    return _run(program, bounds, fallback, cancelled)
