"""Mutation testing: a caught mutant is told from one that is not, and the report says so."""

from __future__ import annotations

import sys
from functools import cache

import pytest

from tools import mutate, trial
from tools.mutants import Mutant, mutants
from tools.trial import Module


@cache
def real(target):
    """Return the text of a guard, and its mutants."""
    source = Module(mutate.ROOT, *mutate.TARGETS[target]).source
    return source, list(mutants(source))


@pytest.mark.security
@pytest.mark.req("SEC-Z12")
@pytest.mark.slow
def test_the_guards_are_among_what_is_changed():
    for name, (_, tests) in mutate.TARGETS.items():
        assert len(real(name)[1]) > 20, name
        assert all((mutate.ROOT / each.partition("::")[0]).is_file() for each in tests)
    assert "Permission.DATA_READ left out" in {each.what for each in real("policy")[1]}


@pytest.mark.slow
def test_each_entry_of_the_list_of_equivalents_fits():
    for name in mutate.TARGETS:
        mutate.read_equivalent(name, *real(name))


ONE = """
STEP = 1
SPARE = 5


def two(more=1):
    return STEP + more


def seven():
    return 7


def wait(ready):
    while not ready:
        pass
    return True
"""
TESTS = """
import pytest

from mutated_here.one import seven, two, wait


@pytest.fixture(scope="module")
def shared():
    return two()


def test_a_fixture(shared):
    assert shared == 2


def test_it():
    assert wait(True)


tries = []


def test_that_fails_once():
    tries.append(seven())
    assert len(tries) > 1 or tries == [7]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    package = tmp_path / "src" / "mutated_here"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text(ONE)
    (tmp_path / "test_one.py").write_text(TESTS)
    (tmp_path / "equivalent.toml").write_text('[[one]]\nline = "SPARE = 5"\nwhat = "5 to 6"\nwhy = "Nobody asks."\n')
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    monkeypatch.setattr(mutate, "EQUIVALENT", tmp_path / "equivalent.toml")
    monkeypatch.setattr(mutate, "REPORT", tmp_path / "mutation.md")
    monkeypatch.setattr(mutate, "TARGETS", {"one": ("mutated_here.one", ("test_one.py",))})
    monkeypatch.setattr(trial, "TEST_SECONDS", 1)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "src"), *sys.path])
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_caught_mutant_is_told_from_one_that_is_not(place):
    judged = mutate.judge("one", 2, float("inf"))
    assert judged.left == []
    told = {(each.mutant.line, each.mutant.what): (each.by.partition("::")[2], each.hung) for each in judged.found}
    assert told == {
        (2, "1 to 2"): ("test_a_fixture", False), (3, "5 to 6"): ("", False), (6, "1 to 2"): ("test_a_fixture", False),
        (7, "returns nothing"): ("test_a_fixture", False), (7, "Add turned"): ("test_a_fixture", False),
        (11, "returns nothing"): ("", False), (11, "7 to 8"): ("", False), (15, "not left out"): ("test_it", True),
        (17, "True to False"): ("test_it", False), (17, "returns nothing"): ("test_it", False),
    }  # fmt: skip
    again = mutate.judge("one", 1, float("inf"), again=True)
    assert [each[1:] for each in again.found] == [each[1:] for each in judged.found]
    mutate.write_report({"one": judged})
    text = mutate.REPORT.read_text()
    assert "| `guard/one.py` | 10 | 0 | 7 | 1 | 1 | 2 | 70.0 % | 77.8 % |" in text
    assert "- `guard/one.py` line 11: 7 to 8" in text
    assert "- `guard/one.py` line 3: 5 to 6. Nobody asks." in text


@pytest.mark.slow
def test_what_is_red_without_a_change_or_alone_proves_nothing(place):
    needy = "import mutated_here.one as one\n\n\ndef test_first():\n    one.seen = 1\n\n\n"
    (place / "test_one.py").write_text(needy + "def test_second():\n    assert one.seen\n    assert one.two() == 2\n")
    judged = mutate.judge("one", 1, float("inf"))
    assert judged.killed == 0
    assert {each.line for each in judged.left} == {2, 3, 6, 7}
    (place / "test_one.py").write_text("def test_red():\n    assert False\n")
    with pytest.raises(SystemExit, match="red without any change"):
        mutate.judge("one", 1, float("inf"))


def test_the_list_of_equivalents_fits_what_is_there(place):
    every = list(mutants(ONE))
    assert [(mutant.what, why) for mutant, why in mutate.read_equivalent("one", ONE, every)] == [
        ("5 to 6", "Nobody asks.")
    ]
    mutate.EQUIVALENT.write_text('[[one]]\nline = "SPARE = 9"\nwhat = "9 to 10"\nwhy = "gone"\n')
    with pytest.raises(SystemExit, match="0 mutants fit"):
        mutate.read_equivalent("one", ONE, every)


def test_what_was_not_judged_is_said(place):
    made = [Mutant(line, f"change {line}", "") for line in (1, 2, 3)]
    mutate.write_report({"policy": mutate.Judged([mutate.Verdict(made[0], "test_x")], made[1:], [])})
    assert "| `guard/policy.py` | 3 | 2 | 1 | 0 | 0 | 0 | 100.0 % | 100.0 % |" in mutate.REPORT.read_text()
