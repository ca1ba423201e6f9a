"""Tests mirror the source: src/sluicegate/x/y.py is tested by tests/x/test_y.py, or by test_y_….py when it grows."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "sluicegate"
TESTS = ROOT / "tests"
ACROSS = {"security", "journeys", "crash", "fixtures", "tools", "benchmarks"}
"""Folders of tests that take more than one module."""

UNTESTED = {
    "__main__": "two lines, run by the journeys",
    "kit/context": "values and protocols only",
}
"""Modules without a test file of their own, each with its reason."""


PENDING = {
    "app", "base/clock", "base/errors", "base/log", "base/permission", "base/principal",
    "engine/archive", "engine/confine", "engine/inlet", "engine/jailed", "engine/jobs", "engine/outlet",
    "engine/rejects", "engine/worker", "kit/connection", "kit/format", "kit/rows", "kit/step", "operations/definitions",
    "operations/explore", "operations/people", "operations/runs", "operations/secrets", "operations/session",
    "operations/system", "web/headers", "web/openapi", "web/server",
}  # fmt: skip
"""Modules that only wider tests take so far (security, journeys, crash, stage). The list may only get shorter."""


def list_modules() -> set[str]:
    """Return the modules and packages below the source tree, as paths without their suffix."""
    files = [path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts]
    modules = {path.with_suffix("").relative_to(SOURCE).as_posix() for path in files if path.name != "__init__.py"}
    return modules | {path.parent.relative_to(SOURCE).as_posix() for path in files if path.name == "__init__.py"} - {
        "."
    }


def list_tests() -> set[str]:
    """Return the test files that mirror a module, as ``folder/name`` without ``test_``."""
    files = [path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")]
    mirrors = [path for path in files if path.parts[0] not in ACROSS and len(path.parts) > 1]
    return {(path.parent / path.stem.removeprefix("test_")).as_posix() for path in mirrors}


def covers(test: str, module: str) -> bool:
    """Tell whether a test file belongs to a module: its name, its name and an underscore, or its package's."""
    names = [module, *(parent for parent in map(str, Path(module).parents) if "/" in parent)]
    return any(test == name or test.startswith((f"{name}_", f"{name}/")) for name in names)


@pytest.mark.parametrize("test", sorted(list_tests()))
def test_every_test_file_has_its_module(test):
    assert any(covers(test, module) for module in list_modules()), f"tests/{test}: there is no such module"


def test_every_module_has_its_test_file():
    tests = list_tests()
    modules = {path for path in list_modules() if not (SOURCE / path).is_dir()} - set(UNTESTED) - PENDING
    assert sorted(module for module in modules if not any(covers(test, module) for test in tests)) == []


def test_no_exception_is_stale():
    tests = list_tests()
    assert [name for name in UNTESTED if name not in list_modules() or any(covers(test, name) for test in tests)] == []
