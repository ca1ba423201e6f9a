"""Sealed archives are standard age files, streamed in constant memory, for their recipients alone."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.seal import check_recipient, new_identity, open_sealed, seal_to, stream
from tests.fixtures.archives import CHUNK, IDENTITY, RECIPIENT, opened, sealed

SMALL = sealed(b"x" * 300)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3_000_001])
def test_what_went_in_comes_out(size):
    data = os.urandom(size)
    blob = sealed(data)
    assert blob.startswith(b"age-encryption.org/v1\n")
    assert opened(blob) == data
    assert pyrage.decrypt(blob, [pyrage.x25519.Identity.from_str(IDENTITY.reveal())]) == data


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=70_000), max_size=5), st.integers(1, 100_000))
def test_writes_and_reads_of_any_size_make_the_same_stream(parts, step):
    out = io.BytesIO()
    with seal_to([RECIPIENT], out) as writer:
        for part in parts:
            assert writer.write(part) == len(part)
        assert writer.tell() == sum(map(len, parts))
    got = bytearray()
    with open_sealed(IDENTITY, io.BytesIO(out.getvalue())) as reader:
        while taken := reader.read(step):
            assert len(taken) <= step
            got += taken
        assert reader.read(1) == b""
    assert bytes(got) == b"".join(parts)


@pytest.mark.security
@pytest.mark.req("SEC-F01")
def test_the_age_command_reads_ours_and_we_read_its(tmp_path):
    """SEC-F01: an archive opens without us."""
    age = shutil.which("age")
    assert age, "the age command is missing: apt-get install age"
    data = os.urandom(200_000)
    key = tmp_path / "key.txt"
    key.write_text(IDENTITY.reveal() + "\n")
    done = subprocess.run([age, "-d", "-i", key], input=sealed(data), capture_output=True, check=True)
    assert done.stdout == data
    for armor in ([], ["--armor"]):
        made = subprocess.run([age, *armor, "-r", RECIPIENT], input=data, capture_output=True, check=True)
        assert opened(made.stdout) == data


@pytest.mark.security
def test_each_recipient_opens_it_and_nobody_else():
    other, other_recipient = new_identity()
    stranger, _ = new_identity()
    blob = sealed(b"rows", RECIPIENT, other_recipient)
    assert opened(blob) == opened(blob, other) == b"rows"
    with pytest.raises(Corrupt):
        opened(blob, stranger)
    assert b"rows" not in blob


def test_an_identity_file_with_comments_and_several_keys_is_taken():
    other, _ = new_identity()
    text = f"# created: today\n# public key: x\n{other.reveal()}\n\n{IDENTITY.reveal()}\n"
    assert opened(sealed(b"rows"), Secret(text)) == b"rows"


def test_arrow_writes_parquet_and_csv_straight_into_it():
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    table = pa.table({"n": list(range(50_000)), "t": ["x"] * 50_000})
    out = io.BytesIO()
    with seal_to([RECIPIENT], out) as writer:
        pq.write_table(table, writer)
    assert pq.read_table(io.BytesIO(opened(out.getvalue()))).equals(table)
    out = io.BytesIO()
    with seal_to([RECIPIENT], out) as writer:
        pa.csv.write_csv(table, writer)
    assert pa.csv.read_csv(io.BytesIO(opened(out.getvalue()))).equals(table)


def test_text_and_lines_work_on_top():
    out = io.BytesIO()
    with io.TextIOWrapper(seal_to([RECIPIENT], out), encoding="utf-8", newline="") as text:
        text.write("größe\r\nzwei\r\n")
    with open_sealed(IDENTITY, io.BytesIO(out.getvalue())) as reader:
        assert list(reader) == ["größe\r\n".encode(), b"zwei\r\n"]


# --- recipients and identities ---


def test_a_recipient_has_one_form():
    assert check_recipient(RECIPIENT) == RECIPIENT
    assert check_recipient(f"  {RECIPIENT}\n") == RECIPIENT
    assert check_recipient(RECIPIENT.upper()) == RECIPIENT


NO_RECIPIENTS = {
    "nothing": "",
    "prefix": "age1",
    "name": "dpo",
    "cut": RECIPIENT[:-1],
    "checksum": RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p"),
    "longer": RECIPIENT + "x",
    "zeros": "age1" + "q" * 58,
    "mixed case": "AGE1" + RECIPIENT[4:],
    "plugin": "age1yubikey1qwerty",
    "two": RECIPIENT + "\n" + RECIPIENT,
    "ssh": "ssh-ed25519 AAAA",
}


@pytest.mark.security
@pytest.mark.parametrize("text", NO_RECIPIENTS.values(), ids=NO_RECIPIENTS.keys())
def test_what_is_no_recipient_is_refused(text):
    with pytest.raises(Invalid):
        check_recipient(text)
    out = io.BytesIO()
    with pytest.raises(Invalid):
        seal_to([RECIPIENT, text], out)
    assert out.getvalue() == b""


@pytest.mark.security
def test_a_secret_identity_given_as_a_recipient_is_refused_and_not_shown():
    for text in (IDENTITY.reveal(), IDENTITY.reveal().lower()):
        with pytest.raises(Invalid, match="secret identity") as told:
            check_recipient(text)
        assert text[16:30] not in f"{told.value} {told.value.problem()}"


@pytest.mark.security
def test_no_recipient_or_one_text_is_refused():
    for recipients in ([], "", RECIPIENT):
        with pytest.raises(Invalid, match="needs a list"):
            seal_to(recipients, io.BytesIO())


@pytest.mark.security
@pytest.mark.parametrize("text", ["", "# only a comment", RECIPIENT, "AGE-SECRET-KEY-1CANARY"], ids=range(4))
def test_what_is_no_identity_is_refused_and_not_shown(text):
    with pytest.raises(Invalid, match="not an age identity") as told:
        open_sealed(Secret(text), io.BytesIO(SMALL))
    assert "CANARY" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.security
def test_an_identity_is_a_secret_and_fresh():
    assert len({new_identity()[1] for _ in range(50)}) == 50
    assert "AGE-SECRET" not in f"{IDENTITY} {IDENTITY!r}"


# --- size ---

MEMORY = """
import hashlib, resource, sys, io, os, threading
from sluicegate.crypto.seal import new_identity, open_sealed, seal_to
identity, recipient = new_identity()
total, block = int(sys.argv[1]), os.urandom(1 << 20)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
left, right = os.pipe()
got = hashlib.sha256(); size = 0
def take():
    global size
    with open(left, "rb") as data, open_sealed(identity, data) as reader:
        while piece := reader.read(1 << 18):
            got.update(piece); size += len(piece)
