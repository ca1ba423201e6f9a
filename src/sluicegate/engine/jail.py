"""The jail: a fresh child process for one SQL program over streams of rows. No network, no secrets, no files.

Full tier: bubblewrap (own user, pid, network, mount, ipc, uts and cgroup namespaces; only the interpreter, two packages and
the C libraries, read-only) and inside it rlimits, no capabilities, Landlock and seccomp (``confine.py``, ``jailed.py``).
Fallback tier, only by explicit setting: the same without the namespaces. A layer that is missing is an error.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import glob
import io
import json
import os
import select
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib.machinery import PathFinder
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from sluicegate.base.errors import Cancelled, DataError, Failed, JailUnavailable, SluiceError, UnknownColumn
from sluicegate.base.model import Model

if TYPE_CHECKING:
    import pyarrow as pa

SPILL_BYTES = 16 << 30
"""What one jail may write to its encrypted spill folder, at most; half of the free disk when that is less."""
_HERE = Path(__file__).parent
_PROGRAM, _CONFINE = _HERE / "jailed.py", _HERE / "confine.py"
_INSIDE = "/jail"  # where the two files are seen in the full tier
_SPILL = "/tmp/spill"  # noqa: S108 - inside the full tier
_PIPE = 1 << 20
_BLINK = 0.1  # seconds between two looks at ``cancelled``
_BOOT = 20.0  # seconds in which a jail must stand
_SCRATCH = "sluice-jail-"
_STALE = 60  # seconds after which a scratch folder that nobody holds is left over from a crash
_DIGITS = 38
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
        if len(value.as_tuple().digits) > _DIGITS:
            raise DataError(f"the parameter {name!r} has more than {_DIGITS} digits", where=where)
        return ["decimal", str(value)]
    return ["datetime" if isinstance(value, datetime) else "date", value.isoformat()]


@functools.cache
def _trees() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (import path, read-only binds): the interpreter, pyarrow, DuckDB's core and the C libraries.

    Raises ``JailUnavailable`` when one of them cannot be read by the user we are.
    """
    paths, binds = [], [os.path.realpath(sys._base_executable)]  # type: ignore[attr-defined]  # noqa: SLF001 - no public name
    for name in ("pyarrow", "_duckdb"):
        spec = PathFinder.find_spec(name)
        if spec is None or spec.origin is None:
            raise JailUnavailable(f"the package {name} is not installed")
        own = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        paths.append(str(own.parent))
        binds += [str(own), *(str(libs) for libs in (own.with_name(name + ".libs"),) if libs.is_dir())]
    stdlib = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix})]
    triplet = sysconfig.get_config_var("MULTIARCH")
    shared = [f"/lib/{triplet}", f"/usr/lib/{triplet}"] if triplet else []
    libraries = [path for path in (*shared, "/lib64", "/usr/lib64") if Path(path).is_dir()]
    libraries += glob.glob(f"{sys.base_prefix}/lib/libpython3*.so*")  # noqa: PTH207 - a list of names is wanted
    binds = [*stdlib, *libraries, *binds]
    for path in binds:
        if not os.access(path, os.R_OK | (os.X_OK if Path(path).is_dir() else 0)):
            raise JailUnavailable(
                f"the jail cannot read {path}", hint="Install Python and Sluicegate where this user can read them."
            )
    return tuple(dict.fromkeys(paths)), tuple(dict.fromkeys(binds))


def _environment() -> dict[str, str]:
    """Return the whole environment of the child: nothing of ours."""
    return {
        "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib",  # no /etc/ld.so.cache in there
        "MALLOC_ARENA_MAX": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # one thread: Landlock holds only those it starts from
    }


def _bwrap() -> str | None:
    return shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin") or shutil.which("bwrap")


def _wrapped(bwrap: str, scratch: str, info: int) -> list[str]:
    """Return the command line of the full tier, up to the interpreter."""
    small = ("--size", str(1 << 20), "--tmpfs")
    binds: list[str] = []
    for tree in _trees()[1]:
        binds += ["--ro-bind", tree, tree]
        others = Path(tree) / "site-packages"
        if others.is_dir():  # packages that are none of the jail's business; the two it needs are bound on top
            binds += [*small, str(others)]
    env = [word for name, value in _environment().items() for word in ("--setenv", name, value)]
    return [
        bwrap, "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent",
        "--new-session", "--as-pid-1", "--clearenv", *env, "--cap-drop", "ALL", "--hostname", "jail",
        "--info-fd", str(info), "--proc", "/proc", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null",
        "--dev-bind", "/dev/urandom", "/dev/urandom", *small, "/tmp", *binds,  # noqa: S108 - inside
        "--ro-bind", str(_PROGRAM), f"{_INSIDE}/jailed.py", "--ro-bind", str(_CONFINE), f"{_INSIDE}/confine.py",
        "--bind", scratch, _SPILL, "--remount-ro", "/", "--chdir", "/", "--",
    ]  # fmt: skip


@functools.cache
def _spaces(bwrap: str) -> bool:
    """Tell whether this machine lets us make namespaces at all."""
    command = [bwrap, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--", "true"]
    tried = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=_BOOT, check=False)  # noqa: S603 - fixed words
    return tried.returncode == 0


