"""A flow that reads a web API, from the document to the rows."""

from __future__ import annotations

import pytest

from tests.fixtures.api import Answer, pages, serving

pytestmark = pytest.mark.slow
FLOW = """\
kind: connection
name: tracker
type: http
host: localhost
port: {port}
ca: |
  {ca}
path: /v2
auth: bearer
token: {{ secret: tracker-token }}
records: data.items
paging: {paging}
---
kind: connection
name: here
type: files
---
kind: flow
name: f
params: {{ since: {{ type: date, default: 2020-01-01 }} }}
steps:
  - read: {{ name: rows, connection: tracker, item: "issues?since={{since}}", format: {{ type: json, columns: {{ price: "decimal(9,2)" }} }}, on_reject: skip }}
  - write: {{ from: rows, connection: here, item: out.csv, mode: replace }}
"""


@pytest.fixture
def api(tmp_path):
    with serving(tmp_path) as running:
        running.wants = lambda asked: asked.headers.get("authorization") == "Bearer canary-token"
        yield running


def write(folder, api, paging="offset"):
    file = folder / "f.yaml"
    file.write_text(FLOW.format(port=api.port, ca=api.ca.replace("\n", "\n  "), paging=paging))
    (folder / "token").write_text("canary-token")
    return "run", "--local", file, "-p", "since=2020-02-01", "--secret", f"tracker-token={folder / 'token'}", "--json"


def test_rows_of_all_pages_land(call, tmp_path, api):
    pages(api, "/v2/issues", "offset")
    told = call(*write(tmp_path, api))
    assert (told.code, told.json["counts"]["written"]) == (0, 7)
    assert (tmp_path / "out.csv").read_text().splitlines()[:2] == ["price,id,name", "1.10,1,row 1"]
    assert {asked.query["since"] for asked in api.asked} == {"2020-02-01"}


@pytest.mark.security
def test_a_page_that_does_not_come_leaves_nothing_behind(call, tmp_path, api):
    pages(api, "/v2/issues", "offset")
    first = api.routes["/v2/issues"]
    api.routes["/v2/issues"] = lambda asked: first(asked) if asked.query["offset"] == "0" else Answer(b"canary", 400)
    told = call(*write(tmp_path, api))
    assert told.code == 1
    assert "answers 400" in told.out + told.err
    assert "canary" not in told.out + told.err
    assert not (tmp_path / "out.csv").exists()
