from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow
FLOW = """
kind: connection
name: here
type: files
---
kind: flow
name: f
params: { low: { type: int64, default: 1 } }
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - map: { name: more, from: rows, where: "id > :low", columns: { id: id, twice: "2 * price" } }
  - write: { name: out, from: more, connection: here, item: "out.csv", mode: replace }
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "in.csv").write_text("id,price\n1,1\n2,9\n")
    (tmp_path / "f.yaml").write_text(FLOW)
    return tmp_path / "f.yaml"


def test_a_flow_is_explained_without_a_server(call, file):
    told = call("explain", "--local", file)
    assert told.code == 0
    assert "more: map from rows, in the jail" in told.out
    assert "out: replace of more to here/out.csv" in told.out
    assert "way: batches: step more (map) works on the rows" in told.out
    found = call("explain", "--local", file, "f", "-p", "low=2", "--json").json
    assert found["steps"][0]["columns"] == {"id": "int64", "price": "int64"}
    assert not (file.parent / "out.csv").exists()


def test_what_is_wrong_is_told_in_one_sentence(call, file):
    assert call("explain", "--local", file, "-p", "gone=1").code == 2
    assert "go with --local" in call("explain", "f", "other").err
    (file.parent / "in.csv").unlink()
    told = call("explain", "--local", file)
    assert told.code == 1
    assert "step rows" in told.err


@pytest.mark.security
def test_words_of_a_server_cannot_write_to_the_terminal(capsys):
    from sluicegate.cli.explain import _tell

    evil = "a\x1b[2J"
    write = {"name": evil, "connection": evil, "item": evil, "mode": "append", "sealed": True, "columns": {evil: evil},
             "way": "batches", "why": evil}  # fmt: skip
    step = {"name": evil, "type": "read", "inputs": [evil], "columns": {evil: evil}, "runs_in": "task"}
    _tell({"steps": [step], "segments": [{"name": evil, "source": evil, "writes": [write]}]})
    assert "\x1b" not in capsys.readouterr().out
