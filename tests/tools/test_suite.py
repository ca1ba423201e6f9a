"""The whole suite: tests that share something stay together on one worker."""

from __future__ import annotations

import re
import subprocess
import sys

from tools.suite import list_parts

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
        [sys.executable, "-m", "pytest", *told, "-v", "-v"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    workers = re.findall(r"\[(gw\d)\].*PASSED \S+::test_(together|anywhere)", done.stdout)
    assert len(workers) == 18
    assert len({worker for worker, name in workers if name == "together"}) == 1
