"""The jail: a fresh child process for one SQL program over streams of rows. No network, no secrets, no files.

Full tier: bubblewrap (own user, pid, network, mount, ipc, uts and cgroup namespaces; only the interpreter, two packages
and the C libraries, read-only), inside it rlimits, no capabilities, Landlock, seccomp (``confine.py``, ``jailed.py``).
Fallback tier, only by explicit setting: the same without the namespaces. A layer that is missing is an error.
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
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from sluicegate.base.errors import Cancelled, DataError, Failed, JailUnavailable, SluiceError, UnknownColumn
from sluicegate.base.model import Model
from sluicegate.engine import confine

if TYPE_CHECKING:
    import pyarrow as pa

SPILL_BYTES = 2 << 30
"""What one jail may spill beyond its memory limit, at most; a quarter of the free memory when that is less.

It goes to a tmpfs that only the jail has mounted, never to a disk: DuckDB 1.5.5 encrypts temporary files only with a
crypto library that is not part of it. In the fallback tier there is no such mount, and nothing is spilled.
"""
_HERE = Path(__file__).parent
_PROGRAM, _CONFINE = _HERE / "jailed.py", _HERE / "confine.py"
_PIPE = 1 << 20
_BLINK = 0.1  # seconds between two looks at ``cancelled``
_BOOT = 20.0  # seconds in which a jail must stand
_DIGITS = 38
_TICK = 0.5  # seconds: the kernel looks at the limit now and then, and counts what it charges apart
_HINT_BWRAP = "Install the Debian package bubblewrap: apt-get install bubblewrap"
_HINT_FALLBACK = "or allow the weaker tier without namespaces in the settings (jail.fallback)."
_KINDS: dict[str, type[SluiceError]] = {
    "data": DataError, "unknown_column": UnknownColumn, "jail_unavailable": JailUnavailable,
}  # fmt: skip

Param = str | int | float | bool | None | date | datetime | Decimal


@dataclass(frozen=True)
class Bounds:
    """What one jail may use."""

    memory_mb: int = 192
    """DuckDB's ``memory_limit`` in MiB; the limit on address space is derived from it."""
    seconds: float = 3600
    """By the clock, from the start of the program."""
    cpu_seconds: int = 3600
    output_bytes: int = 1 << 40
    """Of the result, as an Arrow stream."""
    processes: int = 64
    """Threads and processes. The filter allows none to be started; this is the second lock."""
    files: int = 256
    stdout_bytes: int = 65536
    """What the child may print; it has no reason to print anything."""


USUAL = Bounds()


@dataclass(frozen=True)
class Program:
    """One SQL program over named inputs."""

    sql: str
    """One SELECT in the DuckDB dialect, already checked against the caller's allowlist."""
    params: Mapping[str, Param]
    """Bound as ``$name``."""
    inputs: Mapping[str, pa.RecordBatchReader]
    """Table name → rows. Each can be read once: a query that takes one twice must materialise it first."""
    where: str = ""
    """Name of the step, for errors."""


class Level(Model):
    """What the jail is worth on this machine: the result of ``probe``."""

    bwrap: bool
    userns: bool
    landlock: int
    """ABI version; 0 when there is none."""
    seccomp: bool
    rlimits: bool
    ok: bool
    """Whether user text is run at all."""
    missing: tuple[str, ...]
    """Layers that are not there, and attacks that were not refused."""
    tier: Literal["full", "fallback", "none"]


def _encode(name: str, value: Param, where: str) -> list[Any]:
    if value is None or isinstance(value, bool | int | str):
        return ["plain", value]
    if isinstance(value, float):
        return ["float", repr(value)]
    if isinstance(value, Decimal):
        plain = format(value, "f")  # DuckDB 1.5.5 reads 1E+37 as another number
        if not value.is_finite() or sum(letter.isdigit() for letter in plain) > _DIGITS:
            raise DataError(f"the parameter {name!r} is no number of at most {_DIGITS} digits", where=where)
        return ["decimal", plain]
    return ["datetime" if isinstance(value, datetime) else "date", value.isoformat()]


def _paths() -> tuple[str, ...]:
    try:
        return confine.trees()[0]
    except OSError as fault:
        hint = "Install Python and Sluicegate where the user they run as can read them."
        raise JailUnavailable(fault.strerror or str(fault), hint=hint) from None


def _bwrap() -> str | None:
    return shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin") or shutil.which("bwrap")


@functools.cache
def _spaces(bwrap: str) -> bool:
    """Tell whether this machine lets us make namespaces at all."""
    command = [bwrap, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--", "true"]
    tried = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=_BOOT, check=False)  # noqa: S603 - fixed words
    return tried.returncode == 0


