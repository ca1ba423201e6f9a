"""The processes of mutation testing: tests against a module that has been changed in memory (``tools/mutate.py``).

The process that all come from has loaded what no guard is in. One forked from it imports a module's text, its tests
and all between (``Module.load``). From that one another is forked for each change inside a function, and has only to
put other code into the functions that are there (``Module.swap``). What changes on import (a constant, a default) is
loaded in a process of its own, since others have taken it in by then.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest
from _pytest.runner import runtestprotocol

from tools.mutants import Mutant

TEST_SECONDS = 120
"""A test that takes longer hangs: on a quiet machine, those that are asked here take less than three."""
SECONDS_MAX = 900
"""A process that takes longer has judged nothing."""
MEMORY = next((str(each) for each in (Path("/dev") / "shm",) if os.access(each, os.W_OK)), None)
"""Where stores lie that nobody needs on a disk."""
IN_FUNCTION = 1
"""``CO_OPTIMIZED``: the code is a function's, and not a class's."""

Found = dict[str, Any]


class _Module(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports a text in the place of a module."""

    def __init__(self, name: str, source: str, file: str) -> None:
        self._name, self._source, self._file = name, source, file

    def find_spec(self, fullname: str, _path: object, _target: ModuleType | None = None) -> Any:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self._name else None

    def get_source(self, fullname: str) -> str:  # noqa: ARG002 - the loader's signature
        return self._source

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the same
        return self.source_to_code(self._source, self._file)


class Session:
    """The tests of one process, collected: a plugin of pytest that does ``work`` with them."""

    def __init__(self, file: str, work: Callable[[Session], Found]) -> None:
        self._file, self._work = file, work
        self._fault: pytest.TestReport | None = None
        self._now, self._lines = "", dict[str, set[int]]()
        self.items: dict[str, pytest.Item] = {}
        self.found: Found | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do the work in place of running all tests; not when some could not be collected."""
        if not session.testsfailed:
            self.items = {each.nodeid: each for each in session.items}
            self.found = self._work(self)
        return True

    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test with all that other plugins put around it, and keep how it failed."""
        self._fault = next((each for each in runtestprotocol(item, log=False, nextitem=nextitem) if each.failed), None)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        """Have what a shared fixture runs noted under its name."""
        before = self._now
        if fixturedef.scope != "function":
            self._now = f"fixture {fixturedef.argname}"
        try:
            return (yield)
        finally:
            self._now = before

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> pytest.TestReport | None:
        """Run a test and tear down what ``following`` does not need; return what failed, if anything did."""
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        return self._fault

    def watch(self) -> Found:
        """Run all tests. ``seen``: their seconds, and the lines of the module they run.

        What a shared fixture runs counts for all that ask for it. ``red``: what failed, and how.
        """
        seen, red, items = dict[str, Any](), "", list(self.items.values())
        threading.settrace(self._call)
        sys.settrace(self._call)
        for item, following in _pairs(items):
            self._now, began = item.nodeid, time.perf_counter()
            if fault := self._run(item, following):
                red += f"{item.nodeid}\n{fault.longreprtext[-2000:]}\n"
            ran = [item.nodeid, *(f"fixture {each}" for each in getattr(item, "fixturenames", ()))]
            lines = set[int]().union(*(self._lines.get(each, ()) for each in ran))
            seen[item.nodeid] = time.perf_counter() - began, sorted(lines)
        return {"seen": seen, "red": red}

    def _call(self, frame: FrameType, _event: str, _about: object) -> Any:
        return self._line if frame.f_code.co_filename == self._file else None

    def _line(self, frame: FrameType, _event: str, _about: object) -> Any:
        self._lines.setdefault(self._now, set()).add(frame.f_lineno)
        return self._line

    def catch(self, order: Sequence[str]) -> Found:
        """Run tests until one fails, and fails again alone in a fresh installation. ``by``: which."""
        items = [self.items[each] for each in order if each in self.items]
        for item, following in _pairs(items):
            if self._run(item, following):
                with suppress(Exception):  # a mutant may fail there, too
                    item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - nothing is left for the second time
                if fault := self._run(item, None):
                    return {"by": item.nodeid, "hung": "Timeout (>" in fault.longreprtext}
        return {"by": ""}

    def alone(self, order: Sequence[str]) -> Found:
        """Run each test in a fresh installation. ``red``: which failed, or are no more."""
        return {"red": [each for each in order if each not in self.items or self._run(self.items[each], None)]}


