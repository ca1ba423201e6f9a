"""A file that grows past 400 lines, or a name that says nothing, is a module that wants to be split or named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.tree import list_files

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 400
CODE = {".py", ".ts", ".tsx", ".js", ".sh"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common"}
GENERATED = {"ui/src/openapi.d.ts"}


@pytest.fixture(scope="module")
def files():
    return [
        path for path in list_files(ROOT) if path.suffix in CODE and path.relative_to(ROOT).as_posix() not in GENERATED
    ]


def test_no_file_is_too_long(files):
    counts = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in files}
    assert {name: count for name, count in counts.items() if count > LONGEST} == {}


def test_no_name_is_empty(files):
    assert [path for path in files if EMPTY_NAMES & set(path.stem.removeprefix("test_").split("_"))] == []
