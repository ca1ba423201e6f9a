"""Files: nothing opens outside the root, nothing half-written appears."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Denied, Failed, Invalid, NoSpace, SluiceError
from sluicegate.kit import paths
from sluicegate.kit.paths import Entry, Root, check

TRAVERSAL = [
    "..", "../x", "a/../../x", "a/..", "./x", "a/./b", ".", "/etc/passwd", "//etc/passwd", "/proc/self/environ",
    "/proc/self/root/etc/passwd", "..\\x", "a\\..\\..\\x", "\\\\host\\share", "\\etc", "C:\\x", "C:/x", "c:x",
    "%2e%2e/x", "%2E%2E%2Fx", "a%2fb", "a%5cb", "%252e%252e/x", "x%00.csv", "x\0.csv", "..\0/x",
    "．．/x", "‥/x", "․․/x", "a／b", "a＼b", "a﹨b", "…", "％2e％2e/x", "．", ".．",  # noqa: RUF001 - the attack
    ".sluice-0123456789abcdef0123456789abcdef.tmp",
]  # fmt: skip
UNUSABLE = [
    "", "a//b", "a/", "CON", "nul", "a/aux.csv", "COM1", "com9.txt", "LPT1", "COM¹", "ＣＯＮ", "con .txt",  # noqa: RUF001 - the attack
    "CONIN$", "a.", "a ", "a./b", "b /c", "a\nb", "a\x7fb", "a\x1b[2J", "a\x85b", "a\u2028b", "a\u202eb", "a\u2066b",
    "a\udc80b", "x" * 256, "é" * 128, "/".join(["a" * 200] * 21),
]  # fmt: skip
USABLE = [
    "a", "a/b/c.csv", "..a", "a..b", "a...b", ".hidden", "año/é.csv", "e\u0301.csv", "a..e\u0301", "100%.csv", "~",
    "~root/x",
    "console.csv", "com10", "lpt", "a b.csv", "日本.csv", "x" * 255, "2013-01-01T00:00.csv", "$HOME", "-rf", "½",
]  # fmt: skip


@pytest.fixture(params=["openat2", "walk"])
def way(request, monkeypatch):
    """Both ways of opening: the system call and, as on a kernel without it, the walk."""
    if request.param == "walk":

        def refuse(top, path, flags):
            raise OSError(errno.ENOSYS, "openat2")

        monkeypatch.setattr(paths, "_openat2", refuse)
    return request.param


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"canary")
    return folder


@pytest.fixture
def root(way, outside, tmp_path):
    with Root(tmp_path / "root", create=True) as held:
        yield held


@pytest.fixture
def inside(root, tmp_path):
    return tmp_path / "root"


def put(root, path, data=b"x"):
    with root.create(path) as draft:
        draft.out.write(data)
        draft.commit()


def read(root, path):
    with root.open(path) as file:
        return file.read()


def verbs(root):
    return {
        "open": root.open,
        "create": root.create,
        "stat": root.stat,
        "exists": root.exists,
        "delete": root.delete,
        "resolve": root.resolve,
        "sub": root.sub,
        "entries": lambda path: list(root.entries(path)),
    }


@pytest.fixture(params=["open", "create", "stat", "exists", "delete", "resolve", "sub", "entries"])
def verb(request, root):
    return verbs(root)[request.param]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize("path", TRAVERSAL)
def test_a_path_that_leads_out_is_denied(path):
    with pytest.raises(Denied):
        check(path)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize("path", UNUSABLE)
def test_an_unusable_name_is_invalid(path):
    with pytest.raises(Invalid):
        check(path)


@pytest.mark.parametrize("path", USABLE)
def test_an_ordinary_name_is_taken(path, root):
    assert check(path) == tuple(path.split("/"))
    put(root, path, path.encode())
    assert read(root, path) == path.encode()
    assert root.exists(path)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_every_verb_checks_the_name(verb):
    for path in TRAVERSAL:
        with pytest.raises(Denied):
            verb(path)


@pytest.mark.security
def test_a_refusal_prints_no_control_characters():
    for path in ("a\x1b[2J/../x", "a\u202eb", "a\nb", "a\0b", "a\udc80"):
        with pytest.raises(SluiceError) as caught:
            check(path)
        assert all(unicodedata.category(sign) not in ("Cc", "Cf", "Cs") for sign in str(caught.value))


def test_the_refusal_names_the_problem():
    for path, word in (
        ("/x", "absolute"),
        ("a/../b", "'..'"),
        ("a\\b", "backslash"),
        ("a\0", "NUL"),
        ("%2e", "percent"),
    ):
        with pytest.raises(Denied, match=word):
            check(path)
    with pytest.raises(Invalid, match="device"):
        check("aux.csv")


SIGNS = st.sampled_from([*"./\\%2eEfFcC5a: \0\x1f~", "．", "／", "＼", "‥", "％", "é", "\u202e"])  # noqa: RUF001 - the attack


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@given(st.one_of(st.text(SIGNS, max_size=12), st.text(max_size=40)))
@example("a/‥/b")
@settings(max_examples=100, deadline=None)
def test_what_passes_the_check_stays_beneath_however_it_is_read(path):
    try:
        parts = check(path)
    except (Denied, Invalid):
        return
    for reading in (path, unicodedata.normalize("NFKC", path), path.replace("\\", "/")):
        joined = os.path.normpath(os.path.join("/root/of", reading))  # noqa: PTH118 - the text is the point
        assert joined.startswith("/root/of/")
        assert "\0" not in reading
    assert "/".join(parts) == path
    assert all(0 < len(part.encode()) <= 255 for part in parts)


# --- links and odd files ---------------------------------------------------------------------------------------------


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
                paths._open(top, parts, os.O_RDONLY | os.O_NOFOLLOW)
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
                os.close(paths._openat2(top, path, os.O_RDONLY))
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


@pytest.mark.security
@pytest.mark.req("SEC-F06")
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
        seen = set()
        for _ in range(2000):
            try:
                seen.add(read(root, "real/secret"))
            except (Denied, Failed):
                seen.add(None)
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


# --- drafts ----------------------------------------------------------------------------------------------------------


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
    home = Path("/tmp") / f"full-{os.getpid()}"  # noqa: S108 - a mount point, gone with the namespace
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
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, not paths
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
                if isinstance(made, paths.Draft):
                    made.abort()
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - numbers, not paths


# --- the rest --------------------------------------------------------------------------------------------------------


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
        assert sub.stat("x") == Entry("x", False, 1, sub.stat("x").modified)
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
        os.close(paths._openat2(top, "x", os.O_RDONLY))
    finally:
        os.close(top)
