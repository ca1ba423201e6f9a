from __future__ import annotations

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
