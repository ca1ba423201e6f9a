"""Runs without a server keep where the next one begins in a file that is named."""

from __future__ import annotations

import json
import stat

import pytest

from sluicegate.base.errors import Corrupt, Usage
from sluicegate.cli.memory import Memory
from sluicegate.kit.document import parse_definition


def flow(column="at"):
    read = {"name": "a", "connection": "x", "item": "t", "since": {"column": column}}
    return parse_definition(
        {
            "kind": "flow",
            "name": "f",
            "steps": [{"read": read}, {"write": {"from": "a", "connection": "x", "item": "u"}}],
        }
    )


SEEN = {"column": "at", "type": "int64", "value": "7"}


def test_what_has_landed_is_kept_beside_what_others_keep(tmp_path):
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"other": {"a": SEEN}}))
    memory = Memory.open(file, flow(), full=False)
    assert memory.state == {}
    memory.see("a", **SEEN)
    assert "f" not in json.loads(file.read_text()), "nothing has landed yet"
    memory.land()
    memory.see("a", **{**SEEN, "value": None})
    memory.land()
    assert json.loads(file.read_text()) == {"other": {"a": SEEN}, "f": {"a": SEEN}}
    assert Memory.open(file, flow(), full=False).state == {"a": SEEN}
    assert Memory.open(file, flow(), full=True).state == {}
    assert [each.name for each in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.security
def test_it_is_for_its_owner_and_a_leftover_leads_nowhere_else(tmp_path):
    """It holds a value of a row."""
    file, other = tmp_path / "s.json", tmp_path / "other"
    other.write_text("mine")
    (tmp_path / ".s.json.draft").symlink_to(other)
    memory = Memory.open(file, flow(), full=False)
    memory.see("a", **SEEN)
    memory.land()
    assert stat.S_IMODE(file.lstat().st_mode) == 0o600
    assert (other.read_text(), file.is_symlink()) == ("mine", False)


def test_what_could_not_be_kept_is_said_before_the_first_row(tmp_path):
    for place in (tmp_path / "none" / "s.json", tmp_path):
        with pytest.raises(Usage, match="no such folder|cannot be read"):
            Memory.open(place, flow(), full=False)


def test_a_flow_that_needs_a_file_says_so(tmp_path):
    with pytest.raises(Usage, match="nothing says where"):
        Memory.open(None, flow(), full=False)
    assert Memory.open(None, flow(), full=True).state == {}
    (tmp_path / "s").write_text(json.dumps({"f": {"a": SEEN}}))
    with pytest.raises(Usage, match="'at', and now it is to be 'id'"):
        Memory.open(tmp_path / "s", flow("id"), full=False)
    plain = parse_definition({"kind": "flow", "name": "f", "steps": []})
    with pytest.raises(Usage, match="since"):
        Memory.open(tmp_path / "s", plain, full=False)
    assert Memory.open(None, plain, full=False).state == {}


@pytest.mark.security
@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"f": 1}', '{"f": {"a": 1}}', '{"f": {"a": {"column": 1}}}', "[" * 100_000]
)
def test_a_file_that_is_something_else_is_refused(tmp_path, text):
    (tmp_path / "s").write_text(text)
    with pytest.raises(Corrupt):
        Memory.open(tmp_path / "s", flow(), full=False)
