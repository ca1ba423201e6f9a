from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.cli import show

EVIL = "a\x1b[31mb\x9bc\x07\r\n\t\u202ed\x7f"


@pytest.mark.security
@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_clean_text_has_no_sign_that_a_terminal_obeys(text):
    cleaned = show.clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) == len(text)


@pytest.mark.security
def test_nothing_that_a_server_says_drives_the_terminal(capsys):
    body = {EVIL: EVIL, "list": [EVIL], "map": {EVIL: EVIL}}
    show.answer({"items": [body]}, as_json=False)
    show.answer(body, as_json=False)
    show.answer({"items": [body], EVIL: EVIL}, as_json=True)
    progress = show.Progress()
    for kind, told in (
        ("log", {"level": "info", "message": EVIL}),
        ("state", {"state": EVIL}),
        ("receipt", {"step": EVIL, "rows": 1, "bytes": 1, "guarantee": EVIL}),
        ("reject", {"step": EVIL, "line": EVIL, "column": EVIL, "reason": EVIL}),
        ("schema", {"step": EVIL, "columns": {EVIL: EVIL}}),
    ):
        progress.event(kind, told)
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 5
    assert all(each.isprintable() or each == "\n" for each in told.out + told.err)


def test_json_says_the_same_whatever_is_in_it(capsys):
    body = {"a": EVIL + "ü日🍎\U000e0001", "b": [1, None, {"c": "\n"}]}
    show.answer(body, as_json=True)
    told = capsys.readouterr().out
    assert json.loads(told) == body
    assert "ü日🍎" in told


def test_a_table_is_aligned_and_cut(capsys):
    show.table([{"a": "x", "b": ["p", "q"]}, {"a": "yyy", "b": {"k": 1}, "c": "n" * 99}], ["a", "b", "c"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A    B     C"
    assert lines[1] == "x    p, q"
    assert lines[2].startswith("yyy  k=1   nnn")
    assert lines[2].endswith("n…")
    show.table([], ["a"])
    assert capsys.readouterr().out == "nothing\n"


def test_one_thing_is_told_line_by_line_and_nothing_is_done(capsys):
    show.answer({"id": 1, "tags": ["a", "b"], "empty": None}, as_json=False)
    assert capsys.readouterr().out == "id    1\ntags  a, b\n"
    show.answer({"version": "1", "engine": {"jail": "full", "running": 0}}, as_json=False)
    assert capsys.readouterr().out == "version         1\nengine.jail     full\nengine.running  0\n"
    show.answer({"x": None}, as_json=False)
    assert capsys.readouterr().out == "done\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (3e9, "3.0 GB"), (4e12, "4.0 TB")],
)
def test_sizes_are_said_as_people_say_them(count, text):
    assert show.size(count) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_one_line_that_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = show.Progress()
    body = {"percent": 50.0, "rate": 1200, "steps": {"rows\x1b[2J": {"rows": 5000}}}
    progress.event("progress", body)
    assert "[" + "█" * 10 + "·" * 10 + "]  50.0 %  1,200 rows/s  rows�[2J 5,000" in terminal.getvalue()
    progress.event("log", {"level": "warning", "message": "careful"})
    assert terminal.getvalue().endswith("\r\x1b[2Kwarning careful\n")
    quiet = Terminal()
    monkeypatch.setattr(sys, "stderr", quiet)
    show.Progress(quiet=True).event("progress", body)
    show.Progress(quiet=True).event("log", {"message": "x"})
    assert quiet.getvalue() == ""
