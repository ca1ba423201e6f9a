from __future__ import annotations

import os
import stat

import pytest

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto import seal
from sluicegate.engine.archive import make_identity, open_archive, read_identity

DATA = os.urandom(300_000)


@pytest.fixture
def identity(tmp_path):
    return tmp_path / "me.key"


@pytest.fixture
def recipient(identity):
    return make_identity(identity)


@pytest.fixture
def archive(tmp_path, recipient):
    file = tmp_path / "a.age"
    with file.open("wb") as out, seal.seal_to([recipient], out) as writer:
        writer.write(DATA)
    return file


def test_what_was_sealed_comes_out(archive, identity, tmp_path):
    assert open_archive(archive, identity, tmp_path / "out") == len(DATA)
    assert (tmp_path / "out").read_bytes() == DATA


@pytest.mark.security
def test_identity_and_plaintext_are_for_their_owner(archive, identity, tmp_path):
    open_archive(archive, identity, tmp_path / "out")
    for file in (identity, tmp_path / "out"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.security
@pytest.mark.parametrize("way", ["cut", "changed", "stranger"])
def test_nothing_appears_unless_all_of_it_has_verified(archive, identity, tmp_path, way):
    raw = bytearray(archive.read_bytes())
    if way == "changed":
        raw[-1000] ^= 1
    archive.write_bytes(raw[:-70_000] if way == "cut" else raw)
    key = identity
    if way == "stranger":
        key = tmp_path / "other.key"
        make_identity(key)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Corrupt):
        open_archive(archive, key, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_a_failed_opening_leaves_an_older_output(archive, identity, tmp_path):
    (tmp_path / "out").write_text("older")
    archive.write_bytes(archive.read_bytes()[:-10])
    with pytest.raises(Corrupt):
        open_archive(archive, identity, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "older"


@pytest.mark.security
def test_an_identity_is_never_overwritten(identity, recipient):
    before = identity.read_bytes()
    with pytest.raises(Invalid, match="exists already"):
        make_identity(identity)
    assert identity.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Invalid, match="cannot be made: No such file"):
        make_identity(tmp_path / "no" / "me.key")


def test_an_identity_file_may_hold_remarks(identity, recipient):
    identity.write_text("# mine\n\n" + identity.read_text())
    assert read_identity(identity).reveal().startswith("AGE-SECRET-KEY-1")
    identity.write_text("# nothing\n")
    with pytest.raises(Invalid, match="no age identity"):
        read_identity(identity)