thread = threading.Thread(target=take); thread.start()
start = peak()
sent = hashlib.sha256()
with open(right, "wb") as out, seal_to([recipient], out) as writer:
    for _ in range(total >> 20):
        writer.write(block); sent.update(block)
thread.join()
assert got.digest() == sent.digest() and size == total, size
print(peak() - start)
"""


@pytest.mark.security
@pytest.mark.req("SEC-F01")
@pytest.mark.slow
def test_300_megabytes_pass_in_constant_memory():
    """Sealing and opening at once, through a pipe of the kernel, so that nothing holds the whole."""
    source = str(Path(sys.modules["sluicegate"].__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(300 << 20)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={"PYTHONPATH": source, "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 24 * 1024  # KiB grown, for 300 MiB passed


def test_the_pipe_waits_for_a_slow_target():
    """Bounded: the writer cannot run ahead of the target by more than the pipe holds."""
    go = threading.Event()
    taken = hashlib.sha256()

    class Held(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            go.wait(30)
            taken.update(data)
            return len(data)

    writer = seal_to([RECIPIENT], Held())
    progress = []

    def run():
        for _ in range(64):
            writer.write(b"x" * 100_000)
            progress.append(writer.tell())
        writer.close()

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    ahead = progress[-1] if progress else 0
    go.set()
    thread.join()
    assert ahead <= stream.BLOCK * (stream._BLOCKS + 3)
    assert writer.tell() == 6_400_000
