"""Nothing opens outside the root: no link, no device, no race."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
import sys
import threading
import time

import pytest

from sluicegate.base.errors import Denied, Failed
from sluicegate.kit.paths import beneath
from tests.fixtures.files import put, read


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_no_verb_follows_a_link(verb, inside, outside):
    (inside / "file").symlink_to(outside / "secret")
    (inside / "folder").symlink_to(outside)
    (inside / "near").mkdir()
    (inside / "loop").symlink_to("near")
    (inside / "proc").symlink_to("/proc/self")
    (inside / "magic").symlink_to("/proc/self/cwd")
    for path in ("file", "folder/secret", "folder/new", "loop/x", "proc/environ", "magic/x", "proc", "folder"):
        with pytest.raises(Denied, match="link"):
            verb(path)
    assert (outside / "secret").read_bytes() == b"canary"
    assert sorted(each.name for each in outside.iterdir()) == ["secret"]


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_the_walk_and_the_call_both_refuse_links_themselves(way, tmp_path, outside):
    (tmp_path / "link").symlink_to(outside)
    top = os.open(tmp_path, os.O_RDONLY)
    try:
        for parts in (("link", "secret"), ("link",)):
            with pytest.raises(OSError) as caught:
                beneath.open_beneath(top, parts, os.O_RDONLY | os.O_NOFOLLOW)
            assert caught.value.errno == errno.ELOOP
    finally:
        os.close(top)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.skipif(sys.platform != "linux", reason="openat2 is Linux's")
def test_the_kernel_itself_holds_the_path_beneath(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(b"canary")
    top = os.open(inside, os.O_RDONLY)
    try:
        for path in ("../secret", "/etc/passwd", "./../secret"):
            with pytest.raises(OSError) as caught:
                os.close(beneath._openat2(top, path, os.O_RDONLY))
            assert caught.value.errno == errno.EXDEV
    finally:
        os.close(top)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_a_hard_link_is_not_read(root, inside, outside):
    os.link(outside / "secret", inside / "twin")
    for read_it in (root.open, root.resolve):
        with pytest.raises(Denied, match="hard link"):
            read_it("twin")


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_writing_over_a_hard_link_leaves_the_other_name_alone(root, inside, outside):
    os.link(outside / "secret", inside / "twin")
    put(root, "twin", b"new")
    assert (outside / "secret").read_bytes() == b"canary"
    assert read(root, "twin") == b"new"


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.timeout(20)
def test_only_regular_files_open(root, inside):
    os.mkfifo(inside / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(inside / "sock"))
        for name in ("fifo", "sock"):
            for verb in (root.open, root.create, root.stat, root.delete, root.resolve):
                with pytest.raises(Denied, match="not a regular file"):
                    verb(name)
    (inside / "folder").mkdir()
    with pytest.raises(Failed, match="is a folder"):
        root.open("folder")
    with pytest.raises(Failed, match="is a folder"):
        root.create("folder")


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_a_device_does_not_open(root, inside):
    try:
        os.mknod(inside / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making devices needs root")
    with pytest.raises(Denied, match="not a regular file"):
        root.open("null")


def looks(root, count):
    seen = set()
    for _ in range(count):
        try:
            seen.add(read(root, "real/secret"))
        except (Denied, Failed):
            seen.add(None)
    return seen


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.timeout(60)
def test_swapping_a_folder_for_a_link_meanwhile_gives_nothing_away(root, inside, outside):
    real, link = inside / "real", inside / "link"
    real.mkdir()
    (real / "secret").write_bytes(b"mine")
    link.symlink_to(outside)
    rename = ctypes.CDLL(None, use_errno=True).renameat2  # RENAME_EXCHANGE: the two names change places in one moment
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            rename(-100, os.fsencode(real), -100, os.fsencode(link), 2)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen, until = set(), time.monotonic() + 15
        while len(seen) < 2 and time.monotonic() < until:  # both sides of the swap met, then on for a while
            seen |= looks(root, 500)
        seen |= looks(root, 1500)
    finally:
        stop.set()
        thread.join()
    assert b"canary" not in seen
    assert b"mine" in seen


@pytest.mark.security
def test_moving_the_root_away_moves_the_handle_not_the_name(root, inside, tmp_path, outside):
    put(root, "x", b"mine")
    inside.rename(tmp_path / "moved")
    inside.symlink_to(outside)
    assert read(root, "x") == b"mine"
    with pytest.raises(Failed):
        root.open("secret")
    with pytest.raises(Denied, match="not where it was"):
        root.resolve("secret")


@pytest.mark.security
def test_the_handle_is_not_inherited(root):
    with root.create("a") as draft:
        assert not os.get_inheritable(draft.out.fileno())
    assert not os.get_inheritable(root._fd)
