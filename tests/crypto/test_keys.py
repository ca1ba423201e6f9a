"""Keys hide themselves, are exactly 512 bits, and their file is ours alone."""

import base64
import copy
import hashlib
import hmac
import json
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Conflict, Invalid
from sluicegate.crypto.keys import (
    Key,
    create_key_file,
    derive,
    join,
    load_key_file,
    new_key,
    read_private,
    write_private,
)

RAW = bytes(range(64))


@pytest.mark.security
@pytest.mark.req("SEC-T03")
@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_a_key_of_another_size_is_refused(size):
    with pytest.raises(Invalid, match=f"A {size}-byte key"):
        Key(b"k" * size)


@pytest.mark.security
def test_the_key_of_zeros_is_refused():
    with pytest.raises(Invalid, match="zeros"):
        Key(bytes(64))


@pytest.mark.security
def test_a_key_does_not_show_itself():
    key = Key(b"canary-" + RAW[:57])
    shown = f"{key} {key!r} {key:>9} {[key]} %s" % key
    assert "canary" not in shown
    assert "********" in shown
    assert not hasattr(key, "__dict__")


@pytest.mark.security
def test_a_key_is_not_compared_hashed_pickled_copied_or_made_json():
    key, other = Key(RAW), Key(RAW)
    for act in (
        lambda: key == other,
        lambda: hash(key),
        lambda: pickle.dumps(key),
        lambda: copy.deepcopy(key),
        lambda: json.dumps(key),
    ):
        with pytest.raises(TypeError):
            act()


def test_fresh_keys_differ():
    assert len({new_key().raw for _ in range(1000)}) == 1000


def test_derive_is_hkdf_sha_512_of_rfc_5869():
    info = b"sluicegate/v1/audit"
    pseudorandom = hmac.digest(bytes(64), RAW, hashlib.sha512)
    assert derive(Key(RAW), "audit").raw == hmac.digest(pseudorandom, info + b"\x01", hashlib.sha512)


@pytest.mark.security
@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
def test_each_purpose_has_its_own_key(purposes):
    root = Key(RAW)
    derived = {derive(root, purpose).raw for purpose in purposes}
    assert len(derived) == len(purposes)
    assert RAW not in derived


def test_a_key_without_a_purpose_is_refused():
    with pytest.raises(Invalid, match="purpose"):
        derive(Key(RAW), "")


def test_a_key_file_comes_back(tmp_path):
    path = tmp_path / "root.key"
    made = create_key_file(path)
    assert load_key_file(path).raw == made.raw
    assert base64.b64decode(path.read_text().rstrip("\n")) == made.raw
    assert path.read_text().count("\n") == 1


@pytest.mark.security
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_a_new_key_file_has_mode_0600_under_any_umask(tmp_path, umask):
    path = tmp_path / "root.key"
    before = os.umask(umask)
    try:
        create_key_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.security
def test_a_new_key_file_is_ours_alone_from_its_first_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "root.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "root.key").stat().st_mode) == 0o600


@pytest.mark.security
def test_a_key_file_is_never_overwritten_nor_written_through_a_link(tmp_path):
    path = tmp_path / "root.key"
    made = create_key_file(path)
    with pytest.raises(Conflict):
        create_key_file(path)
    assert load_key_file(path).raw == made.raw
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Conflict):
        create_key_file(link)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_could_not_be_written_is_removed(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_private(tmp_path / "half", b"x")
    assert not (tmp_path / "half").exists()


@pytest.mark.security
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602, 0o620, 0o610, 0o601, 0o700, 0o4600])
def test_a_key_file_that_others_reach_is_refused(tmp_path, mode):
    path = tmp_path / "root.key"
    create_key_file(path)
    path.chmod(mode)
    with pytest.raises(Invalid, match=f"mode {mode:04o}") as told:
        load_key_file(path)
    assert told.value.where == str(path)
    assert "chmod 600" in told.value.hint


def test_a_stricter_mode_is_fine(tmp_path):
    path = tmp_path / "root.key"
    create_key_file(path)
    path.chmod(0o400)
    assert len(load_key_file(path).raw) == 64


@pytest.mark.security
def test_a_link_to_a_key_file_is_refused(tmp_path):
    create_key_file(tmp_path / "root.key")
    link = tmp_path / "link"
    link.symlink_to("root.key")
    with pytest.raises(Invalid, match="symbolic link"):
        load_key_file(link)
    assert read_private(link, limit=100, follow=True)


@pytest.mark.security
def test_what_is_no_regular_file_is_refused_and_does_not_hang(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(Invalid, match="not a regular file"):
        load_key_file(pipe)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(Invalid, match="not a regular file"):
        load_key_file(folder)
    with pytest.raises(Invalid, match="cannot be opened: No such file"):
        load_key_file(tmp_path / "missing")


@pytest.mark.security
def test_a_key_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "root.key"
    create_key_file(path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(Invalid, match="another user"):
        load_key_file(path)


@pytest.mark.security
@pytest.mark.req("SEC-T03")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0-byte key"),
        (base64.b64encode(RAW[:63]), "63-byte key"),
        (base64.b64encode(RAW + b"x"), "65-byte key"),
        (base64.b64encode(RAW) + b"\n\n\n", "longer than"),
        (base64.b64encode(RAW[:45]) + b"\n" + base64.b64encode(RAW[45:]), "one line of base64"),
        (b"!" * 88, "one line of base64"),
        (base64.b64encode(bytes(64)), "zeros"),
        (b"x" * 100_000, "longer than"),
        (RAW, "one line of base64"),
    ],
)
def test_a_damaged_key_file_is_refused_without_showing_it(tmp_path, content, reason):
    path = tmp_path / "root.key"
    write_private(path, content)
    with pytest.raises(Invalid, match=reason) as told:
        load_key_file(path)
    assert told.value.where == str(path)
    if len(content) > 8:
        assert content[:8].decode("latin-1") not in str(told.value).replace(str(path), "")


@pytest.mark.parametrize("module", ["keys", "envelope", "token", "password", "opaque", "chain", "seal", "tls"])
def test_importing_the_floor_loads_nothing_heavy(module):
    """The command line pays for cryptography, argon2, jwt and pyrage only when it uses them."""
    program = (
        f"import sys, sluicegate.crypto.{module}\n"
        "heavy = ('cryptography', 'argon2', 'jwt', 'pyrage', 'rfc8785', '_cffi_backend')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    source = str(Path(sys.modules["sluicegate"].__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": source, "PATH": os.environ["PATH"]},
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.security
@pytest.mark.req("SEC-V09")
def test_a_joined_key_needs_both_keys_in_their_order_and_its_purpose():
    one, other = new_key(), new_key()
    made = join(one, other, "p").raw
    assert made == join(one, other, "p").raw
    others = [join(other, one, "p"), join(one, new_key(), "p"), join(new_key(), other, "p"), join(one, other, "q")]
    assert made not in [each.raw for each in (*others, derive(one, "p"), derive(other, "p"))]
