from __future__ import annotations

import json

import pytest

from sluicegate.base.errors import Invalid, Usage
from sluicegate.cli import here

pytestmark = pytest.mark.slow
HEAD = "kind: connection\nname: here\ntype: files\nroot: .\n---\n"


def flow(name="f", steps="", extra=""):
    body = (
        steps
        or "  - read: { name: rows, connection: here, item: in.csv }\n  - write: { from: rows, connection: here, item: out.csv }\n"
    )
    return f"kind: flow\nname: {name}\n{extra}steps:\n{body}"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in.csv").write_text("id,price\n1,1\n2,9\n")
    return tmp_path


def test_a_flow_runs_without_a_server_a_home_or_a_key(call, folder):
    (folder / "f.yaml").write_text(HEAD + flow())
    told = call("run", "--local", folder / "f.yaml", "--json")
    assert (told.code, told.json["state"], told.json["counts"]["written"]) == (0, "succeeded", 2)
    assert (folder / "out.csv").read_text() == "id,price\n1,1\n2,9\n"
    assert not (folder / "home").exists()
    shown = call("run", "--local", folder / "f.yaml")
    assert "landed  write-2: 2 rows" in shown.err
    assert shown.out.startswith("succeeded: 2 read, 2 written, 0 rejected")


def test_names_are_found_in_the_file_first_and_then_beside_it(call, folder):
    (folder / "f.yaml").write_text(flow())
    told = call("run", "--local", folder / "f.yaml")
    assert told.code == 2
    assert "no connection 'here'" in told.err
    (folder / "others.yml").write_text(HEAD + flow("other"))
    assert call("run", "--local", folder / "f.yaml").code == 0
    assert call("run", "--local", folder / "f.yaml", "other").code == 0
    told = call("run", "--local", folder / "f.yaml", "third")
    assert told.code == 2
    assert "There are: " in told.err


def test_a_file_with_several_flows_wants_a_name(call, folder):
    (folder / "f.yaml").write_text(HEAD + flow("a") + "---\n" + flow("b"))
    told = call("run", "--local", folder / "f.yaml")
    assert told.code == 2
    assert "holds 2 flows" in told.err
    assert call("run", "--local", folder / "f.yaml", "b").code == 0
    assert call("run", "--local", folder / "none.yaml").code == 2


CHECK = (
    "  - read: { name: rows, connection: here, item: in.csv }\n"
    "  - check: {{ name: c, from: rows, rules: [ {{ column: price, between: [0, 5] }} ], on_fail: {} }}\n"
    "  - write: {{ from: c, connection: here, item: out.csv }}\n"
)


def test_rejects_are_kept_in_the_folder_that_was_named(call, folder):
    (folder / "f.yaml").write_text(
        HEAD
        + flow(
            steps=CHECK.replace("{ name: rows", "{{ name: rows").replace("in.csv }", "in.csv }}").format("quarantine")
        )
    )
    told = call("run", "--local", folder / "f.yaml", "--rejects", folder / "bad", "--json")
    assert (told.code, told.json["counts"]["rejected"]) == (3, 1)
    (file,) = (folder / "bad").iterdir()
    kept = json.loads(file.read_text())
    assert (kept["reason"], kept["row"]) == ("price must be between 0 and 5", 2)
    assert "line" not in kept
    (folder / "out.csv").unlink()
    (folder / "f.yaml").write_text(
        HEAD
        + flow(steps=CHECK.replace("{ name: rows", "{{ name: rows").replace("in.csv }", "in.csv }}").format("stop"))
    )
    told = call("run", "--local", folder / "f.yaml", "--json")
    assert (told.code, told.json["state"], told.json["error"]["code"]) == (1, "failed", "data")
    assert not (folder / "out.csv").exists()


def test_a_broken_neighbour_does_not_stop_a_whole_file(call, folder):
    (folder / "broken.yaml").write_text("steps: [\n")
    (folder / "f.yaml").write_text(HEAD + flow())
    assert call("run", "--local", folder / "f.yaml").code == 0
    (folder / "f.yaml").write_text(flow())
    told = call("run", "--local", folder / "f.yaml")
    assert told.code == 2
    assert "f.yaml:4: there is no connection 'here'" in told.err
    assert "broken.yaml:2: this is not YAML" in told.err


