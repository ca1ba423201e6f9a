"""The whole suite: tests that share something stay together on one worker; a red test is asked once more, alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tools import suite
from tools.suite import ROOT, list_parts

TESTS = """
import pytest

@pytest.mark.xdist_group("one place")
@pytest.mark.parametrize("number", range(6))
def test_together(number): ...

@pytest.mark.parametrize("number", range(12))
def test_anywhere(number): ...
"""


def test_a_group_of_tests_stays_on_one_worker(tmp_path):
    """It did not with a version of pytest that pytest-xdist does not know: silently, and what is shared was shared no more."""
    (tmp_path / "test_groups.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    told = list_parts()["tests"][0][3:]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *told, "-v", "-v"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    workers = re.findall(r"\[(gw\d)\].*PASSED \S+::test_(together|anywhere)", done.stdout)
    assert len(workers) == 18
    assert len({worker for worker, name in workers if name == "together"}) == 1


CROWDED = """
import pathlib
import pytest

@pytest.mark.xdist_group("one place")
@pytest.mark.parametrize("name", ["a@b", "two words"])
def test_shaky(name):
    seen = pathlib.Path(__file__).with_name(name)
    if not seen.exists():
        seen.touch()
        pytest.fail("the first time")

def test_steady(): ...
"""
BROKEN = """
def test_broken():
    assert not "ever"
"""


@pytest.mark.parametrize(
    ("tests", "red", "says"),
    [
        (
            CROWDED,
            0,
            ["shaky  test_crowd.py::test_shaky[a@b]", "shaky  test_crowd.py::test_shaky[two words]", "ok   tests"],
        ),
        (CROWDED + BROKEN, 1, ["RED  tests"]),
        (CROWDED.replace('"two words"', '"c", "d", "e", "f", "g"'), 1, ["RED  tests"]),
    ],
    ids=["shaky", "broken", "more than a few"],
)
def test_what_is_red_in_the_crowd_is_asked_once_more(tmp_path, monkeypatch, capfd, tests, red, says):
    (tmp_path / "test_crowd.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("WORKERS", "1")
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    assert suite.main(["tests"]) == red
    summary = capfd.readouterr().out.partition("== summary\n")[2]
    assert [line.strip() for line in summary.splitlines() if "shaky" in line] == [x for x in says if "shaky" in x]
    assert says[-1] in summary