def _pairs(items: list[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    """Yield each test with the one that follows."""
    yield from zip_longest(items, items[1:])


def start(folder: Path, act: Callable[[], Found | None]) -> int:
    """Do something in a process of its own, which leaves what it found in ``folder``; return its id."""
    child = os.fork()  # noqa: TID251 - from one that has all loaded that is the same for every mutant
    if child:
        return child
    try:
        os.setpgid(0, 0)
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        found = act()
        (folder / "found").write_text(json.dumps(found))
    except BaseException as fault:  # noqa: BLE001 - whatever it is, the parent is told
        (folder / "found").write_text(json.dumps({"fault": repr(fault)[:2000]}))
    finally:
        os._exit(0)


def end(folder: Path) -> Found:
    """Return what a process has left, with ``fault`` when it broke down; remove its folder."""
    try:
        return dict(json.loads((folder / "found").read_text()))
    except (OSError, ValueError) as fault:
        return {"fault": repr(fault)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def room() -> Path:
    """Make a folder for a process."""
    return Path(tempfile.mkdtemp(prefix="mutant-", dir=MEMORY))


def run(act: Callable[[], Found | None]) -> Found:
    """Do something in a process of its own; return what it found."""
    folder = room()
    os.waitpid(start(folder, act), 0)
    return end(folder)


class Module(NamedTuple):
    """A module, and the files of its tests."""

    root: Path
    name: str
    tests: tuple[str, ...]

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.root / "src" / f"{self.name.replace('.', '/')}.py"

    @property
    def source(self) -> str:
        """Its text."""
        return self.file.read_text(encoding="utf-8")

    def load(self, source: str, work: Callable[[Session], Found]) -> Found | None:
        """Import a text in the module's place, and its tests; return what ``work`` finds. It is done once in a process.

        ``by`` is ``import`` when that much did not come to pass.
        """
        os.chdir(self.root)
        with Path(os.devnull).open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        if self.name in sys.modules:
            raise RuntimeError(f"{self.name} has been loaded before its mutants")
        sys.meta_path.insert(0, _Module(self.name, source, str(self.file)))
        plugin = Session(str(self.file), work)
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly",
                   "--hypothesis-seed=1", f"--timeout={TEST_SECONDS}",
                   "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
        status = pytest.main([*options, *self.tests], plugins=[plugin])
        if plugin.found is None and status == pytest.ExitCode.INTERNAL_ERROR:
            raise RuntimeError("pytest broke down")
        return plugin.found if plugin.found is not None else {"by": "import"}

    def functions(self, source: str) -> list[list[FunctionType]]:
        """Return the functions that are loaded, for each function in the text that they are made from."""
        found: dict[tuple[str, int], list[FunctionType]] = {_place(each): [] for each in self._codes(source)}
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename == str(self.file):
                found.get(_place(each.__code__), []).append(each)
        return list(found.values())

    def swap(self, source: str, functions: Sequence[Sequence[FunctionType]]) -> None:
        """Put the code of a mutant into the functions that are loaded."""
        for held, code in zip(functions, self._codes(source), strict=True):
            for each in held:
                each.__code__ = code

    def _codes(self, source: str) -> list[CodeType]:
        return list(_inner(compile(source, str(self.file), "exec")))  # nosemgrep: code-from-text


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _inner(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of the functions of a module and its classes, but not of those inside functions."""
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_flags & IN_FUNCTION:
                yield each
            else:
                yield from _inner(each)


def tried(
    waiting: Sequence[Mutant], begin: Callable[[Mutant, Path], int], workers: int, until: float
) -> Iterator[tuple[Mutant, Found]]:
    """Yield mutants and what became of each in the process that ``begin`` starts, until the time is over."""
    left, running = list(waiting), dict[int, tuple[Mutant, Path, float]]()
    while running or (left and time.monotonic() < until):
        while left and len(running) < workers and time.monotonic() < until:
            mutant, folder = left.pop(0), room()
            running[begin(mutant, folder)] = mutant, folder, time.monotonic()
        time.sleep(0.01)
        for child, (mutant, folder, since) in list(running.items()):
            ended, _ = os.waitpid(child, os.WNOHANG)
            if not ended and time.monotonic() - since > SECONDS_MAX:
                os.killpg(child, signal.SIGKILL)
                ended, _ = os.waitpid(child, 0)
            if ended:
                del running[child]
                yield mutant, end(folder)
