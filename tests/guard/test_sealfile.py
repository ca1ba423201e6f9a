"""The file of the seal: put into place whole, or not at all."""

from __future__ import annotations

import contextlib
import stat

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.crypto.keys import create_key_file, new_key
from sluicegate.guard import sealfile
from sluicegate.guard.sealfile import KEY_FILE, NEXT_FILE, SEAL_FILE, SealFile
from sluicegate.guard.seals.file import InFile
from sluicegate.guard.seals.seal import name_of


@pytest.fixture
def file(tmp_path):
    create_key_file(tmp_path / KEY_FILE)
    return SealFile(tmp_path)


def other(root=None):
    root = root or new_key()
    return {"seal": "shamir", "root": name_of(root), "made": "", "wrapped": "x"}


def names(home):
    return sorted(each.name for each in home.iterdir())


def test_a_key_file_is_a_seal(file, tmp_path):
    state = file.read()
    assert (state["seal"], state["root"]) == ("file", name_of(InFile().open(state)))
    assert SealFile(tmp_path / "nowhere").exists is False
    with pytest.raises(Invalid, match="it has no root key"):
        SealFile(tmp_path / "nowhere").read()


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_what_the_store_is_under_is_put_into_place_and_the_old_one_is_gone(file, tmp_path):
    old, new = (tmp_path / KEY_FILE).read_bytes(), other()
    with (tmp_path / KEY_FILE).open("rb") as held:
        file.begin(new)
        assert file.settle(new["root"])
        assert held.read().strip(b"\0") == b"", "what was on the disk is overwritten"
    assert file.read() == new
    assert names(tmp_path) == [SEAL_FILE]
    assert old not in (tmp_path / SEAL_FILE).read_bytes()
    back = InFile().make(new_key()).state
    file.begin(back)
    assert file.settle(back["root"])
    assert names(tmp_path) == [KEY_FILE]
    assert file.read()["root"] == back["root"]


@pytest.mark.security
@pytest.mark.parametrize("root", [None, "of another"])
def test_what_the_store_is_not_under_is_dropped(file, tmp_path, root):
    before = file.read()
    file.begin(other())
    assert file.settle(root) is False
    assert (file.read(), file.pending(), names(tmp_path)) == (before, None, [KEY_FILE])


@pytest.mark.security
@pytest.mark.req("SEC-V05")
@pytest.mark.parametrize("kinds", ["to another", "to a key file", "to a new key"])
def test_cut_off_anywhere_it_can_be_finished(tmp_path, monkeypatch, kinds):
    steps = ["replace", "unlink", "sync_folder"]
    for cut in range(1, 12):
        home = tmp_path / f"{kinds} {cut}"
        home.mkdir()
        file = SealFile(home)
        file.write(other() if kinds == "to a key file" else InFile().make(new_key()).state)
        new = other() if kinds == "to another" else InFile().make(new_key()).state
        file.begin(new)
        left = [cut]

        def counted(real, left=left):
            def act(*given, **more):
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
                return real(*given, **more)

            return act

        with monkeypatch.context() as patch:
            for name in steps[:2]:
                patch.setattr(f"pathlib.Path.{name}", counted(getattr(type(home), name)))
            patch.setattr(sealfile, "sync_folder", counted(sealfile.sync_folder))
            with contextlib.suppress(KeyboardInterrupt):
                file.settle(new["root"])
        SealFile(home).settle(new["root"])
        assert SealFile(home).read()["root"] == new["root"]
        assert NEXT_FILE not in names(home)
        assert len(names(home)) == 1 or names(home) == [f"{KEY_FILE}.part", KEY_FILE], names(home)


@pytest.mark.security
def test_two_seals_and_broken_ones_are_refused(file, tmp_path):
    seal = tmp_path / SEAL_FILE
    seal.write_text('{"seal": "shamir", "root": "x", "made": ""}')
    seal.chmod(0o600)
    with pytest.raises(Invalid, match="two seals"):
        file.read()
    (tmp_path / KEY_FILE).unlink()
    assert file.read()["seal"] == "shamir"
    for text in ("", "[]", "{", "\0" * 9, '{"seal": 1, "root": "x", "made": ""}', '{"root": "x", "made": ""}'):
        seal.write_text(text)
        with pytest.raises(Invalid, match="the seal"):
            file.read()
    seal.write_text('{"seal": "shamir", "root": "x", "made": ""}')
    seal.chmod(0o640)
    with pytest.raises(Invalid, match="mode 0640"):
        file.read()


@pytest.mark.security
def test_all_files_are_ours_alone(file, tmp_path):
    file.begin(other())
    file.keep_ring(b"ring")
    file.keep_ring(b"another")
    assert file.ring() == b"another"
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
