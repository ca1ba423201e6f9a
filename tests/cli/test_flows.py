from __future__ import annotations

import pytest

from sluicegate.base.errors import Usage
from sluicegate.cli import flows

ONE = "kind: flow\nname: roundtrip\nsteps:\n  - read: { name: rows, connection: here, item: in.csv }\n  - write: { from: rows, connection: here, item: o.csv }\n"


def test_parameters_are_name_equals_value():
    assert flows.values(("a=1", "b=x=y", "c=")) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(Usage, match="NAME=VALUE"):
        flows.values(("a",))


def test_documents_come_from_files_and_folders(tmp_path):
    for name in ("b.yaml", "a.yml", "c.json", "d.txt"):
        (tmp_path / name).write_text(ONE)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "e.yaml").write_text(ONE)
    assert [path.name for path, _ in flows.documents((tmp_path,))] == ["a.yml", "b.yaml", "c.json"]
    assert [path.name for path, _ in flows.documents((tmp_path / "d.txt",))] == ["d.txt"]
    with pytest.raises(Usage, match="no .yaml"):
        list(flows.documents((tmp_path / "deeper" / "e.yaml", *[tmp_path / "none"][:0], _empty(tmp_path))))
    (tmp_path / "odd.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(Usage, match="UTF-8"):
        list(flows.documents((tmp_path / "odd.yaml",)))


def _empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_validate_needs_no_server_and_names_file_and_line(call, tmp_path):
    (tmp_path / "f.yaml").write_text(ONE)
    told = call("validate", tmp_path / "f.yaml", "--json")
    assert (told.code, told.json["error"]["where"]) == (2, f"{tmp_path / 'f.yaml'}:4")
    assert told.json["error"]["title"] == "there is no connection 'here'"
    (tmp_path / "here.yaml").write_text("kind: connection\nname: here\ntype: files\n")
    told = call("validate", tmp_path / "f.yaml", "--json")
    assert [(each["kind"], each["name"]) for each in told.json["items"]] == [("flow", "roundtrip")]
    (tmp_path / "f.yaml").write_text(ONE + "mood: good\n")
    told = call("validate", tmp_path / "f.yaml", "--json")
    assert told.code == 2
    assert told.json["error"]["where"] == f"{tmp_path / 'f.yaml'}:6, flow roundtrip"
    (tmp_path / "f.yaml").write_text("---\n")
    assert call("validate", tmp_path / "f.yaml").code == 2
    assert call("validate", tmp_path / "none.yaml").code == 2


@pytest.mark.slow
def test_apply_get_and_diff_go_round(place, call, tmp_path):
    file = tmp_path / "f.yaml"
    file.write_text(ONE)
    assert call("diff", file, home=place.editor).code == 1
    assert call("apply", file, home=place.editor).out == "flow roundtrip: version 1\n"
    assert call("apply", file, home=place.editor).out == "flow roundtrip: version 1 (unchanged)\n"
    assert call("get", "flow", "roundtrip", home=place.editor).out.strip() == ONE.strip()
    same = call("diff", file, home=place.editor)
    assert (same.code, same.out) == (0, "flow roundtrip: no difference\n")
    file.write_text(ONE.replace("o.csv", "p.csv"))
    changed = call("diff", file, home=place.editor)
    assert changed.code == 1
    assert "-  - write: { from: rows, connection: here, item: o.csv }" in changed.out.splitlines()
    assert call("diff", file, "--json", home=place.editor).json["items"][0]["changed"] is True
    assert call("apply", file, "--json", home=place.editor).json["items"][0]["version"] == 2
    assert "o.csv" in call("get", "flow", "roundtrip", "--version", 1, home=place.editor).out
    assert "roundtrip" in [each["name"] for each in call("get", "flows", "--json", home=place.editor).json["items"]]
    assert call("get", "flow", "nowhere", home=place.editor).code == 1


@pytest.mark.slow
def test_apply_saves_all_or_nothing(place, call, tmp_path):
    file = tmp_path / "f.yaml"
    file.write_text(
        ONE.replace("roundtrip", "first") + "---\n" + ONE.replace("roundtrip", "second").replace("here", "gone")
    )
    other = tmp_path / "a.yaml"
    other.write_text("# nothing wrong here\n" + ONE.replace("roundtrip", "zero"))
    told = call("apply", other, file, home=place.editor)
    assert told.code == 2
    assert f"{file}:10: there is no connection 'gone'" in told.err
    assert call("get", "flow", "first", home=place.editor).code == 1


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_a_folder_outside_the_tenants_directory_is_not_saved(place, call, tmp_path):
    file = tmp_path / "c.yaml"
    for root in ("/etc", "../.."):
        file.write_text(f"kind: connection\nname: out\ntype: files\nroot: {root}\n")
        told = call("apply", file, home=place.editor)
        assert told.code in (2, 4)
        assert f"{file}:4: root: " in told.err
        assert call("validate", file).code == 0
    assert call("get", "connection", "out", home=place.editor).code == 1


@pytest.mark.slow
@pytest.mark.security
def test_who_may_not_change_is_denied(place, call):
    viewer = place.user("viewer")
    told = call("apply", place.file, home=viewer)
    assert told.code == 4
    assert told.err.startswith("sluice: ")
    assert call("get", "flows", home=viewer).code == 0
    assert call("run", "copy", home=viewer).code == 4


@pytest.mark.slow
def test_connections_are_tested_listed_and_previewed(place, call):
    assert call("test", "here", home=place.editor).code == 0
    assert "in.csv" in [each["name"] for each in call("items", "here", "--json", home=place.editor).json["items"]]
    before = sorted(each.name for each in place.data.iterdir())
    told = call("preview", "copy", "cheap", "-p", "most=3", "--json", home=place.editor)
    assert told.json["rows"] == [[1, 1], [2, 2]]
    told = call("preview", "copy", "cheap", "--limit", 1, home=place.editor)
    assert told.out.splitlines() == ["ID  PRICE", "1   1"]
    assert sorted(each.name for each in place.data.iterdir()) == before
    told = call("preview", "copy", "nothing", home=place.editor)
    assert told.code != 0
    assert told.err.startswith("sluice: ")
