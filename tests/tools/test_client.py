"""The UI's types are those of the server: drift is red here, and `tsc` is red where the page asks for what is not there."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess

import pytest

from tools import client
from tools.install import find_node

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def packages():
    assert (client.UI / "node_modules").is_dir(), "the UI's packages are missing: make ui"


def test_the_types_are_fresh(packages):
    assert client.types(client.document()) == client.TYPES.read_text(), "run: python tools/client.py"


def test_stale_types_are_seen_and_written_anew(packages, tmp_path, monkeypatch, capsys):
    fresh = client.TYPES.read_text()
    monkeypatch.setattr(client, "types", functools.cache(client.types))  # of one text they are the same each time
    monkeypatch.setattr(client, "ROOT", tmp_path)
    monkeypatch.setattr(client, "TYPES", tmp_path / "openapi.d.ts")
    assert client.main(["--check"]) == 1
    assert "openapi.d.ts is stale" in capsys.readouterr().out
    assert client.main([]) == 0
    assert (tmp_path / "openapi.d.ts").read_text() == fresh
    assert client.main(["--check"]) == 0
    assert client.main(["--document", str(tmp_path / "openapi.json")]) == 0
    assert json.loads((tmp_path / "openapi.json").read_text())["openapi"].startswith("3.1")
    assert client.main(["--nothing"]) == 2


DRIFTS = {  # an answer lost a field, a path moved, a question has another field
    "tenant_name": "tenant_title",
    "/api/v1/runs/{id}/events": "/api/v1/runs/{id}/happenings",
    "source": "text",
}


@pytest.mark.timeout(300)
def test_drifts_of_the_server_fail_the_page_s_types(packages, tmp_path):
    shutil.copytree(client.UI / "src", tmp_path / "src")
    config = json.loads((client.UI / "tsconfig.json").read_text())
    (tmp_path / "tsconfig.json").write_text(json.dumps({**config, "include": ["src"]}))  # the page, not its tests
    (tmp_path / "node_modules").symlink_to(client.UI / "node_modules")
    text = client.document()
    for before, after in DRIFTS.items():
        text = text.replace(f'"{before}"', f'"{after}"')
    (tmp_path / "src" / "openapi.d.ts").write_text(client.types(text))
    done = subprocess.run(
        [str(client.UI / "node_modules" / ".bin" / "tsc"), "--noEmit"], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**os.environ, **find_node()},
    )  # fmt: skip
    assert done.returncode != 0
    for before in DRIFTS:
        assert f"'{before}'" in done.stdout or f'"{before}"' in done.stdout, (before, done.stdout)
