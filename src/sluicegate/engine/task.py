"""A child process that moves rows: started for one run, told its job over a pipe, may crash alone.

The job (with its secrets) goes in on one inherited descriptor, never through arguments or environment; orders follow
it; events come back on another. All are JSON, framed by length. When the server dies, the kernel ends the child.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Self

from sluicegate.base import memory
from sluicegate.base.errors import Cancelled, Failed, Internal, SluiceError, TooLarge, rebuild
from sluicegate.base.log import Log, trace
from sluicegate.base.model import new_id
from sluicegate.engine import frame
from sluicegate.engine.drain import Drain
from sluicegate.engine.job import Job
from sluicegate.engine.meter import Report
from sluicegate.kit.paths import Root

_SOURCE = Path(__file__).resolve().parents[2]
_GRACE = 10.0
_JOB_MAX = 1 << 30
_LOG_PART = 1800  # letters that one line of the log takes
_PR_SET_PDEATHSIG = 1
KEPT = frozenset({"watermark"})
"""Events after which a task waits until the server has kept them."""


class Task:
    """One child, seen from the server."""

    def __init__(self, job: Job, report: Report, log: Log | None = None, temp: Path | None = None) -> None:
        """Start the child and hand it ``job``. ``report`` gets its events, in the thread that calls ``do``.

        ``log`` gets what the child writes to its standard error, without the job's secrets. Its temporary files lie in
        a folder of its own beneath ``temp``: drivers make some, and a child that is killed cannot remove them.
        """
        self._report, self._log = report, log or Log()
        self._name = job.run or new_id()  # what the log has of this task is under this name
        self._lock = threading.Lock()
        self._temp = Path(tempfile.mkdtemp(prefix="task-", dir=temp))
        self._places = [each for each in (job.root, job.quarantine_folder) if each is not None]
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
                    "TMPDIR": str(self._temp),
                },
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(orders_out)
            os.close(events_in)
            shutil.rmtree(self._temp, ignore_errors=True)
            raise
        finally:
            os.close(orders_in)
            os.close(events_out)
        self._orders = os.fdopen(orders_out, "wb")
        self._events = os.fdopen(events_in, "rb")
        self._drain = Drain(self._child.stderr, [*job.secrets.values(), *job.keys.values()])  # type: ignore[arg-type] # it is piped
        self._said: str | None = None
        try:
            self._send(job.pack(), _JOB_MAX)
        except BaseException:
            self.close()
            raise

    def do(self, order: str) -> dict[str, Any]:
        """Give one order (the name of a segment, or what the job asks) and return its answer.

        Raises the child's own ``SluiceError``, ``Cancelled``, or ``Failed`` when the child died.
        """
        self._send(json.dumps(order).encode())
        while (message := self._take()) is not None:
            kind, body = json.loads(message)
            if kind == "answer":
                answer: dict[str, Any] = body
                return answer
            if kind == "fault":
                fault = rebuild(body)
                raise self._told() if isinstance(fault, Internal) else fault
            self._report(kind, body)
            if kind in KEPT:
                self._send(json.dumps(kind).encode())
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
        self._hear()
        shutil.rmtree(self._temp, ignore_errors=True)
        if self._child.returncode:
            self._tidy()

    def _tidy(self) -> None:
        """Remove the drafts that a child which could not do it itself has left."""
        for place in self._places:
            if not place.is_dir():
                continue
            try:
                with Root(place) as root:
                    root.sweep()
            except (SluiceError, OSError) as fault:  # the next start of the server tries again
                self._log("What a task has left could not be removed.", level="error", run=self._name,
                          error=type(fault).__name__)  # fmt: skip

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the child."""
        self.close()

    def _send(self, message: bytes, most: int = frame.FRAME_MAX) -> None:
        try:
            frame.send(self._orders, message, most)
        except BrokenPipeError:
            raise self._died() from None

    def _take(self) -> bytes | None:
        try:
            return frame.take(self._events)
        except TooLarge:  # no task of ours says that: it is not itself any more
            self._kill()
            raise

    def _hear(self) -> str:
        """Write what the child has said into the log, once, when it is gone; return it."""
        if self._said is None:
            self._said = self._drain.text()
            for start in range(0, len(self._said), _LOG_PART):
                part = self._said[start : start + _LOG_PART]
                self._log("A task wrote to its standard error.", level="warning", run=self._name, trace=part)
        return self._said

    def _told(self) -> Internal:
        return Internal(hint=f"The server's log has it under {self._name}.")

    def _kill(self) -> None:
        with self._lock:
            if self._child.poll() is None:
                self._child.kill()

    def _died(self) -> SluiceError:
        try:
            self._child.wait(_GRACE)
        except subprocess.TimeoutExpired:  # it has closed its pipes and lives on
            self._kill()
            self._child.wait()
        code = self._child.returncode
        if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
            return Cancelled("The run was cancelled; nothing of it has landed.")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        more = f" The server's log has more under {self._name}." if self._hear() else ""
        return Failed(
            f"The task process ended by itself ({how}).",
            hint=f"Nothing that was not committed has landed; run it again.{more}",
        )


# -- in the child ------------------------------------------------------------------------------------------------------


def settle() -> None:
    """Die with the parent, leave no core, let nobody look into the memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    memory.close()


def _serve(orders: BinaryIO, events: BinaryIO) -> None:
    packed = frame.take(orders, _JOB_MAX)
    if packed is None:
        return
    job = Job.unpack(packed)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    lock = threading.Lock()

    def report(kind: str, body: dict[str, Any]) -> None:
        message = json.dumps([kind, body], default=str).encode()
        with lock:
            frame.send(events, message)
        if kind in KEPT and frame.take(orders) is None:
            raise Cancelled("The server has gone; nothing of the run has landed.")

    while (order := frame.take(orders)) is not None:
        try:
            report("answer", _answer(job, json.loads(order), report, stop.is_set))
        except SluiceError as fault:
            report(
                "fault",
                Cancelled("The run was cancelled; nothing of it has landed.").problem()
                if stop.is_set()
                else fault.problem(),
            )
        except MemoryError:
            report("fault", Failed("The task ran out of memory.").problem())
        except Exception as fault:  # noqa: BLE001 - the last door of the process: told by name, and it ends
            sys.stderr.write(trace(fault))
            report("fault", Internal().problem())
            raise SystemExit(1) from None


def _answer(job: Job, order: str, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    from sluicegate.engine import stage

    if job.what == "run":
        return stage.execute(job, order, report, cancelled)
    if job.what == "preview":
        return stage.preview(job, report, cancelled)
    if job.what == "explain":
        from sluicegate.engine import explanation

        return explanation.explain(job, report, cancelled)
    if job.what == "detect":
        from sluicegate.engine import detection

        return detection.detect(job, report, cancelled)
    if job.what in ("verify", "reseal"):
        from sluicegate.engine import resealing

        return (resealing.verify if job.what == "verify" else resealing.reseal)(job, report, cancelled)
    return stage.explore(job, report, cancelled)


def main() -> None:
    """Serve the two descriptors named in the arguments."""
    settle()
    with os.fdopen(int(sys.argv[1]), "rb") as orders, os.fdopen(int(sys.argv[2]), "wb") as events:
        _serve(orders, events)


if __name__ == "__main__":
    main()