def _spill_bytes() -> int:
    """Return how much one jail may spill: to memory of its own mount, so never more than a part of what is free."""
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - a kernel file
        free = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
    return min(SPILL_BYTES, free // 4)


class Jail:
    """One child process, from its boot to its end; it runs one program. A context manager: leaving it ends the child.

    The child is tied to the thread that started it (``PR_SET_PDEATHSIG``): that thread must outlive the run.
    """

    def __init__(self, bounds: Bounds, *, fallback: bool, inputs: int) -> None:
        """Boot the child; ``start`` is the way to call this."""
        self.bounds = bounds
        self.layers: dict[str, Any] = {}
        """What the child says of its walls, once it stands."""
        self.pid = 0
        """The process the operating system accounts the work to, once it stands."""
        self._fault: BaseException | None = None
        self._late = False
        self._lines, self._printed, self._taken, self._used = b"", b"", 0, 0.0
        self._feeders: list[threading.Thread] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._ours: set[int] = set()
        bwrap = _bwrap()
        if bwrap is None and not fallback:
            hint = f"{_HINT_BWRAP}, {_HINT_FALLBACK}"
            raise JailUnavailable("user text needs bubblewrap, which is not here", hint=hint)
        self.full = bwrap is not None and (not fallback or _spaces(bwrap))
        search = _paths()
        theirs: list[int] = []
        try:
            self._child = self._boot(bwrap if self.full else None, search, inputs, theirs)
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
        self._raise_fault()
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

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self._late:
            raise Failed(f"took longer than the {self.bounds.seconds:g} s it may")

    def _told(self, key: str, cancelled: Callable[[], bool], until: float | None = None) -> Any:
        """Wait for the line with ``key`` and return its value. Raises the error the child tells, or why it died."""
        while True:
            while b"\n" in self._lines:
                line, self._lines = self._lines.split(b"\n", 1)
                told = json.loads(line)
                if key in told:
                    return told[key]
                if "error" in told:
                    self._raise_fault()
                    raise self._error(**told["error"])
            if self._control not in self._ours:
                raise self._death()
            if until is not None and time.monotonic() > until:
                raise JailUnavailable(f"did not stand within {_BOOT:g} s")
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
        self._raise_fault()
        used = self._reap(1.0)
        while self._noise in self._ours:  # the child is gone, so this comes to an end
            self._look(None, lambda: False)
        said = " ".join(self._printed.decode(errors="replace").split())[-200:]
        if not self.layers:
            if said.startswith("bwrap:"):
                hint = f"Allow unprivileged user namespaces (sysctl user.max_user_namespaces), {_HINT_FALLBACK}"
                return JailUnavailable(f"namespaces cannot be made ({said})", hint=hint)
            return JailUnavailable(f"the jail did not start ({said or self._child.returncode})")
        if used >= self.bounds.cpu_seconds - _TICK:
            return Failed(f"used more than the {self.bounds.cpu_seconds} s of processor time it may")
        return Failed(f"ended unexpectedly ({self._child.returncode}{': ' if said else ''}{said})")

    # -- a run ---------------------------------------------------------------------------------------------------------

    def _stand(self, cancelled: Callable[[], bool]) -> None:
        """Wait until every wall stands. ``JailUnavailable`` names the one that does not."""
        layers = self._told("ready", cancelled, time.monotonic() + _BOOT)
        wanted = ("landlock", "seccomp", "rlimits", *(("userns", "netns", "pidns") if self.full else ()))
        if missing := [name for name in wanted if not layers.get(name)]:
            raise JailUnavailable(f"a layer is missing: {', '.join(missing)}")
        self.layers = layers
        self.pid = json.loads(os.read(self._info, 4096))["child-pid"] if self.full else self._child.pid

    def _send(self, job: dict[str, Any]) -> None:
        self._ours.discard(self._job)
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._job, "wb") as pipe:  # its death is told elsewhere
            pipe.write(json.dumps(job).encode())

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
                    self._fault = fault
                    self.kill()
                    return
                sink.write_batch(batch)

    def _take(self, buffer: memoryview, cancelled: Callable[[], bool]) -> int:
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

    @contextlib.contextmanager
    def _placed(self, where: str) -> Iterator[None]:
        try:
            yield
        except SluiceError as fault:
            if fault is not self._fault:
                fault.at(where)
            raise

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
                except pa.ArrowInvalid:  # cut off: the child tells why, or has died
                    self._told("", cancelled)
                told = self._told("ok", cancelled)
                self._raise_fault()
                if told != count:
                    raise Failed(f"gave {count} of {told} rows")

        with self:
            with self._placed(program.where):
                stream = self._begin(program, cancelled)
            yield pa.RecordBatchReader.from_batches(stream.schema, rows())

    def _begin(self, program: Program, cancelled: Callable[[], bool]) -> pa.RecordBatchReader:
        """Hand the program and its inputs to the child; return its stream once the schema is there."""
        import pyarrow as pa

        params = {name: _encode(name, value, program.where) for name, value in program.params.items()}
        if len(program.inputs) > len(self._inlets):
            raise Failed(f"has {len(program.inputs)} inputs, the jail was started for {len(self._inlets)}")
        self._stand(cancelled)
        self._timer = threading.Timer(self.bounds.seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()
        for number, source in zip(self._inlets, program.inputs.values(), strict=False):
            self._ours.discard(number)
            self._feeders.append(threading.Thread(target=self._feed, args=(number, source), daemon=True))
            self._feeders[-1].start()
        self._send({"sql": program.sql, "params": params, "inputs": list(program.inputs)})
        try:
            return pa.ipc.open_stream(io.BufferedReader(_Tap(self, cancelled), 1 << 16))
        except pa.ArrowInvalid:  # not even a schema: the child tells why
            self._told("", cancelled)
            raise

    def attack(self, canary: str) -> dict[str, bool]:
        """Have the child try to break out (SEC-S06); return way → refused. ``canary`` is a file it must not read."""
        self._stand(lambda: False)
        self._send({"probe": {"file": canary, "pid": os.getpid()}})
        tried: dict[str, bool] = self._told("probe", lambda: False, time.monotonic() + _BOOT)
        return tried

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
            if self._child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)

    def _reap(self, grace: float) -> float:
        """Wait ``grace`` seconds for the child to end by itself, then end it; return the processor time it took."""
        until = time.monotonic() + grace
        while self._child.returncode is None:
            late = time.monotonic() >= until
            if late:
                self.kill()
            with self._lock:
                pid, status, usage = os.wait4(self._child.pid, 0 if late else os.WNOHANG)
                if pid:
                    self._child.returncode = os.waitstatus_to_exitcode(status)
                    self._used = usage.ru_utime + usage.ru_stime
            if not pid:
                time.sleep(0.005)
        return self._used

    def close(self) -> None:
        """End the child, wait until it is gone, close every pipe. May be called twice."""
        if self._timer:
            self._timer.cancel()
        self._reap(0)
        poll = select.poll()
        if self._control in self._ours:  # open as long as anything in there lives
            poll.register(self._control, 0)
            poll.poll(1000)
        for number in tuple(self._ours):
            self._drop(number)
        for feeder in self._feeders:  # one that waits for a slow source ends when the source gives its next batch
            feeder.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Tap(io.RawIOBase):
    """The child's output as a file that looks up from time to time."""

    def __init__(self, jail: Jail, cancelled: Callable[[], bool]) -> None:
        self._jail, self._cancelled = jail, cancelled

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._jail._take(buffer, self._cancelled)  # noqa: SLF001 - two halves of one thing


