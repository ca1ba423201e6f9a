"""Looking for personal data, in the task."""

from __future__ import annotations

import json

import pytest

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.engine.detection import detect, looking
from sluicegate.engine.job import Job

CONNECTIONS = {"here": {"kind": "connection", "name": "here", "type": "files", "root": "."}}


def look(folder, item="in.csv", format_="", rows=100):
    ask = {"connection": "here", "item": item, "format": format_, "rows": rows}
    flow = looking("here", item, format_)
    job = Job(what="detect", run="", root=folder, flow=flow, connections=CONNECTIONS, local=True, ask=ask)
    return detect(job, lambda *_: None, lambda: False)


@pytest.mark.security
@pytest.mark.req("SEC-B11")
def test_columns_are_told_and_values_are_not(tmp_path):
    (tmp_path / "in.csv").write_text("id,x\n" + "".join(f"{n},canary{n}@example.org\n" for n in range(50)))
    told = look(tmp_path)
    assert told["rows"] == 50
    assert [(each["column"], each["category"], each["rule"], list(each["tags"])) for each in told["found"]] == [
        ("x", "email", "hash", ["personal"])
    ]
    assert "columns: [x], method: hash" in told["step"]
    assert told["tags"] == "tags: { x: [personal] }\n"
    assert "canary" not in json.dumps(told)


def test_no_more_rows_are_read_than_were_asked_for(tmp_path):
    (tmp_path / "in.csv").write_text("a\n" + "1\n" * 100_000)
    assert look(tmp_path, rows=7)["rows"] == 7


def test_the_name_of_an_item_is_taken_as_it_is(tmp_path):
    (tmp_path / "{day}.txt").write_text("a\n1\n")
    assert look(tmp_path, "{day}.txt", "csv")["rows"] == 1
    with pytest.raises(Invalid, match="does not tell a format"):
        look(tmp_path, "{day}.txt")


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_it_looks_where_the_connection_leads_and_nowhere_else(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "in.csv").write_text("a\n1\n")
    for item in ("../in.csv", "/etc/passwd", "a/../../in.csv"):
        with pytest.raises(SluiceError):
            look(tmp_path / "own", item, "csv")