def test_a_folder_is_no_file(call, folder):
    told = call("run", "--local", folder)
    assert (told.code, "this is a folder" in told.err) == (2, True)


def test_errors_name_the_line_of_the_key(call, folder):
    (folder / "f.yaml").write_text(HEAD + flow().replace("steps:", "stepz:"))
    told = call("run", "--local", folder / "f.yaml")
    assert (told.code, f"{folder / 'f.yaml'}:8, flow f: stepz: unknown key" in told.err) == (2, True)


def test_what_can_never_run_is_refused_before_it_runs(call, folder):
    read = "  - read: { name: rows, connection: here, item: in.csv }\n"
    merge = "  - write: { from: rows, connection: here, item: o.csv, mode: { type: merge, keys: [id] } }\n"
    unknown = "  - map: { name: m, from: rows, where: 'id > :no' }\n"
    for more, says in ((merge, "cannot be written with mode 'merge'"), (unknown, "no parameter 'no'")):
        steps, line = read + more, 10
        (folder / "f.yaml").write_text(HEAD + flow(steps=steps))
        for words in (("run", "--local"), ("validate",)):
            told = call(*words, folder / "f.yaml", "--json")
            assert told.code == 2
            assert told.json["error"]["where"].partition(",")[0] == f"{folder / 'f.yaml'}:{line}"
            assert says in told.json["error"]["title"]


@pytest.mark.security
def test_secrets_come_from_files_or_the_environment_and_are_not_shown(monkeypatch, folder):
    (folder / "s").write_text("canary\n")
    assert here._secret("a-b", {"a-b": str(folder / "s")}, "pg").reveal() == "canary"
    monkeypatch.setenv("SLUICE_SECRET_A_B", "canary-2")
    assert here._secret("a-b", {}, "pg").reveal() == "canary-2"
    monkeypatch.delenv("SLUICE_SECRET_A_B")
    with pytest.raises(Invalid, match="SLUICE_SECRET_A_B"):
        here._secret("a-b", {}, "pg")
    with pytest.raises(Usage, match="cannot be read"):
        here._secret("a-b", {"a-b": str(folder / "none")}, "pg")


@pytest.mark.security
def test_a_flow_reads_nothing_outside_the_folder_its_connection_names(call, folder):
    (folder / "inner").mkdir()
    head = HEAD.replace("root: .", "root: inner")
    for item in ("../in.csv", "/etc/passwd"):
        steps = f"  - read: {{ name: rows, connection: here, item: '{item}', format: csv }}\n  - write: {{ from: rows, connection: here, item: out.csv }}\n"
        (folder / "f.yaml").write_text(head + flow(steps=steps))
        told = call("run", "--local", folder / "f.yaml", "--json")
        assert told.code != 0
        assert not (folder / "inner" / "out.csv").exists()


def test_what_is_new_is_read_and_the_file_says_up_to_where(call, folder):
    steps = (
        "  - read: { name: rows, connection: here, item: in.csv, since: { column: id } }\n"
        "  - write: { from: rows, connection: here, item: out.csv }\n"
    )
    (folder / "f.yaml").write_text(HEAD + flow(steps=steps))
    assert call("run", "--local", folder / "f.yaml").code == 2
    for read in (2, 0):
        told = call("run", "--local", folder / "f.yaml", "--state", folder / "s.json", "--json")
        assert (told.code, told.json["counts"]["read"]) == (0, read)
    assert json.loads((folder / "s.json").read_text()) == {
        "f": {"rows": {"column": "id", "type": "int64", "value": "2"}}
    }
    full = call("run", "--local", folder / "f.yaml", "--state", folder / "s.json", "--full", "--json")
    assert full.json["counts"]["read"] == 2
    assert "since: all rows; the highest id is kept" in call("explain", "--local", folder / "f.yaml").out
