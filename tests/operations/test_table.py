"""The operations table: whole, and in parts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sluicegate import operations
from sluicegate.operations import OPERATIONS, find, of


def test_each_operation_is_found_by_name_and_by_noun():
    assert [find(each.name) for each in OPERATIONS] == list(OPERATIONS)
    nouns = {each.name.partition(".")[0] for each in OPERATIONS}
    assert {each for noun in nouns for each in of(noun)} == set(OPERATIONS)
    assert of("nothing") == ()


@pytest.mark.security
def test_every_module_with_operations_is_part_of_the_table():
    folder = sys.modules["sluicegate.operations"].__path__[0]
    named = subprocess.run(["grep", "-l", "^OPERATIONS", "-r", folder, "--include=*.py"], capture_output=True, text=True, check=True)  # fmt: skip
    files = {line.rpartition("/")[2].removesuffix(".py") for line in named.stdout.split()} - {"__init__"}
    assert files == set(operations._NOUNS)


def test_one_operation_loads_one_module():
    code = (
        "import sys; from sluicegate.operations import find; find('session.whoami');"
        "print(*sorted(each for each in sys.modules if each.startswith('sluicegate.operations.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sluicegate.operations.session"]
