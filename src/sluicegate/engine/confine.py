"""The walls, in one place to review: those bubblewrap builds from outside, those a process builds around itself.

From outside: namespaces and mounts. From inside: rlimits, no new privileges, no capabilities, Landlock, seccomp.
Also loaded by path inside the jail, so it imports nothing but the standard library. Each function raises ``OSError``
when it does not get what was asked for: a wall that is not there is never passed over in silence.

Sources: seccomp(2), landlock(7), prctl(2), capabilities(7); system call numbers from the kernel's ``unistd`` tables.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import resource
import struct
import sys
from typing import NamedTuple

INSIDE = "/jail"
"""Where the programs are seen in the full tier."""
SPILL = "/tmp/spill"  # noqa: S108 - inside the jail's own mount
"""Where the one writable folder is seen in the full tier."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 4, 24, 38, 47
PR_SET_NAME, PR_SET_VMA, PR_CAP_AMBIENT_CLEAR_ALL = 15, 0x53564D41, 4
CAP_LAST = 63
_CAP_VERSION_3 = 0x20080522
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same on every architecture
_SECCOMP_SET_MODE_FILTER, _SECCOMP_TSYNC = 1, 1
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32 = 0x40000000
_PROT_EXEC = 4
_F_PLAIN = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)  # dup, flags, locks, pipe size; not owners, signals, leases
_TERMINAL = (0x5401, 0x5451)  # TCGETS (isatty), FIOCLEX: what Python asks of a file it opens


class _Machine(NamedTuple):
    arch: int
    """AUDIT_ARCH_…"""
    seccomp: int
    capset: int
    clone3: int
    checked: dict[str, int]
    """Calls that are allowed with some arguments only."""
    calls: dict[str, int]
    """Calls that are allowed, the frequent ones first."""


# What CPython, glibc, DuckDB and Arrow need once they have started. There is nothing here that starts a thread or a
# process, opens a socket, changes a namespace, mounts, loads code, traces, or signals another process.
_X86_64 = _Machine(
    0xC000003E, 317, 126, 435,
    {"mmap": 9, "mprotect": 10, "ioctl": 16, "fcntl": 72, "prctl": 157, "tgkill": 234, "prlimit64": 302},
    {
        "read": 0, "write": 1, "futex": 202, "munmap": 11, "madvise": 28, "mremap": 25, "brk": 12, "clock_gettime": 228,
        "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "openat": 257, "open": 2, "close": 3, "fstat": 5,
        "newfstatat": 262, "stat": 4, "lstat": 6, "statx": 332, "lseek": 8, "poll": 7, "ppoll": 271, "select": 23,
        "pselect6": 270, "sched_yield": 24, "nanosleep": 35, "clock_nanosleep": 230, "clock_getres": 229, "time": 201,
        "gettimeofday": 96, "getrandom": 318, "getpid": 39, "gettid": 186, "getuid": 102, "geteuid": 107, "getgid": 104,
        "getegid": 108, "getppid": 110, "getcwd": 79, "uname": 63, "sysinfo": 99, "getrusage": 98, "getrlimit": 97,
        "sched_getaffinity": 204, "sched_getparam": 143, "sched_getscheduler": 145, "access": 21, "faccessat": 269,
        "faccessat2": 439, "readlink": 89, "readlinkat": 267, "getdents64": 217, "statfs": 137, "fstatfs": 138,
        "ftruncate": 77, "fallocate": 285, "fsync": 74, "fdatasync": 75, "fadvise64": 221, "unlink": 87,
        "unlinkat": 263, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "rename": 82, "renameat": 264, "renameat2": 316,
        "preadv": 295, "pwritev": 296, "dup": 32, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
        "sigaltstack": 131, "restart_syscall": 219, "set_robust_list": 273, "rseq": 334, "membarrier": 324,
        "exit": 60, "exit_group": 231,
    },
)  # fmt: skip
_AARCH64 = _Machine(
    0xC00000B7, 277, 91, 435,
    {"mmap": 222, "mprotect": 226, "ioctl": 29, "fcntl": 25, "prctl": 167, "tgkill": 131, "prlimit64": 261},
    {
        "read": 63, "write": 64, "futex": 98, "munmap": 215, "madvise": 233, "mremap": 216, "brk": 214,
        "clock_gettime": 113, "pread64": 67, "pwrite64": 68, "readv": 65, "writev": 66, "openat": 56, "close": 57,
        "fstat": 80, "newfstatat": 79, "statx": 291, "lseek": 62, "ppoll": 73, "pselect6": 72, "sched_yield": 124,
        "nanosleep": 101, "clock_nanosleep": 115, "clock_getres": 114, "gettimeofday": 169, "getrandom": 278,
        "getpid": 172, "gettid": 178, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "getppid": 173,
        "getcwd": 17, "uname": 160, "sysinfo": 179, "getrusage": 165, "getrlimit": 163, "sched_getaffinity": 123,
        "sched_getparam": 121, "sched_getscheduler": 120, "faccessat": 48, "faccessat2": 439, "readlinkat": 78,
        "getdents64": 61, "statfs": 43, "fstatfs": 44, "ftruncate": 46, "fallocate": 47, "fsync": 82, "fdatasync": 83,
        "fadvise64": 223, "unlinkat": 35, "mkdirat": 34, "renameat": 38, "renameat2": 276, "preadv": 69, "pwritev": 70,
        "dup": 23, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sigaltstack": 132,
        "restart_syscall": 128, "set_robust_list": 99, "rseq": 293, "membarrier": 283, "exit": 93, "exit_group": 94,
    },
)  # fmt: skip
_ATTACKS = {  # what a probe tries: (x86_64, aarch64)
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "bpf": (321, 280), "perf_event_open": (298, 241), "keyctl": (250, 219),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "open_by_handle_at": (304, 265), "personality": (135, 92),
    "init_module": (175, 105), "kexec_load": (246, 104), "pidfd_getfd": (438, 438), "memfd_create": (319, 279),
    "clone3": (435, 435),
}  # fmt: skip
MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def interpreter() -> str:
    """Return the path of the interpreter itself, not of a link to it in a virtual environment."""
    return os.path.realpath(str(sys._base_executable))  # type: ignore[attr-defined]  # noqa: SLF001 - no public name


