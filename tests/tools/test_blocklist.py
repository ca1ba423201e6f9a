"""The list of common passwords: what is taken from its source, and that the package holds it."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from sluicegate.crypto.hashset import HashSet
from tools import blocklist

ROOT = Path(__file__).resolve().parent.parent.parent
HATCH = ROOT / ".venv-tools" / "bin" / "hatchling"


def test_long_entries_are_kept_and_of_the_short_only_common_words():
    lines = ["dragon", "123456", "qwerty12345678", "QWERTY12345678", "abc", "x" * 300, "rare" * 4]
    assert blocklist.choose(lines) == {"dragon", "qwerty12345678", "rarerarerarerare"}
    assert blocklist.choose(["x1"] * blocklist.WORDS_FROM + ["dragon"]) == set(), (
        "a word that is not common is not kept"
    )


def test_the_list_is_written_from_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(blocklist, "ROOT", tmp_path)
    monkeypatch.setattr(blocklist, "TARGET", tmp_path / "set.bin")
    (tmp_path / "words.txt").write_text("dragon\nqwerty12345678\n")
    assert blocklist.main(["--source", str(tmp_path / "words.txt")]) == 0
    first = (tmp_path / "set.bin").read_bytes()
    assert "2 entries" in capsys.readouterr().out
    assert "qwerty12345678" in HashSet(tmp_path / "set.bin")
    blocklist.main(["--source", str(tmp_path / "words.txt")])
    assert (tmp_path / "set.bin").read_bytes() == first, "it depends on nothing else"
    assert blocklist.main(["--help"]) == 2


@pytest.mark.security
@pytest.mark.req("SEC-A04")
def test_another_release_of_the_source_is_refused(tmp_path, monkeypatch):
    def pack(*_given, cwd, **_more):
        (cwd / "a.tgz").write_bytes(b"something else")
        return subprocess.CompletedProcess([], 0, "a.tgz\n", "")

    monkeypatch.setattr(blocklist.subprocess, "run", pack)
    monkeypatch.setattr(blocklist, "find_node", dict)
    with pytest.raises(ValueError, match="digest differs"):
        blocklist.fetch(tmp_path)


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-A04")
def test_a_wheel_holds_the_list_and_its_licence(tmp_path):
    if not HATCH.exists():
        pytest.skip("the tools are not installed")
    done = subprocess.run(
        [HATCH, "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as found:
        for name in ("common-passwords.bin", "common-passwords.md"):
            assert found.read(f"sluicegate/guard/data/{name}") == blocklist.TARGET.with_name(name).read_bytes()
