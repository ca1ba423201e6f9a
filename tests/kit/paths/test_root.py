"""What a root tells of its files, and what it sweeps away."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.base.errors import Denied, Failed
from sluicegate.kit.paths import Entry, Root, beneath
from tests.fixtures.files import put, read


def test_entries_are_sorted_and_complete(root, inside, outside):
    for path in ("b", "a/z", "a/b/c", "a-b", "a.txt"):
        put(root, path, b"12345")
    draft = root.create("a/draft")  # its temporary file must not show
    (inside / "link").symlink_to(outside)
    (inside / "bad\n").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(inside) + b"/\xff")).write_bytes(b"")
    os.mkfifo(inside / "fifo")
    found = list(root.entries())
    assert [entry.name for entry in found] == ["a", "a/b", "a/b/c", "a/z", "a-b", "a.txt", "b"]
    assert [entry.is_dir for entry in found] == [True, True, False, False, False, False, False]
    assert [entry.name for entry in root.entries("a")] == ["a/b", "a/b/c", "a/z"]
    assert found[2].bytes == 5
    assert found[2] == root.stat("a/b/c")
    assert abs(found[2].modified - (inside / "a/b/c").stat().st_mtime) < 1
    draft.abort()


def test_a_missing_file_is_told_by_name(root):
    for verb in (root.open, root.stat, root.delete, root.sub, lambda path: list(root.entries(path))):
        with pytest.raises(Failed, match=r"There is no file 'x/y\.csv'\.") as caught:
            verb("x/y.csv")
        assert caught.value.where == "x/y.csv"
    assert not root.exists("x/y.csv")
    put(root, "x", b"1")
    assert not root.exists("x/y.csv")
    with pytest.raises(Failed, match="is a file, not a folder"):
        root.create("x/y.csv")


def test_delete_takes_files_and_empty_folders(root):
    put(root, "a/b")
    with pytest.raises(Failed):
        root.delete("a")
    root.delete("a/b")
    root.delete("a")
    assert list(root.entries()) == []


def test_resolve_gives_a_path_for_present_and_new_files(root, inside):
    put(root, "a/b")
    assert root.resolve("a/b") == (inside / "a/b").resolve()
    assert root.resolve("a/new.db") == (inside / "a").resolve() / "new.db"
    assert root.resolve("a") == (inside / "a").resolve()
    with pytest.raises(Failed):
        root.resolve("absent/new.db")


@pytest.mark.security
def test_sub_is_a_smaller_root(root):
    put(root, "secret", b"1")
    with root.sub("tenant/one", create=True) as sub:
        put(sub, "x", b"2")
        for path in ("../../secret", "../x"):
            with pytest.raises(Denied):
                sub.open(path)
        assert [entry.name for entry in sub.entries()] == ["x"]
        assert sub.stat("x")[:3] == Entry("x", False, 1, 0.0)[:3]
    assert read(root, "tenant/one/x") == b"2"
    with pytest.raises(Failed, match="no file 'absent'"):
        root.sub("absent")
    with pytest.raises(Failed):
        root.sub("secret")


def test_sweep_removes_what_the_dead_left_and_nothing_else(root, inside):
    kept = root.create("a/alive")
    dead = inside / "a" / f".sluice-{'ab' * 16}.tmp"
    dead.write_bytes(b"half")
    (inside / f".sluice-{'cd' * 16}.tmp").write_bytes(b"half")
    (inside / ".sluice-mine.tmp").write_bytes(b"")
    assert root.sweep() == 2
    assert not dead.exists()
    assert (inside / ".sluice-mine.tmp").exists()
    kept.out.write(b"1")
    kept.commit()
    assert read(root, "a/alive") == b"1"


def test_sweep_clears_up_after_a_killed_process(root, inside):
    script = (
        "import os, sys, signal; from pathlib import Path; from sluicegate.kit.paths import Root\n"
        "draft = Root(Path(sys.argv[1])).create('x'); draft.out.write(b'x'); draft.out.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(inside)], check=False).returncode == -9
    assert len(list(inside.iterdir())) == 1
    assert root.sweep() == 1
    assert list(inside.iterdir()) == []


def test_a_sweep_between_making_and_locking_costs_only_a_new_name(root, inside, monkeypatch):
    lock, met = fcntl.flock, []

    def swept_first(fd, how):
        if not met:
            met.append(fd)
            next(inside.iterdir()).unlink()
        return lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", swept_first)
    put(root, "x", b"1")
    assert read(root, "x") == b"1"


def test_a_root_must_be_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name in ("absent", "file"):
        with pytest.raises(Failed, match="There is no folder"):
            Root(tmp_path / name)
    with Root(tmp_path / "new" / "deep", create=True) as root:
        put(root, "x")
    root.close()
    with pytest.raises(Failed):
        root.open("x")


def test_the_call_is_really_used_here(tmp_path):
    (tmp_path / "x").write_bytes(b"1")
    top = os.open(tmp_path, os.O_RDONLY)
    try:
        os.close(beneath._openat2(top, "x", os.O_RDONLY))
    finally:
        os.close(top)


@pytest.mark.security
def test_a_file_for_a_driver_is_made_for_its_owner_alone_and_never_over_another(tmp_path):
    with Root(tmp_path) as root:
        before = os.umask(0)
        try:
            assert root.make("x.db")
        finally:
            os.umask(before)
        assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600
        (tmp_path / "x.db").write_text("full")
        assert not root.make("x.db")
        assert (tmp_path / "x.db").read_text() == "full"
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        assert not root.make("link")
        assert not (tmp_path / "elsewhere").exists()
        with pytest.raises(Denied):
            root.make("../x.db")
        assert root.stat("x.db").inode == (tmp_path / "x.db").stat().st_ino


def test_a_mounted_file_is_read_through_links_that_stay_inside(root, inside, way):
    (inside / "data").mkdir()
    (inside / "data" / "a").write_bytes(b"1")
    (inside / "..data").symlink_to("data")
    (inside / "a").symlink_to("..data/a")
    if way == "walk":
        with pytest.raises(Failed):  # only the kernel can follow a link and stay inside
            root.open_mounted("a")
        return
    with root.open_mounted("a") as file:
        assert file.read() == b"1"


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_a_mounted_file_is_not_read_from_outside_nor_when_others_can_write_it(root, inside, outside, way):
    (outside / "secret").write_bytes(b"canary")
    (inside / "absolute").symlink_to(outside / "secret")
    (inside / "folder").symlink_to(outside)
    (inside / "magic").symlink_to("/proc/self/environ")
    (inside / "hard").hardlink_to(outside / "secret")
    os.mkfifo(inside / "fifo")
    refusal = Denied if way == "openat2" else (Denied, Failed)
    for path in ("absolute", "folder/secret", "magic", "hard", "fifo", "../outside/secret", "/etc/passwd"):
        with pytest.raises(refusal):
            root.open_mounted(path)
    (inside / "plain").write_bytes(b"1")
    for mode in (0o620, 0o602):
        (inside / "plain").chmod(mode)
        with pytest.raises(refusal):
            root.open_mounted("plain")
    if os.geteuid() == 0:
        (inside / "plain").chmod(0o644)
        os.chown(inside / "plain", 4242, 4242)
        with pytest.raises(refusal):
            root.open_mounted("plain")
