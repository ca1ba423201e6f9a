"""Nothing half-written appears."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.base.errors import Failed, NoSpace, SluiceError
from sluicegate.kit.paths import Draft
from tests.fixtures.files import put, read, verbs


def test_nothing_appears_before_the_commit(root, inside):
    with root.create("a/b/c.csv") as draft:
        draft.out.write(b"1,2\n")
        draft.out.flush()
        assert not root.exists("a/b/c.csv")
        assert [entry.name for entry in root.entries()] == ["a", "a/b"]
        draft.commit()
    assert read(root, "a/b/c.csv") == b"1,2\n"
    assert [each.name for each in (inside / "a/b").iterdir()] == ["c.csv"]


def test_an_aborted_draft_leaves_the_old_file(root, inside):
    put(root, "x", b"old")
    with pytest.raises(ZeroDivisionError), root.create("x") as draft:
        draft.out.write(b"new")
        raise ZeroDivisionError
    assert read(root, "x") == b"old"
    assert [each.name for each in inside.iterdir()] == ["x"]
    draft.abort()
    with pytest.raises(Failed, match="already finished"):
        draft.commit()


def test_a_writer_that_closes_the_file_can_still_commit(root):
    with root.create("x") as draft:
        draft.out.write(b"data")
        draft.out.close()
        draft.commit()
    assert read(root, "x") == b"data"


@pytest.mark.security
def test_a_draft_is_private_and_its_name_cannot_be_guessed(root, inside):
    before = os.umask(0)
    try:
        drafts = [root.create("f/x") for _ in range(3)]
    finally:
        os.umask(before)
    names = [each.name for each in (inside / "f").iterdir()]
    assert len(set(names)) == 3
    assert all(len(name) == len(".sluice-.tmp") + 32 for name in names)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (inside / "f").iterdir()} == {0o600}
    assert stat.S_IMODE((inside / "f").stat().st_mode) == 0o700
    drafts[0].commit()
    assert stat.S_IMODE((inside / "f/x").stat().st_mode) == 0o600
    for draft in drafts[1:]:
        draft.abort()


@pytest.mark.security
def test_a_planted_temporary_file_is_never_written_through(root, inside, outside, monkeypatch):
    names = iter([b"\0" * 16, b"\1" * 16])
    (inside / f".sluice-{'00' * 16}.tmp").symlink_to(outside / "secret")
    monkeypatch.setattr(os, "urandom", lambda _size: next(names))
    with pytest.raises(Failed):
        root.create("x")
    assert (outside / "secret").read_bytes() == b"canary"


def test_commit_syncs_the_file_before_and_the_folder_after_the_rename(root, monkeypatch):
    calls = []
    sync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append(stat.S_ISDIR(os.fstat(fd).st_mode)), sync(fd)))
    monkeypatch.setattr(os, "rename", lambda *a, **k: (calls.append("rename"), rename(*a, **k)))
    put(root, "x")
    assert calls == [False, "rename", True]


def test_a_full_disk_is_no_space_and_leaves_nothing(root, inside):
    """A file-size limit gives EFBIG, so /dev/full stands in: the kernel itself says ENOSPC there."""
    draft = root.create("x")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, draft.out.fileno())
    os.close(full)
    draft.out.write(b"x" * 100)
    with pytest.raises(NoSpace):
        draft.commit()
    assert list(inside.iterdir()) == []
    draft = root.create("x")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, draft.out.fileno())
    os.close(full)
    with pytest.raises(NoSpace):
        draft.out.write(b"x" * (3 << 20))
    draft.abort()
    assert list(inside.iterdir()) == []


def test_a_really_full_file_system_is_no_space():
    size = 256 * 1024
    script = (
        "import ctypes, os, sys; from pathlib import Path\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "top = Path(sys.argv[1])\n"
        f"assert libc.mount(b'tmpfs', os.fsencode(top), b'tmpfs', 0, b'size={size}') == 0\n"
        "from sluicegate.kit.paths import Root; from sluicegate.base.errors import NoSpace\n"
        "with Root(top) as root:\n"
        "    draft = root.create('x')\n"
        "    try:\n"
        "        [draft.out.write(b'x' * 65536) for _ in range(99)]; draft.commit()\n"
        "    except NoSpace:\n"
        "        draft.abort(); print('told', list(root.entries()))\n"
    )
    home = Path("/tmp") / f"full-{os.getpid()}"
    home.mkdir(mode=0o700)
    try:
        ran = subprocess.run(
            ["unshare", "-rm", sys.executable, "-c", script, str(home)], capture_output=True, text=True, check=False
        )
    finally:
        home.rmdir()
    if ran.returncode and "unshare" in ran.stderr:
        pytest.skip("no user namespaces here")
    assert ran.stdout.strip() == "told []", ran.stderr


@pytest.mark.security
def test_no_handle_leaks(root, inside, outside):
    (inside / "link").symlink_to(outside)
    put(root, "a/b", b"1")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(5):
        put(root, "a/b", b"2")
        root.create("a/c").abort()
        root.sub("a").close()
        root.resolve("a/b")
        list(root.entries())
        root.sweep()
        for verb in verbs(root).values():
            for path in ("link", "link/secret", "absent/x", "../x"):
                try:
                    made = verb(path)
                except SluiceError:
                    continue
                if isinstance(made, Draft):
                    made.abort()
    assert sorted(os.listdir("/proc/self/fd")) == before