def start(bounds: Bounds = USUAL, *, fallback: bool = False, inputs: int = 1) -> Jail:
    """Boot a jail for a program with up to ``inputs`` inputs that is not known yet. Returns at once.

    Raises ``JailUnavailable`` when bubblewrap is missing and ``fallback`` does not allow the tier without namespaces.
    """
    return Jail(bounds, fallback=fallback, inputs=inputs)


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


def probe(fallback: bool = False) -> Level:
    """Start a jail that tries to break out, and return what each layer is worth here. Raises nothing."""
    bwrap, missing, layers = _bwrap(), [], {}
    full = False
    try:
        with tempfile.NamedTemporaryFile() as canary, start(fallback=fallback, inputs=0) as jail:
            full = jail.full
            missing = [f"refusal of {way}" for way, refused in jail.attack(canary.name).items() if not refused]
            layers = jail.layers
    except (SluiceError, OSError) as fault:
        missing = [str(fault)]
    held = confine.landlock_abi()
    text = " ".join(missing)
    if layers and not missing:
        missing = [] if full else ["bwrap" if bwrap is None else "userns"]
        tier: Literal["full", "fallback", "none"] = "full" if full else "fallback"
    else:
        tier = "none"
    return Level(
        bwrap=bwrap is not None,
        userns=bool(layers.get("userns")) if layers else bwrap is not None and _spaces(bwrap),
        landlock=int(layers.get("landlock", 0)) if layers else held if "landlock" not in text else 0,
        seccomp=bool(layers.get("seccomp")),
        rlimits=bool(layers.get("rlimits")),
        ok=tier != "none",
        missing=tuple(missing),
        tier=tier,
    )
