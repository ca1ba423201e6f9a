from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.base.errors import Usage
from sluicegate.cli import leaks

GOOD = {
    "ok": True, "secrets": ["a", "b"], "runs": {"out": "succeeded"}, "swap": [], "hits": [], "unread": [], "not_done": {},
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
    assert bad.endswith("1 leaks, 1 not searched, 0 not done\n")


@pytest.mark.security
def test_a_run_that_did_not_end_as_it_should_is_told_and_is_no_proof(capsys):
    leaks._print({**GOOD, "ok": False, "runs": {"out": "failed"}, "not_done": {"out": "failed"}})
    said = capsys.readouterr().out
    assert "not done: out failed, but should end as finished_with_rejects" in said
    assert "nothing found" not in said


@pytest.mark.security
def test_only_the_owner_of_the_home_starts_it_lest_the_server_lose_its_folders(tmp_path, monkeypatch):
    (tmp_path / "sluice.toml").write_text("")
    monkeypatch.setattr(leaks.os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(Usage, match="belongs to another user") as raised:
        leaks.Proof(tmp_path, tmp_path)
    assert "as that user" in raised.value.hint
    assert not (tmp_path / "data").exists()


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
