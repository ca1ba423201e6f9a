"""The security share: how many test functions prove a guard. Generated cases of one function count once."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import NamedTuple

MINIMUM = 0.30
ROOT = Path(__file__).resolve().parent.parent


class Share(NamedTuple):
    """Test functions: those marked ``security``, and all."""

    security: int
    tests: int

    @property
    def ratio(self) -> float:
        """The security share, 0 when there is no test."""
        return self.security / self.tests if self.tests else 0.0

    def __str__(self) -> str:
        """Return the share in words."""
        return (
            f"security share {self.ratio:.1%}: {self.security} of {self.tests} test functions (at least {MINIMUM:.0%})"
        )


def _is_mark(node: ast.expr) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(target) == "pytest.mark.security"


def _marks_all(body: list[ast.stmt]) -> bool:
    for node in body:
        if isinstance(node, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id == "pytestmark" for name in node.targets
        ):
            listed = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            if any(_is_mark(item) for item in listed):
                return True
    return False


def _count(body: list[ast.stmt], *, marked: bool) -> Share:
    security = tests = 0
    marked = marked or _marks_all(body)
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            inner = _count(node.body, marked=marked or any(map(_is_mark, node.decorator_list)))
            security, tests = security + inner.security, tests + inner.tests
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            tests += 1
            security += marked or any(map(_is_mark, node.decorator_list))
    return Share(security, tests)


def measure(root: Path = ROOT) -> Share:
    """Count the test functions below ``root/tests``, as pytest would collect them, without running them."""
    shares = [_count(ast.parse(path.read_text()).body, marked=False) for path in (root / "tests").rglob("test_*.py")]
    return Share(sum(share.security for share in shares), sum(share.tests for share in shares))


if __name__ == "__main__":
    share = measure()
    print(share)
    sys.exit(share.ratio < MINIMUM)
