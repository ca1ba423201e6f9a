"""A child process that moves rows: started for one run, told its job over a pipe, may crash alone.

The job (with its secrets) goes in on one inherited descriptor, never through arguments or environment; orders follow
it, a line each; events come back on another, a JSON line each. When the server dies, the kernel ends the child.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Self

from sluicegate.base.errors import Cancelled, Failed, SluiceError, rebuild
from sluicegate.engine.job import Job
from sluicegate.engine.meter import Report

_SOURCE = Path(__file__).resolve().parents[2]
_GRACE = 10.0
_LINE_MAX = 16 << 20
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


class Task:
    """One child, seen from the server."""

    def __init__(self, job: Job, report: Report) -> None:
        """Start the child and hand it ``job``. ``report`` gets its events, in the thread that calls ``do``."""
        self._report = report
        self._lock = threading.Lock()
        orders_in, orders_out = os.pipe()
        events_in, events_out = os.pipe()
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-s", "-P", "-m", "sluicegate.engine.task", str(orders_in), str(events_out)],
                pass_fds=(orders_in, events_out),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={
                    "PYTHONPATH": str(_SOURCE),
                    "LANG": "C.UTF-8",
                    "PATH": os.defpath,
                    "ARROW_DEFAULT_MEMORY_POOL": "system",
                },
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(orders_out)
            os.close(events_in)
            raise
        finally:
            os.close(orders_in)
            os.close(events_out)
        self._orders = os.fdopen(orders_out, "wb")
        self._events = os.fdopen(events_in, "rb")
        packed = job.pack()
        self._send(len(packed).to_bytes(8, "big") + packed)

    def do(self, order: str) -> dict[str, Any]:
        """Give one order (the name of a segment, or what the job asks) and return its answer.

        Raises the child's own ``SluiceError``, ``Cancelled``, or ``Failed`` when the child died.
        """
        self._send(json.dumps(order).encode() + b"\n")
        while line := self._events.readline(_LINE_MAX):
            kind, body = json.loads(line)
            if kind == "answer":
                answer: dict[str, Any] = body
                return answer
            if kind == "fault":
                raise rebuild(body)
            self._report(kind, body)
        raise self._died()

    def cancel(self) -> None:
        """Ask the child to stop; it is ended when it does not within ten seconds."""
        with self._lock:
            if self._child.poll() is None:
                self._child.send_signal(signal.SIGTERM)
                timer = threading.Timer(_GRACE, self._kill)
                timer.daemon = True
                timer.start()

    def close(self) -> None:
        """End the child and wait for it."""
        for pipe in (self._orders, self._events):
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        try:
            self._child.wait(1)
        except subprocess.TimeoutExpired:
            self._kill()
            self._child.wait()
        if self._child.stderr:
            self._child.stderr.close()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the child."""
        self.close()

    def _send(self, raw: bytes) -> None:
        try:
            self._orders.write(raw)
            self._orders.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _kill(self) -> None:
        with self._lock:
            if self._child.poll() is None:
                self._child.kill()

    def _died(self) -> SluiceError:
        self._child.wait()
        code = self._child.returncode
        if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
            return Cancelled("The run was cancelled; nothing of it has landed.")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        said = (
            self._child.stderr.read().decode(errors="replace").strip().splitlines()[-1:] if self._child.stderr else []
        )
        kind = said[0].partition(":")[0][:100] if said else ""
        return Failed(
            f"The task process ended by itself ({how}{', ' + kind if kind else ''}).",
            hint="Nothing that was not committed has landed; run it again.",
        )


# -- in the child ------------------------------------------------------------------------------------------------------


def _settle() -> None:
    """Die with the parent, leave no core, let nobody look into the memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve(orders: BinaryIO, events: BinaryIO) -> None:
    size = int.from_bytes(orders.read(8), "big")
    job = Job.unpack(orders.read(size))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    lock = threading.Lock()

    def report(kind: str, body: dict[str, Any]) -> None:
        line = json.dumps([kind, body], default=str).encode() + b"\n"
        with lock:
            events.write(line)
            events.flush()

    for line in orders:
        try:
            report("answer", _answer(job, json.loads(line), report, stop.is_set))
        except SluiceError as fault:
            report(
                "fault",
                Cancelled("The run was cancelled; nothing of it has landed.").problem()
                if stop.is_set()
                else fault.problem(),
            )
        except MemoryError:
            report("fault", Failed("The task ran out of memory.").problem())
        except Exception as fault:
            report(
                "fault",
                Failed(
                    f"The task failed unexpectedly: {type(fault).__name__}.", hint="The server's log has more."
                ).problem(),
            )
            raise


def _answer(job: Job, order: str, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    from sluicegate.engine import stage

    if job.what == "run":
        return stage.execute(job, order, report, cancelled)
    if job.what == "preview":
        return stage.preview(job, report, cancelled)
    return stage.explore(job, report, cancelled)


def main() -> None:
    """Serve the two descriptors named in the arguments."""
    _settle()
    with os.fdopen(int(sys.argv[1]), "rb") as orders, os.fdopen(int(sys.argv[2]), "wb") as events:
        _serve(orders, events)


if __name__ == "__main__":
    main()
