"""The walls one by one, each put up by a process of its own that then runs against it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.engine import confine

SOURCE = Path(confine.__file__).parent
MACHINES = sorted(confine.MACHINES)


def behind(wall, attempt, **env):
    """Put up ``wall`` in a fresh process, then do ``attempt``; return what it printed."""
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\nimport confine, ctypes, os, resource, socket\n{wall}\ntry:\n    print({attempt})\nexcept (OSError, ValueError) as fault:\n    print(type(fault).__name__, getattr(fault, 'errno', ''))\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=env, capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout.strip() or f"died {done.returncode}"


def simulate(program, arch, number, *arguments):
    """Carry out a filter (classic BPF, the few codes in use) as the kernel does; return its answer."""
    words = [number & 0xFFFFFFFF, arch, 0, 0]
    for value in (*arguments, *[0] * (6 - len(arguments))):
        words += [value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF]
    steps = list(struct.iter_unpack("HBBI", program))
    place, held = 0, 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        if code == 0x20:
            held = words[value // 4]
        elif code == 0x06:
            return value
        else:
            met = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            place += yes if met else no


ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


@pytest.mark.security
@pytest.mark.req("SEC-S01")
@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_refuses_all_that_is_not_listed(machine):
    made = confine.MACHINES[machine]
    program = confine.filter_program(machine, 7)
    listed = set(made.calls.values()) | set(made.checked.values())
    answers = {number: simulate(program, made.arch, number) for number in range(600)}
    assert {number for number, answer in answers.items() if answer == ALLOW} <= listed
    assert {answers[number] for number in set(range(600)) - listed} == {EPERM, ENOSYS}
    assert answers[made.clone3] == ENOSYS
    column = MACHINES[::-1].index(machine)
    assert not {numbers[column] for numbers in confine._ATTACKS.values()} & listed


@pytest.mark.security
@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_looks_at_arguments(machine):
    made = confine.MACHINES[machine]
    program, checked = confine.filter_program(machine, 7), made.checked

    def ask(name, *arguments):
        return simulate(program, made.arch, checked[name], *arguments)

    assert (ask("mmap", 0, 4096, 3), ask("mmap", 0, 4096, 7)) == (ALLOW, EPERM)
    assert (ask("mprotect", 0, 4096, 1), ask("mprotect", 0, 4096, 5)) == (ALLOW, EPERM)
    assert (ask("tgkill", 7, 7, 6), ask("tgkill", 8, 8, 6)) == (ALLOW, EPERM)
    assert (ask("prlimit64", 0, 7, 0), ask("prlimit64", 0, 7, 1), ask("prlimit64", 0, 7, 1 << 32)) == (
        ALLOW,
        EPERM,
        EPERM,
    )
    assert ask("prlimit64", 9, 7, 0) == EPERM
    assert (ask("fcntl", 0, 3), ask("fcntl", 0, 8)) == (ALLOW, EPERM)
    assert (ask("ioctl", 0, 0x5401), ask("ioctl", 0, 0x5412)) == (ALLOW, EPERM)
    assert (ask("prctl", 15), ask("prctl", 22)) == (ALLOW, EPERM)


@pytest.mark.security
def test_another_architecture_and_its_tables_kill():
    program = confine.filter_program("x86_64", 7)
    assert simulate(program, 0x40000003, 0) == KILL  # i386
    assert simulate(program, confine.MACHINES["x86_64"].arch, 0x40000000) == KILL  # x32


@pytest.mark.security
@pytest.mark.req("SEC-S02")
def test_limits_are_hard():
    wall = "confine.bound(address_space=1 << 30, cpu_seconds=9, processes=5, files=33, file_bytes=1000)"
    assert behind(wall, "resource.getrlimit(resource.RLIMIT_NOFILE)") == "(33, 33)"
    assert behind(wall, "resource.getrlimit(resource.RLIMIT_CORE)") == "(0, 0)"
    wall += "\ncaught = MemoryError"
    assert (
        behind(
            wall,
            "[resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE)]",
        )
        == f"[{1 << 30}, 9, 5, 1000]"
    )


@pytest.mark.security
def test_a_lower_limit_that_stands_is_not_raised():
    wall = "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\nconfine.bound(address_space=1 << 33, cpu_seconds=9, processes=5, files=33, file_bytes=1000)"
    assert behind(wall, "resource.getrlimit(resource.RLIMIT_NOFILE)") == "(20, 20)"


@pytest.mark.security
def test_disarming_takes_every_capability_and_is_for_good():
    told = behind(
        "confine.disarm()",
        "open('/proc/self/status').read()" if os.geteuid() else "ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)",
    )
    assert told == "1" or "NoNewPrivs:\t1" in told
    if os.geteuid() == 0:
        assert behind("confine.disarm()", "os.chroot('/')").startswith("PermissionError")
        assert behind("confine.disarm()", "os.setuid(65534)").startswith("PermissionError")


@pytest.mark.security
def test_landlock_denies_every_path_but_those(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("rows")
    (tmp_path / "out").mkdir()
    wall = f"confine.disarm()\nconfine.landlock(read=({str(tmp_path / 'in')!r},), write=({str(tmp_path / 'out')!r},))"
    assert behind(wall, f"open({str(tmp_path / 'in' / 'a')!r}).read()") == "rows"
    assert behind(wall, f"open({str(tmp_path / 'out' / 'b')!r}, 'w').write('x')") == "1"
    for attempt in (
        "open('/etc/passwd').read()", f"open({str(tmp_path / 'in' / 'a')!r}, 'w')", "os.listdir('/')",
        "os.execv('/bin/true', ['true'])", f"os.unlink({str(tmp_path / 'in' / 'a')!r})",
    ):  # fmt: skip
        assert behind(wall, attempt).startswith("PermissionError"), attempt


@pytest.mark.security
def test_the_filter_stands_in_a_real_process():
    wall = "confine.disarm()\nconfine.seccomp()"
    assert behind(wall, "len(os.urandom(4))") == "4"
    for attempt in (
        "socket.socket()",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
        "os.open('/', os.O_RDONLY | os.O_PATH) and os.chdir('/')",
    ):
        assert behind(wall, attempt).startswith("PermissionError"), attempt


@pytest.mark.security
@pytest.mark.req("SEC-S05")
def test_a_wall_that_is_not_there_is_an_error():
    assert behind("", "confine.follow_parent(1)") == "ProcessLookupError 3"
    unknown = "os.uname = lambda: __import__('types').SimpleNamespace(machine='mips')"
    assert behind(unknown, "confine.seccomp()") == "OSError 38"
    assert behind("confine.landlock_abi = lambda: 0", "confine.landlock()") == "OSError 38"
    if os.geteuid():
        assert behind("", "confine.seccomp()").startswith("PermissionError")  # without disarm


@pytest.mark.security
def test_the_outer_walls_are_the_whole_command():
    words = confine.wrapped("/usr/bin/bwrap", 4096, 9, ("/x/jailed.py",))
    assert {"--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv"} <= set(words)
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert words[-1] == "--"
    written = [words[place + 1] for place, word in enumerate(words) if word in ("--bind", "--dev-bind")]
    assert written == ["/dev/null", "/dev/urandom"]
    bound = {words[place + 1] for place, word in enumerate(words) if word == "--ro-bind"}
    assert bound == {*confine.trees()[1], "/x/jailed.py"}
    assert not [tree for tree in bound if tree in ("/", "/etc", "/home", "/root", "/usr", "/var", "/proc")]


@pytest.mark.security
@pytest.mark.req("SEC-S03")
def test_the_environment_is_ours_alone(monkeypatch):
    monkeypatch.setenv("SLUICE_SECRET_X", "canary")
    assert "canary" not in repr(confine.environment())
    assert set(confine.environment()) == {
        "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "ARROW_DEFAULT_MEMORY_POOL", "JE_ARROW_MALLOC_CONF",
    }  # fmt: skip
