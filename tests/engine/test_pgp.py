"""The child that seals and opens OpenPGP messages."""

import io
import os
import threading
import time
from pathlib import Path

import pytest

from sluicegate.base.errors import Corrupt, Internal
from sluicegate.crypto.seal import openpgp
from sluicegate.engine import pgp

pytestmark = pytest.mark.slow

KEY, CERT = openpgp.new_key("a <a@example.org>")


def sealed(data):
    out = io.BytesIO()
    with pgp.seal_to([CERT], KEY, out) as writer:
        writer.write(data)
    return out.getvalue()


def is_ours(process):
    try:
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and b"sluicegate.engine.pgp" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def children(patience=0.0):
    until = time.monotonic() + patience
    while True:
        found = [each for each in Path("/proc").iterdir() if each.name.isdigit() and is_ours(each)]
        if found or time.monotonic() > until:
            return found
        time.sleep(0.01)


@pytest.mark.security
def test_keys_are_neither_in_the_arguments_nor_in_the_environment_of_the_child():
    left, right = os.pipe()
    reader = pgp.open_sealed(KEY, [], os.fdopen(left, "rb"))
    (child,) = children(10)
    told = (child / "cmdline").read_bytes()
    if os.access(child / "environ", os.R_OK):  # it shuts itself off: then only root reads it
        told += (child / "environ").read_bytes()
    os.close(right)
    with pytest.raises(Corrupt):
        reader.read()
    assert b"PRIVATE" not in told
    assert KEY.reveal().encode()[100:140] not in told


@pytest.mark.security
def test_a_child_that_is_killed_leaves_an_error_and_no_archive():
    out = io.BytesIO()
    writer = pgp.seal_to([CERT], KEY, out)
    writer.write(b"x" * 100_000)
    (child,) = children(10)
    os.kill(int(child.name), 9)
    with pytest.raises(Internal):
        writer.close()
    with pytest.raises(Corrupt):
        pgp.open_sealed(KEY, [CERT], io.BytesIO(out.getvalue())).read()


@pytest.mark.security
def test_nothing_is_left_running():
    reader = pgp.open_sealed(KEY, [CERT], io.BytesIO(sealed(os.urandom(5_000_000))))
    reader.read(10)
    reader.close()
    dropped = pgp.seal_to([CERT], KEY, io.BytesIO())
    dropped.write(b"x")
    dropped.abort()
    assert children() == []
    assert not [each for each in threading.enumerate() if each.name.startswith("seal")]
