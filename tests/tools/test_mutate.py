"""The mutator: its changes are real ones, of what decides something, and a caught mutant is told from one that is not."""

from __future__ import annotations

import ast
import sys

import pytest

from tools import mutate

SOURCE = '''
"""A docstring."""
LIMIT: int = 3
ROLES = {"a", "b"}


def may(who: str, count: int) -> bool:
    """Tell whether."""
    if not who:
        raise ValueError("a text for people", who + "x")
    guard(who)
    return count < LIMIT and who in ROLES
'''


def kinds(source=SOURCE):
    return [(each.line, each.what) for each in mutate.mutants(source)]


def test_every_sort_of_change_is_made():
    assert set(kinds()) == {
        (3, "3 to 4"), (4, "'a' left out"), (4, "'b' left out"), (4, "'a' changed"), (4, "'b' changed"),
        (9, "not left out"), (9, "always"), (9, "never"), (10, "does not raise"), (11, "call left out"),
        (12, "returns nothing"), (12, "and/or"), (12, "Lt to LtE"), (12, "Lt to GtE"), (12, "In to NotIn"),
    }  # fmt: skip


def test_a_mutant_differs_from_the_source_in_one_thing_and_can_be_read():
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for each in mutate.mutants(SOURCE):
        ast.parse(each.source)
        changed = each.source.splitlines()
        assert changed != plain
        assert sum(line not in plain for line in changed) <= 1, each.what


@pytest.mark.security
@pytest.mark.req("SEC-Z12")
def test_the_guards_are_among_what_is_changed():
    for name, (module, tests) in mutate.TARGETS.items():
        source = (mutate.ROOT / "src" / f"{module.replace('.', '/')}.py").read_text()
        assert len(list(mutate.mutants(source))) > 20, name
        assert all((mutate.ROOT / each).is_file() for each in tests)
    policy = (mutate.ROOT / "src/sluicegate/guard/policy.py").read_text()
    assert "Permission.DATA_READ left out" in {each.what for each in mutate.mutants(policy)}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_caught_mutant_is_told_from_one_that_is_not(tmp_path, monkeypatch):
    package = tmp_path / "src" / "mutated_here"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("def two():\n    return 1 + 1\n\n\ndef unused():\n    return 7\n")
    (tmp_path / "test_one.py").write_text(
        "from mutated_here.one import two\n\n\ndef test_two():\n    assert two() == 2\n"
    )
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    monkeypatch.setattr(mutate, "TARGETS", {"one": ("mutated_here.one", ("test_one.py",))})
    monkeypatch.setattr(sys, "path", [str(tmp_path / "src"), *sys.path])
    found, left = mutate.judge("one", 2, float("inf"))
    assert left == 0
    assert {(mutant.line, mutant.what) for mutant, caught in found if not caught} == {
        (6, "returns nothing"),
        (6, "7 to 8"),
    }
    assert {mutant.what for mutant, caught in found if caught} >= {"returns nothing", "Add turned", "1 to 2"}
    (tmp_path / "test_one.py").write_text("def test_red():\n    assert False\n")
    with pytest.raises(SystemExit, match="red without any change"):
        mutate.judge("one", 1, float("inf"))


def test_a_report_says_how_many_and_which_survive(tmp_path, monkeypatch):
    monkeypatch.setattr(mutate, "REPORT", tmp_path / "mutation.md")
    made = [mutate.Mutant(line, f"change {line}", "") for line in (1, 2, 3, 4)]
    mutate.write_report({"policy": ([(made[0], True), (made[1], True), (made[2], True), (made[3], False)], 2)})
    text = mutate.REPORT.read_text()
    assert "| `guard/policy.py` | 6 | 3 | 2 | 75.0 % |" in text
    assert "- `guard/policy.py` line 4: change 4" in text