@functools.cache
def trees() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (import path, read-only binds): the interpreter, pyarrow, DuckDB's core and the C libraries.

    ``OSError`` when one of them is missing or cannot be read by the user we are.
    """
    import sysconfig
    from importlib.machinery import PathFinder
    from pathlib import Path

    paths, binds = [], [interpreter()]
    for name in ("pyarrow", "_duckdb"):
        spec = PathFinder.find_spec(name)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(errno.ENOENT, f"the package {name} is not installed")
        own = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        paths.append(str(own.parent))
        binds += [str(own), *(str(libs) for libs in (own.with_name(name + ".libs"),) if libs.is_dir())]
    stdlib = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix})]
    triplet = sysconfig.get_config_var("MULTIARCH")
    shared = [f"/lib/{triplet}", f"/usr/lib/{triplet}"] if triplet else []
    libraries = [path for path in (*shared, "/lib64", "/usr/lib64") if Path(path).is_dir()]
    libraries += [str(path) for path in Path(sys.base_prefix, "lib").glob("libpython3*.so*")]
    binds = [*stdlib, *libraries, *binds]
    for path in binds:
        if not os.access(path, os.R_OK | (os.X_OK if Path(path).is_dir() else 0)):
            raise PermissionError(errno.EACCES, f"the jail cannot read {path}")
    return tuple(dict.fromkeys(paths)), tuple(dict.fromkeys(binds))


def environment() -> dict[str, str]:
    """Return the whole environment of the child: nothing of ours."""
    return {
        "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib",  # no /etc/ld.so.cache in there
        "MALLOC_ARENA_MAX": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # one thread: Landlock holds only those it starts from
    }


def wrapped(bwrap: str, spill: int, info: int, programs: tuple[str, ...]) -> list[str]:
    """Return the command line of the full tier, up to the interpreter; ``spill`` is the size of its folder in bytes."""
    from pathlib import Path

    small = ("--size", str(1 << 20), "--tmpfs")
    binds: list[str] = []
    for tree in trees()[1]:
        binds += ["--ro-bind", tree, tree]
        others = Path(tree) / "site-packages"
        if others.is_dir():  # packages that are none of the jail's business; the two it needs are bound on top
            binds += [*small, str(others)]
    env = [word for name, value in environment().items() for word in ("--setenv", name, value)]
    return [
        bwrap, "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent",
        "--new-session", "--as-pid-1", "--clearenv", *env, "--cap-drop", "ALL", "--hostname", "jail",
        "--info-fd", str(info), "--proc", "/proc", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null",
        "--dev-bind", "/dev/urandom", "/dev/urandom", *small, "/tmp", *binds,  # noqa: S108 - inside
        *(word for file in programs for word in ("--ro-bind", file, f"{INSIDE}/{Path(file).name}")),
        "--size", str(spill), "--perms", "0700", "--tmpfs", SPILL, "--remount-ro", "/", "--chdir", "/", "--",
    ]  # fmt: skip


def forbidden() -> dict[str, int]:
    """Return names and numbers of system calls that must be refused once the filter stands."""
    column = list(MACHINES).index(os.uname().machine)
    return {name: numbers[column] for name, numbers in _ATTACKS.items()}


def _refused(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def call(what: str, number: int, *values: object) -> int:
    """Make a system call by number; ``OSError`` that begins with ``what`` when it fails."""
    # Every argument as a full word: a C int would leave the upper half of the register undefined.
    words = [ctypes.c_ulong(value & 0xFFFFFFFFFFFFFFFF) if isinstance(value, int) else value for value in values]
    done = int(_libc.syscall(ctypes.c_long(number), *words))
    if done < 0:
        raise _refused(what)
    return done


def _prctl(what: str, *values: int) -> None:
    if _libc.prctl(*(ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:5])) != 0:
        raise _refused(what)


def _machine() -> _Machine:
    try:
        return MACHINES[os.uname().machine]
    except KeyError:
        raise OSError(errno.ENOSYS, f"seccomp: no filter for {os.uname().machine}") from None


def bound(*, address_space: int, cpu_seconds: int, processes: int, files: int, file_bytes: int) -> None:
    """Set soft and hard limits (bytes, seconds, counts) that cannot be raised again; no core files."""
    wanted = {
        resource.RLIMIT_AS: address_space,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_NPROC: processes,
        resource.RLIMIT_NOFILE: files,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for kind, limit in wanted.items():
        hard = resource.getrlimit(kind)[1]
        capped = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (capped, capped))


def follow_parent(parent: int) -> None:
    """Die when the parent dies. Without a pid namespace this is all that ties the two; ``OSError`` if it is gone."""
    _prctl("die with parent", PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        raise OSError(errno.ESRCH, "die with parent: the parent is gone")


def disarm() -> None:
    """Give up every privilege for good: no new ones by exec, not traceable, no capabilities in any set."""
    _prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)
    _prctl("dumpable", PR_SET_DUMPABLE, 0)
    _prctl("ambient capabilities", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(CAP_LAST + 1):
        # Fails beyond the last capability the kernel knows, and without CAP_SETPCAP, when there is nothing to drop.
        _libc.prctl(*(ctypes.c_ulong(value) for value in (PR_CAPBSET_DROP, capability, 0, 0, 0)))
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAP_VERSION_3, 0))
    call("capabilities", _machine().capset, header, ctypes.create_string_buffer(struct.pack("6I", *[0] * 6)))


def landlock_abi() -> int:
    """Return the version of Landlock the kernel offers; 0 when there is none or it is switched off."""
    try:
        return call("landlock", LANDLOCK_CREATE, 0, 0, 1)
    except OSError:
        return 0


def landlock(read: tuple[str, ...] = (), write: tuple[str, ...] = ()) -> int:
    """Deny this thread, and threads it starts, every path but these; no TCP, no outside signals. Return the ABI.

    ``read`` opens directory trees for reading; ``write`` for reading, writing, making and removing files and folders.
    Nothing is ever executable. The caller makes sure that there is no other thread yet.
    """
    abi = landlock_abi()
    if abi < 1:
        raise OSError(errno.ENOSYS, "landlock: not offered by this kernel")
    bits = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)  # noqa: PLR2004 - the versions that added a right
    handled = (1 << bits) - 1
    words = [handled]
    if abi >= 4:  # noqa: PLR2004 - TCP
        words.append(0b11)
    if abi >= 6:  # noqa: PLR2004 - abstract sockets, signals
        words.append(0b11)
    packed = struct.pack(f"{len(words)}Q", *words)
    rules = call("landlock", LANDLOCK_CREATE, ctypes.create_string_buffer(packed, len(packed)), len(packed), 0)
    reading = 1 << 2 | 1 << 3
    writing = (reading | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 14) & handled
    try:
        for path, rights in [(path, reading) for path in read] + [(path, writing) for path in write]:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", rights, place)
                call("landlock", LANDLOCK_ADD, rules, 1, ctypes.create_string_buffer(rule, len(rule)), 0)
            finally:
                os.close(place)
        call("landlock", LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)
    return abi


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _argument(place: int) -> int:
    return 16 + 8 * place


def _only(number: int, place: int, values: tuple[int, ...]) -> list[bytes]:
    """Allow ``number`` when argument ``place`` (its lower half) is one of ``values``."""
    tests = [step for value in values for step in (_step(_EQUAL, value & 0xFFFFFFFF, 0, 1), _step(_RETURN, _ALLOW))]
    body = [_step(_LOAD, _argument(place)), *tests, _step(_RETURN, _ERRNO | errno.EPERM)]
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _not_executable(number: int) -> list[bytes]:
    """Allow ``number`` (mmap, mprotect) unless it asks for executable memory: all code is loaded by now."""
    return [
        _step(_EQUAL, number, 0, 4),
        _step(_LOAD, _argument(2)),
        _step(_ANY_BIT, _PROT_EXEC, 0, 1),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]


def filter_program(machine: str, pid: int) -> bytes:
    """Return the seccomp filter (classic BPF) for ``machine``: an allowlist; everything else gets ``EPERM``.

    A call from another architecture or the x32 table kills the process; ``clone3`` gets ``ENOSYS``, so that libc falls
    back to ``clone``, which is refused. ``pid`` is the only process that may be signalled.
    """
    chosen = MACHINES[machine]
    checked = chosen.checked
    steps = [_step(_LOAD, 4), _step(_EQUAL, chosen.arch, 1, 0), _step(_RETURN, _KILL), _step(_LOAD, 0)]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, _KILL)]
    steps += [*_not_executable(checked["mmap"]), *_not_executable(checked["mprotect"])]
    for number in chosen.calls.values():
        steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW)]
    steps += _only(checked["fcntl"], 1, _F_PLAIN)
    steps += _only(checked["ioctl"], 1, _TERMINAL)
    steps += _only(checked["prctl"], 0, (PR_SET_NAME, PR_SET_VMA))
    steps += _only(checked["tgkill"], 0, (pid,))
    steps += [  # prlimit64: read the limits of oneself, set none
        _step(_EQUAL, checked["prlimit64"], 0, 8),
        _step(_LOAD, _argument(0)), _step(_EQUAL, 0, 0, 5),
        _step(_LOAD, _argument(2)), _step(_EQUAL, 0, 0, 3),
        _step(_LOAD, _argument(2) + 4), _step(_EQUAL, 0, 0, 1),
        _step(_RETURN, _ALLOW), _step(_RETURN, _ERRNO | errno.EPERM),
    ]  # fmt: skip
    steps += [_step(_EQUAL, chosen.clone3, 0, 1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    steps.append(_step(_RETURN, _ERRNO | errno.EPERM))
    return b"".join(steps)


def seccomp() -> None:
    """Put the filter on every thread of this process, for good. Needs ``disarm`` first."""
    code = filter_program(os.uname().machine if _machine() else "", os.getpid())
    steps = ctypes.create_string_buffer(code, len(code))

    class _Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    program = _Program(len(code) // 8, ctypes.cast(steps, ctypes.c_void_p))
    failed = call("seccomp", _machine().seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_TSYNC, ctypes.byref(program))
    if failed:
        raise OSError(errno.EBUSY, "seccomp: a thread could not be confined")
