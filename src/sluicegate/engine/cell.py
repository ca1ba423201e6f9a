"""The child process of a jail, from its boot to its end: its walls, its pipes, its words, its death.

Beside ``task.py`` the only place that starts a process. It knows nothing of SQL or rows: ``jail.py`` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import json
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluicegate.base.errors import Cancelled, DataError, Failed, JailUnavailable, SluiceError, UnknownColumn
from sluicegate.engine import confine
from sluicegate.engine.program import Bounds

SPILL_BYTES = 2 << 30
"""What one jail may spill beyond its memory limit, at most; a quarter of the free memory when that is less.

It goes to a tmpfs that only the jail has mounted, never to a disk: DuckDB 1.5.5 encrypts temporary files only with a
crypto library that is not part of it. In the fallback tier there is no such mount, and nothing is spilled.
"""
BOOT = 20.0
"""Seconds in which a jail must stand."""
_HERE = Path(__file__).parent
_PROGRAM, _CONFINE = _HERE / "jailed.py", _HERE / "confine.py"
_PIPE = 1 << 20
_BLINK = 0.1  # seconds between two looks at ``cancelled``
_TICK = 0.5  # seconds: the kernel looks at the limit now and then, and counts what it charges apart
_LAST = 10_000  # milliseconds in which the kernel takes apart what was killed; a loaded machine takes its time
_HINT_BWRAP = "Install the Debian package bubblewrap: apt-get install bubblewrap"
_HINT_FALLBACK = "or allow the weaker tier without namespaces in the settings (jail.fallback)."
_KINDS: dict[str, type[SluiceError]] = {
    "data": DataError, "unknown_column": UnknownColumn, "jail_unavailable": JailUnavailable,
}  # fmt: skip


def find_bwrap() -> str | None:
    """Return the path of bubblewrap, when it is here."""
    return shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin") or shutil.which("bwrap")


@functools.cache
def has_spaces(bwrap: str) -> bool:
    """Tell whether this machine lets us make namespaces at all."""
    command = [bwrap, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--", "true"]
    tried = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=BOOT, check=False)  # noqa: S603 - fixed words
    return tried.returncode == 0


def _paths() -> tuple[str, ...]:
    try:
        return confine.trees()[0]
    except OSError as fault:
        hint = "Install Python and Sluicegate where the user they run as can read them."
        raise JailUnavailable(fault.strerror or str(fault), hint=hint) from None


def _spill_bytes() -> int:
    """Return how much one jail may spill: to memory of its own mount, so never more than a part of what is free."""
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - a kernel file
        free = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
    return min(SPILL_BYTES, free // 4)


class Cell:
    """One child process with its pipes; it is given one job.

    The child is tied to the thread that started it (``PR_SET_PDEATHSIG``): that thread must outlive it.
    """

    def __init__(self, bounds: Bounds, *, fallback: bool, inputs: int) -> None:
        """Boot the child; returns at once. ``JailUnavailable`` without bubblewrap, unless ``fallback`` allows it."""
        self.bounds = bounds
        self.layers: dict[str, Any] = {}
        """What the child says of its walls, once it stands."""
        self.pid = 0
        """The process the operating system accounts the work to, once it stands."""
        self.fault: BaseException | None = None
        """What ended the run from our side; it wins over what the child says of its death."""
        self._late = False
        self._lines, self._printed, self._taken, self._used = b"", b"", 0, 0.0
        self._inner: int | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._ours: set[int] = set()
        bwrap = find_bwrap()
        if bwrap is None and not fallback:
            hint = f"{_HINT_BWRAP}, {_HINT_FALLBACK}"
            raise JailUnavailable("user text needs bubblewrap, which is not here", hint=hint)
        self.full = bwrap is not None and (not fallback or has_spaces(bwrap))
        search = _paths()
        theirs: list[int] = []
        try:
            self.child = self._boot(bwrap if self.full else None, search, inputs, theirs)
        except BaseException:
            for end in self._ours:
                os.close(end)
            raise
        finally:
            for end in theirs:
                os.close(end)

    def _pipe(self, theirs: list[int], *, inward: bool = False, size: int = 0) -> tuple[int, int]:
        """Make a pipe and return (our end, the child's end)."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        own, other = (writing, reading) if inward else (reading, writing)
        self._ours.add(own)
        theirs.append(other)
        if size:
            with contextlib.suppress(OSError):  # over the user's allowance: slower, not wrong
                fcntl.fcntl(own, fcntl.F_SETPIPE_SZ, size)
        return own, other

    def _boot(
        self, bwrap: str | None, search: tuple[str, ...], inputs: int, theirs: list[int]
    ) -> subprocess.Popen[bytes]:
        self._control, control = self._pipe(theirs)
        self._noise, noise = self._pipe(theirs)
        self._output, output = self._pipe(theirs, size=_PIPE)
        self._job, job = self._pipe(theirs, inward=True)
        inlets = [self._pipe(theirs, inward=True, size=_PIPE) for _ in range(inputs)]
        self._inlets = [own for own, _ in inlets]
        passed = [control, output, job, *(other for _, other in inlets)]
        spill = _spill_bytes() if bwrap else 0
        asked = {
            "control": control, "output": output, "job": job, "inputs": passed[3:], "path": search,
            "memory_mb": self.bounds.memory_mb, "cpu_seconds": self.bounds.cpu_seconds, "files": self.bounds.files,
            "processes": self.bounds.processes, "spill_bytes": spill, "spill": confine.SPILL if bwrap else "",
            "parent": None if bwrap else os.getpid(), "environ": list(confine.environment()),
        }  # fmt: skip
        command = [confine.interpreter(), "-I", "-S", "-B", "-X", "utf8", str(_PROGRAM), json.dumps(asked)]
        if bwrap:
            self._info, info = self._pipe(theirs)
            passed.append(info)
            command[-2] = f"{confine.INSIDE}/{_PROGRAM.name}"
            command[:0] = confine.wrapped(bwrap, spill, info, (str(_PROGRAM), str(_CONFINE)))
        return subprocess.Popen(  # noqa: S603 - fixed words, numbers and our own paths; never user text
            command, stdin=subprocess.DEVNULL, stdout=noise, stderr=noise, env=confine.environment(), cwd="/",
            pass_fds=passed, process_group=0,
        )  # fmt: skip

    # -- what the child says -------------------------------------------------------------------------------------------

    def _look(self, wanted: int | None, cancelled: Callable[[], bool]) -> bool:
        """Wait a blink; take in what the child says; return whether ``wanted`` can be read. Raises what went wrong."""
        if cancelled():
            raise Cancelled("The run was cancelled.")
        self.check()
        poll = select.poll()
        for number in {wanted, self._control, self._noise} & self._ours:
            poll.register(number, select.POLLIN)  # type: ignore[arg-type] # None is not among ours
        ready = [number for number, _ in poll.poll(_BLINK * 1000)]
        for number in ready:
            if number != wanted:
                text = os.read(number, 65536)
                if not text:
                    self._drop(number)
                elif number == self._control:
                    self._lines += text
                else:
                    self._printed += text
        if len(self._printed) > self.bounds.stdout_bytes or len(self._lines) > _PIPE:
            raise Failed(f"printed more than the {self.bounds.stdout_bytes} bytes it may")
        return wanted in ready

    def check(self) -> None:
        """Raise what ended the run from our side, if anything did."""
        if self.fault is not None:
            raise self.fault
        if self._late:
            raise Failed(f"took longer than the {self.bounds.seconds:g} s it may")

    def told(self, key: str, cancelled: Callable[[], bool], until: float | None = None) -> Any:
        """Wait for the line with ``key`` and return its value. Raises the error the child tells, or why it died."""
        while True:
            while b"\n" in self._lines:
                line, self._lines = self._lines.split(b"\n", 1)
                told = json.loads(line)
                if key in told:
                    return told[key]
                if "error" in told:
                    self.check()
                    raise self._error(**told["error"])
            if self._control not in self._ours:
                raise self._death()
            if until is not None and time.monotonic() > until:
                raise JailUnavailable(f"did not stand within {BOOT:g} s")
            self._look(None, cancelled)

    def _error(self, kind: str, message: str) -> SluiceError:
        if kind == "jail_unavailable":
            return JailUnavailable(
                f"a layer is missing: {message}", hint="See the security page for what a jail needs."
            )
        hint = "Give the step more memory, or fewer rows at once." if kind == "memory" else ""
        return _KINDS.get(kind, Failed)(message, hint=hint)

    def _death(self) -> SluiceError:
        """Return why the child ended without a word."""
        self.check()
        used = self._reap(1.0)
        while self._noise in self._ours:  # the child is gone, so this comes to an end
            self._look(None, lambda: False)
        said = " ".join(self._printed.decode(errors="replace").split())[-200:]
        if not self.layers:
            if said.startswith("bwrap:"):
                hint = f"Allow unprivileged user namespaces (sysctl user.max_user_namespaces), {_HINT_FALLBACK}"
                return JailUnavailable(f"namespaces cannot be made ({said})", hint=hint)
            return JailUnavailable(f"the jail did not start ({said or self.child.returncode})")
        if used >= self.bounds.cpu_seconds - _TICK:
            return Failed(f"used more than the {self.bounds.cpu_seconds} s of processor time it may")
        return Failed(f"ended unexpectedly ({self.child.returncode}{': ' if said else ''}{said})")

    # -- its job -------------------------------------------------------------------------------------------------------

    def stand(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Wait until every wall stands. ``JailUnavailable`` names the one that does not."""
        layers = self.told("ready", cancelled, time.monotonic() + BOOT)
        wanted = ("landlock", "seccomp", "rlimits", *(("userns", "netns", "pidns") if self.full else ()))
        if missing := [name for name in wanted if not layers.get(name)]:
            raise JailUnavailable(f"a layer is missing: {', '.join(missing)}")
        self.layers = layers
        self.pid = json.loads(os.read(self._info, 4096))["child-pid"] if self.full else self.child.pid
        with contextlib.suppress(OSError):  # gone already, or not offered: then the end is seen by its pipe alone
            self._inner = os.pidfd_open(self.pid)
            self._ours.add(self._inner)

    def limit(self) -> None:
        """Start the clock: after ``bounds.seconds`` the child is ended, and ``check`` says why."""
        self._timer = threading.Timer(self.bounds.seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def send(self, job: dict[str, Any]) -> None:
        """Hand over the one job."""
        self._ours.discard(self._job)
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._job, "wb") as pipe:  # its death is told elsewhere
            pipe.write(json.dumps(job).encode())

    def inlets(self, wanted: int) -> list[int]:
        """Give the writing ends of the first ``wanted`` inputs away: whoever takes them closes them."""
        if wanted > len(self._inlets):
            raise Failed(f"has {wanted} inputs, the jail was started for {len(self._inlets)}")
        given, self._inlets = self._inlets[:wanted], self._inlets[wanted:]
        self._ours -= set(given)
        return given

    def output(self, cancelled: Callable[[], bool]) -> io.RawIOBase:
        """Return what the child writes as a file whose reads raise what goes wrong meanwhile."""
        return _Output(self, cancelled)

    def take(self, buffer: memoryview, cancelled: Callable[[], bool]) -> int:
        """Fill ``buffer`` with what the child has written; 0 at the end."""
        while self._output in self._ours:
            if self._look(self._output, cancelled):
                count = os.readv(self._output, [buffer])
                self._taken += count
                if self._taken > self.bounds.output_bytes:
                    raise Failed(f"gave more than the {self.bounds.output_bytes} bytes it may")
                if not count:
                    self._drop(self._output)
                return count
        return 0

    # -- the end -------------------------------------------------------------------------------------------------------

    def _drop(self, number: int) -> None:
        self._ours.discard(number)
        os.close(number)

    def _expire(self) -> None:
        self._late = True
        self.kill()

    def kill(self) -> None:
        """End the child, and with it all that runs in its namespaces. Any thread may call it, at any time."""
        with self._lock:
            if self.child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.child.pid, signal.SIGKILL)

    def _reap(self, grace: float) -> float:
        """Wait ``grace`` seconds for the child to end by itself, then end it; return the processor time it took."""
        until = time.monotonic() + grace
        while self.child.returncode is None:
            late = time.monotonic() >= until
            if late:
                self.kill()
            with self._lock:
                pid, status, usage = os.wait4(self.child.pid, 0 if late else os.WNOHANG)
                if pid:
                    self.child.returncode = os.waitstatus_to_exitcode(status)
                    self._used = usage.ru_utime + usage.ru_stime
            if not pid:
                time.sleep(0.005)
        return self._used

    def close(self) -> None:
        """End the child, wait until all that ran in its namespaces is gone, close every pipe. May be called twice."""
        if self._timer:
            self._timer.cancel()
        self._reap(0)
        # The child was bubblewrap; what it started dies with it, but not in the same instant.
        waited = [number for number in (self._control, self._inner) if number in self._ours]
        for number in waited:
            poll = select.poll()
            poll.register(number, select.POLLIN if number == self._inner else 0)
            poll.poll(_LAST)
        for number in tuple(self._ours):
            self._drop(number)


class _Output(io.RawIOBase):
    """The child's output as a file that looks up from time to time."""

    def __init__(self, cell: Cell, cancelled: Callable[[], bool]) -> None:
        self._cell, self._cancelled = cell, cancelled

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._cell.take(buffer, self._cancelled)
