"""Where the home is."""

from __future__ import annotations

from pathlib import Path

from sluicegate.base.home import home


def test_home_is_where_the_variable_says_or_beside_the_person(tmp_path, monkeypatch):
    assert home({"SLUICE_HOME": str(tmp_path)}) == tmp_path
    assert home({}) == home({"SLUICE_HOME": ""}) == Path.home() / ".sluicegate"
    monkeypatch.chdir(tmp_path)
    assert home({"SLUICE_HOME": "here"}) == tmp_path / "here"
