"""The lists of names: what is taken from their source, and that the package holds what is written."""

from __future__ import annotations

import json
import sys

from sluicegate.kit.masks.words import LOCALES, names
from tools import namelists


def test_names_are_names_each_once_sorted():
    assert namelists.choose(["Zoë", "Ann", "Ann", "O'Neil", "x", "dr.", "ann", "Jean-Luc", "Li Na", "A1"]) == [
        "Ann", "Jean-Luc", "Li Na", "O'Neil", "Zoë",
    ]  # fmt: skip
    many = [f"{a}{b}{c}" for a in "ABCDEFGHIJ" for b in "abcdefghij" for c in "klmnopqrst"]
    assert len(namelists.choose(many)) == namelists.MOST
    assert set(namelists.choose(dict.fromkeys(many, 1) | {"Often": 9})) >= {"Often"}


def test_the_list_is_written_from_a_file(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "wheel" / "faker" / "providers" / "person"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent, folder.parent.parent):
        (package / "__init__.py").touch()
    for locale in namelists.LOCALES:
        (folder / f"{locale}.py").write_text(
            "class Provider:\n    first_names = ('Ada',)\n    last_names = ('Byron',)\n"
        )
    monkeypatch.setattr(namelists, "ROOT", tmp_path)
    monkeypatch.setattr(namelists, "TARGET", tmp_path / "data" / "names.json")
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert namelists.main(["--source", str(tmp_path / "wheel")]) == 0
    assert "30 names" in capsys.readouterr().out
    made = json.loads((tmp_path / "data" / "names.json").read_text())
    assert made["de_DE"] == {"given": ["Ada"], "family": ["Byron"]}
    assert namelists.main(["--help"]) == 2


def test_the_package_knows_the_locales_that_are_written():
    assert set(LOCALES) == set(namelists.LOCALES)
    assert all(names(locale).given for locale in LOCALES)
