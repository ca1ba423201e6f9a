from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.base.errors import Usage
from sluicegate.cli import proof


@pytest.mark.security
def test_only_the_owner_of_the_home_starts_it_lest_the_server_lose_its_folders(tmp_path, monkeypatch):
    (tmp_path / "sluice.toml").write_text("")
    monkeypatch.setattr(proof.os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(Usage, match="belongs to another user") as raised:
        proof.Proof(tmp_path, tmp_path, "prove-leaks-0")
    assert "as that user" in raised.value.hint
    assert not (tmp_path / "data").exists()


@pytest.mark.security
def test_swap_that_lies_in_clear_is_told(monkeypatch):
    text = "Filename Type Size\n/dev/sda2 partition 1\n/dev/dm-1 partition 1\n/dev/zram0 partition 1\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert proof.swap() == ["/dev/sda2"]


def test_a_line_within_a_key_is_what_is_looked_for():
    lines = [f"{letter}" * 64 for letter in "abc"]
    pem = "\n".join(["-----BEGIN PGP PRIVATE KEY BLOCK-----", "Comment: x", "", *lines, "=abcd", "-----END-----"])
    assert proof._inner(pem) == lines[1]


@pytest.mark.security
def test_canaries_are_all_different_and_stand_nowhere_else():
    made = {proof.random_word() for _ in range(1000)}
    assert len(made) == 1000
    assert min(len(each) for each in made) >= 30
