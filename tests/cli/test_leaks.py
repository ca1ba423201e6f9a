from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import leaks

GOOD = {
    "ok": True, "secrets": ["a", "b"], "runs": {"out": "succeeded"}, "swap": [], "hits": [], "unread": [],
    "searched": {"files": 1, "answers": 2, "processes": 3, "bytes": 5 << 20, "patterns": 4},
}  # fmt: skip


def test_a_report_is_told_in_a_few_lines(capsys):
    leaks._print(GOOD)
    leaks._print({**GOOD, "ok": False, "swap": ["/dev/sda2"], "unread": ["/x: denied"],
                  "hits": [{"secret": "api key", "form": "hex", "place": "/log\x1b[31m"}]})  # fmt: skip
    good, bad = capsys.readouterr().out.split("nothing found\n")
    assert "searched   1 files, 2 answers, 3 processes, 5 MiB, 4 patterns" in good
    assert "LEAK       api key (hex) in /log" in bad
    assert "\x1b" not in bad, "a name cannot colour the report"
    assert "UNREAD     /x: denied" in bad
    assert "to /dev/sda2; encrypt it" in bad
    assert bad.endswith("1 leaks, 1 not searched\n")


@pytest.mark.security
def test_swap_that_lies_in_clear_is_told(monkeypatch):
    text = "Filename Type Size\n/dev/sda2 partition 1\n/dev/dm-1 partition 1\n/dev/zram0 partition 1\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert leaks.swap() == ["/dev/sda2"]


def test_a_line_within_a_key_is_what_is_looked_for():
    lines = [f"{letter}" * 64 for letter in "abc"]
    pem = "\n".join(["-----BEGIN PGP PRIVATE KEY BLOCK-----", "Comment: x", "", *lines, "=abcd", "-----END-----"])
    assert leaks._inner(pem) == lines[1]


@pytest.mark.security
def test_canaries_are_all_different_and_stand_nowhere_else():
    made = {leaks._random() for _ in range(1000)}
    assert len(made) == 1000
    assert min(len(each) for each in made) >= 30
