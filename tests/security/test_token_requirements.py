"""Each requirement on tokens has a test that carries its number: SEC-T01 to SEC-T21, none left out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
WANTED = {f"SEC-T{number:02}" for number in range(1, 22)}


def proofs() -> dict[str, set[str]]:
    """Return the test functions by the number they carry; a module's mark counts for each of its tests."""
    found: dict[str, set[str]] = {}
    for file in TESTS.rglob("test_*.py"):
        for node in ast.parse(file.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.req":
                    for each in mark.args:
                        found.setdefault(ast.literal_eval(each), set()).add(f"{file.name}::{node.name}")
    return found


@pytest.mark.security
def test_each_requirement_on_tokens_has_its_proof():
    found = proofs()
    assert sorted(each for each in WANTED if not found.get(each)) == []
    assert {each for each in found if each.startswith("SEC-T")} == WANTED, "and no number is made up"
