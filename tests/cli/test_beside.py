from __future__ import annotations

import pytest

from sluicegate.base.errors import Usage
from sluicegate.cli import beside

HERE = "kind: connection\nname: here\ntype: files\n"
FLOW = "kind: flow\nname: f\nsteps:\n  - read: { name: rows, connection: here, item: in.csv }\n"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "f.yaml").write_text(FLOW)
    (tmp_path / "broken.yaml").write_text("steps: [\n")
    (tmp_path / "folder.yaml").mkdir()
    return tmp_path / "f.yaml"


def test_nothing_is_read_for_a_file_that_lacks_nothing(file):
    file.write_text(HERE + "---\n" + FLOW)
    assert beside.complete(beside.read(file), [file]) == beside.Beside([])


def test_a_broken_neighbour_harms_no_other_and_is_told_when_a_name_is_missing(file):
    found = beside.complete(beside.read(file), [file])
    assert found.documents == []
    assert "broken.yaml:2: this is not YAML" in found.hint()
    (file.parent / "good.yml").write_text(HERE)
    found = beside.complete(beside.read(file), [file])
    assert [each.definition.name for each in found.documents] == ["here"]


def test_files_that_are_named_are_no_neighbours(file):
    assert beside.neighbours([file, file.parent / "broken.yaml"]) == beside.Beside([])


def test_what_is_no_text_is_told(file):
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(Usage, match="UTF-8"):
        beside.read(file)
