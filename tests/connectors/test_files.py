from __future__ import annotations

import errno
import os

import pytest

from sluicegate.base.errors import Denied, Failed, NoSpace
from sluicegate.conformance.connection import Given
from sluicegate.conformance.files import FilesSuite
from sluicegate.connectors.files import Files
from sluicegate.kit.context import Context
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker


@pytest.fixture
def ctx(tmp_path):
    with Root(tmp_path) as root:
        yield Context(net=Net(Egress()), files=root)


class TestFiles(FilesSuite):
    @pytest.fixture
    def given(self, ctx):
        return Given(Files(name="f"), ctx)


class TestFilesBelow(FilesSuite):
    """The same, for a folder that does not exist yet."""

    @pytest.fixture
    def given(self, ctx, tmp_path):
        (tmp_path / "out.txt").write_text("not theirs")
        (tmp_path / "in").mkdir()
        return Given(Files(name="f", root="./in/"), ctx)


def test_folder_is_made_for_writing_only(ctx, tmp_path):
    files = Files(name="f", root="new/folder")
    with files.open(ctx) as session, pytest.raises(Failed):
        session.test()
    assert not (tmp_path / "new").exists()
    with files.open(ctx) as session:
        FilesSuite.put(session, "a", b"1")
    assert (tmp_path / "new/folder/a").read_bytes() == b"1"


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize("root", ["..", "../x", "/etc", "in/../.."])
def test_root_cannot_lead_out(ctx, root):
    with Files(name="f", root=root).open(ctx) as session, pytest.raises(Denied):
        session.test()


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_links_are_not_followed(ctx, tmp_path):
    secret = tmp_path.parent / "secret.txt"
    secret.write_text("not theirs")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(secret)
    (tmp_path / "in/folder").symlink_to(tmp_path.parent)
    os.link(secret, tmp_path / "in/hard")
    (tmp_path / "linked").symlink_to(tmp_path.parent)
    with Files(name="f", root="in").open(ctx) as session:
        for name in ("link", "folder/secret.txt", "hard"):
            with pytest.raises(Denied):
                session.fetch(name)
        with pytest.raises(Denied):
            session.put("link", Marker("r", "w"))
        assert "secret.txt" not in {entry.name.split("/")[-1] for entry in session.items()}
    with Files(name="f", root="linked").open(ctx) as session, pytest.raises(Denied):
        session.fetch("secret.txt")


def test_full_disk_is_told_and_leaves_nothing(ctx, tmp_path, monkeypatch):
    def fail(_fd):
        raise OSError(errno.ENOSPC, "full")

    with Files(name="f").open(ctx) as session:
        stage = session.put("big", Marker("r", "w"))
        stage.out.write(b"x" * 100)
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(NoSpace):
            stage.commit(rows=1)
    assert list(tmp_path.iterdir()) == []


def test_digest_counts_every_kind_of_buffer(ctx):
    import hashlib

    import pyarrow as pa

    with Files(name="f").open(ctx) as session:
        stage = session.put("b", Marker("r", "w"))
        stage.out.write(b"ab")
        stage.out.write(memoryview(bytearray(b"cd")))
        stage.out.write(pa.py_buffer(b"ef"))
        assert stage.out.tell() == 6
        receipt = stage.commit(rows=3)
        with session.fetch("b") as file:
            assert file.read() == b"abcdef"
    assert receipt.sha256 == hashlib.sha256(b"abcdef").hexdigest()