def _sweep(folder: str) -> None:
    """Remove scratch folders that a crash has left: ours, old, and held by nobody."""
    for path in Path(folder).glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):  # another process is quicker, or it is not ours: both are fine
            place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                held = os.fstat(place)
                if held.st_uid == os.geteuid() and time.time() - held.st_mtime > _STALE:
                    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            finally:
                os.close(place)


def _pipe(size: int = 0) -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    if size:
        with contextlib.suppress(OSError):  # over the user's allowance: slower, not wrong
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, size)
    return ends


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
        self._late = self._closed = False
        self._lines, self._printed, self._taken = b"", b"", 0
        self._feeders: list[threading.Thread] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        bwrap = _bwrap()
        if bwrap is None and not fallback:
            raise JailUnavailable("user text needs bubblewrap, which is not here", hint=f"{_HINT_BWRAP}, {_HINT_FALLBACK}")
        self.full = bwrap is not None and (not fallback or _spaces(bwrap))
        search = _trees()[0]
        _sweep(tempfile.gettempdir())
        self._stack = contextlib.ExitStack()
        try:
            self._boot(bwrap if self.full else None, search, inputs)
        except BaseException:
            self.close()
            raise

    def _boot(self, bwrap: str | None, search: tuple[str, ...], inputs: int) -> None:
        scratch = tempfile.mkdtemp(prefix=_SCRATCH)
        self._stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        held = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
        self._stack.callback(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        theirs: list[int] = []
        try:
            outward = [_pipe(_PIPE), _pipe(), _pipe(), _pipe()]
            inward = [_pipe(), *(_pipe(_PIPE) for _ in range(inputs))]
            self._ours = {end for pair in outward for end in pair[:1]} | {pair[1] for pair in inward}
            theirs += [pair[1] for pair in outward] + [pair[0] for pair in inward]
            (self._output, self._control, self._noise, self._info) = (pair[0] for pair in outward)
            self._job, *self._inlets = (pair[1] for pair in inward)
            output, control, noise, info = (pair[1] for pair in outward)
            job, *inlets = (pair[0] for pair in inward)
            free = shutil.disk_usage(scratch).free
            asked = {
                "output": output, "control": control, "job": job, "inputs": inlets, "path": search,
                "memory_mb": self.bounds.memory_mb, "cpu_seconds": self.bounds.cpu_seconds,
                "processes": self.bounds.processes, "files": self.bounds.files,
                "spill_bytes": min(SPILL_BYTES, free // 2), "spill": _SPILL if bwrap else scratch,
                "parent": None if bwrap else os.getpid(), "environ": list(_environment()),
            }  # fmt: skip
            own = [f"{_INSIDE}/jailed.py" if bwrap else str(_PROGRAM), json.dumps(asked)]
            python = [os.path.realpath(sys._base_executable), "-I", "-S", "-B", "-X", "utf8"]  # type: ignore[attr-defined]  # noqa: SLF001 - no public name
            self._child = subprocess.Popen(  # noqa: S603 - fixed words, numbers and our own paths; never user text
                [*(_wrapped(bwrap, scratch, info) if bwrap else ()), *python, *own],
                stdin=subprocess.DEVNULL, stdout=noise, stderr=noise, env=_environment(), cwd="/", close_fds=True,
                pass_fds=(output, control, job, *inlets, *((info,) if bwrap else ())), process_group=0,
            )  # fmt: skip
        finally:
            for end in theirs:
                os.close(end)

    # -- what the child says -------------------------------------------------------------------------------------------

    def _drain(self, number: int, limit: int) -> bytes | None:
        """Return what is there, ``None`` at the end of the pipe."""
        return os.read(number, limit) or None

    def _look(self, wanted: int | None, cancelled: Callable[[], bool]) -> bool:
        """Wait a blink; take in what the child says; return whether ``wanted`` can be read. Raises what went wrong."""
        if cancelled():
            raise Cancelled("The run was cancelled.")
        self._raise_fault()
        watched = [number for number in (wanted, self._control, self._noise) if number in self._ours]
        ready = select.select(watched, [], [], _BLINK)[0] if watched else []
        for number in ready:
            if number == wanted:
                continue
            text = os.read(number, 65536)
            if not text:
                self._drop(number)
            elif number == self._control:
                self._lines += text
            else:
                self._printed += text
            if len(self._printed) > self.bounds.stdout_bytes or len(self._lines) > _PIPE:
                self.kill()
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
            return JailUnavailable(f"a layer is missing: {message}", hint="See the security page for what a jail needs.")
        hint = "Give the step more memory, or fewer rows at once." if kind == "memory" else ""
        return _KINDS.get(kind, Failed)(message, hint=hint)

    def _death(self) -> SluiceError:
        """Return why the child ended without a word."""
        self._raise_fault()
        used = self._reap()
        said = " ".join(self._printed.decode(errors="replace").split())[-200:]
        if not self.layers:
            if said.startswith("bwrap:"):
                hint = f"Allow unprivileged user namespaces (sysctl user.max_user_namespaces), {_HINT_FALLBACK}"
                return JailUnavailable(f"namespaces cannot be made ({said})", hint=hint)
            return JailUnavailable(f"the jail did not start ({said or self._child.returncode})")
        if used >= self.bounds.cpu_seconds:
            return Failed(f"used more than the {self.bounds.cpu_seconds} s of processor time it may")
        return Failed(f"ended unexpectedly ({self._child.returncode}{': ' if said else ''}{said})")
