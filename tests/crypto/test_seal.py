"""Sealed archives: standard age files, streamed in constant memory; a changed, cut or abandoned one does not open."""

import gc
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
from sluicegate.crypto import seal
from sluicegate.crypto.seal import Sealer, check_recipient, new_identity, open_sealed, seal_to

IDENTITY, RECIPIENT = new_identity()
CHUNK = 64 * 1024


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    before = threading.active_count()
    yield
    gc.collect()
    assert threading.active_count() == before


def sealed(data, *recipients):
    out = io.BytesIO()
    with seal_to(recipients or [RECIPIENT], out) as writer:
        writer.write(data)
    return out.getvalue()


def opened(blob, identity=IDENTITY):
    with open_sealed(identity, io.BytesIO(blob)) as reader:
        return reader.read()


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


# --- tampering ---


@pytest.mark.security
@pytest.mark.req("SEC-F01")
def test_every_cut_is_found_at_chunk_borders_too():
    data = os.urandom(3 * CHUNK)
    blob = sealed(data)
    header = len(blob) - 3 * (CHUNK + 16)
    borders = [header + n * (CHUNK + 16) for n in range(3)]
    for size in {
        0,
        1,
        21,
        22,
        100,
        header - 1,
        *borders,
        *(b + 1 for b in borders),
        *(b - 1 for b in borders),
        len(blob) - 1,
    }:
        with pytest.raises(Corrupt):
            opened(blob[:size])


@pytest.mark.security
@pytest.mark.req("SEC-F01")
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_changed_byte_is_found(data):
    place = data.draw(st.integers(0, len(SMALL) - 1))
    flip = data.draw(st.integers(1, 255))
    bad = bytearray(SMALL)
    bad[place] ^= flip
    with pytest.raises(Corrupt):
        opened(bytes(bad))


SMALL = sealed(b"x" * 300)


SIZE = CHUNK + 16  # of a sealed chunk
LARGE = sealed(os.urandom(3 * CHUNK))


@pytest.mark.security
@pytest.mark.req("SEC-F01")
@pytest.mark.parametrize(
    "bad",
    [
        LARGE + b"x",
        LARGE + LARGE,
        LARGE[:-SIZE] + LARGE[-SIZE:][::-1],
        LARGE[: -2 * SIZE] + LARGE[-SIZE:] + LARGE[-2 * SIZE : -SIZE],
        LARGE[: -2 * SIZE] + LARGE[-SIZE:],
        LARGE[:-SIZE] + LARGE[-2 * SIZE : -SIZE] + LARGE[-SIZE:],
        b"",
        b"PK\x03\x04" + LARGE,
        os.urandom(1000),
    ],
    ids=["byte more", "twice", "reversed", "swapped", "dropped", "doubled", "nothing", "prefixed", "noise"],
)
def test_added_dropped_doubled_and_swapped_chunks_are_found(bad):
    with pytest.raises(Corrupt) as told:
        opened(bad)
    assert str(told.value) == "Stored data does not verify."
    assert told.value.__cause__ is None


@pytest.mark.security
def test_only_checked_bytes_are_handed_out_and_the_fault_stays():
    data = os.urandom(20 * CHUNK)
    blob = bytearray(sealed(data))
    blob[-100] ^= 1
    got = bytearray()
    reader = open_sealed(IDENTITY, io.BytesIO(blob))
    with pytest.raises(Corrupt):
        while taken := reader.read(10_000):
            got += taken
    assert data.startswith(bytes(got))
    assert len(got) <= 19 * CHUNK
    for _ in range(3):
        with pytest.raises(Corrupt):
            reader.read(1)
    reader.close()


@pytest.mark.security
def test_an_archive_under_a_passphrase_is_refused():
    with pytest.raises(Corrupt):
        opened(pyrage.passphrase.encrypt(b"rows", "pw"))


@pytest.mark.security
def test_a_header_without_end_is_refused_soon():
    """The library alone needs a minute for 3 MB of this and reads on to the end of the stream."""

    class Endless(io.RawIOBase):
        given = 0

        def readable(self):
            return True

        def read(self, size=-1):
            start = b"age-encryption.org/v1\n-> X25519 aaaa\n"
            block = (b"A" * 64 + b"\n") * (size // 65) if self.given else start
            self.given += len(block)
            return block

    source = Endless()
    start = time.perf_counter()
    with pytest.raises(Corrupt), open_sealed(IDENTITY, source) as reader:
        reader.read(1)
    assert time.perf_counter() - start < 10
    assert source.given < 300_000


@pytest.mark.security
def test_the_most_recipients_still_open():
    recipients = [new_identity()[1] for _ in range(999)]
    blob = sealed(b"rows" * 100_000, *recipients, RECIPIENT)
    assert opened(blob) == b"rows" * 100_000
    with pytest.raises(Invalid):
        Sealer([RECIPIENT] * 1001, io.BytesIO())


# --- leaving early ---


@pytest.mark.security
def test_an_archive_left_by_an_exception_does_not_open():
    out = io.BytesIO()
    with pytest.raises(KeyError), seal_to([RECIPIENT], out) as writer:
        writer.write(b"x" * 1_000_000)
        raise KeyError
    assert writer.closed
    with pytest.raises(Corrupt):
        opened(out.getvalue())


@pytest.mark.security
def test_an_aborted_and_a_dropped_archive_do_not_open():
    aborted, dropped, unused = io.BytesIO(), io.BytesIO(), io.BytesIO()
    writer = seal_to([RECIPIENT], aborted)
    writer.write(b"x" * 1_000_000)
    writer.abort()
    writer.abort()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"x")
    lost = seal_to([RECIPIENT], dropped)
    lost.write(b"x" * 1_000_000)
    del lost
    seal_to([RECIPIENT], unused)
    gc.collect()
    for out in (aborted, dropped, unused):
        with pytest.raises(Corrupt):
            opened(out.getvalue())


def test_closing_twice_is_fine_and_the_target_stays_open():
    out = io.BytesIO()
    writer = seal_to([RECIPIENT], out)
    writer.write(b"rows")
    writer.close()
    writer.close()
    writer.abort()
    assert not out.closed
    assert opened(out.getvalue()) == b"rows"


def test_a_reader_may_leave_early():
    source = io.BytesIO(sealed(os.urandom(5_000_000)))
    reader = open_sealed(IDENTITY, source)
    assert len(reader.read(10)) == 10
    reader.close()
    reader.close()
    assert not source.closed
    open_sealed(IDENTITY, io.BytesIO(sealed(b"x" * 5_000_000)))  # dropped without a word
    gc.collect()


def test_the_process_ends_with_archives_left_open():
    program = (
        "import io, sluicegate.crypto.seal as s\n"
        "i, r = s.new_identity()\n"
        "w = s.seal_to([r], io.BytesIO()); w.write(b'x' * 5_000_000)\n"
        "o = io.BytesIO(); d = s.seal_to([r], o); d.write(b'x' * 9_000_000); d.close()\n"
        "e = s.open_sealed(i, io.BytesIO(o.getvalue())); e.read(1)\n"
        "print('end')"
    )
    source = str(Path(sys.modules["sluicegate"].__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={"PYTHONPATH": source, "PATH": os.environ["PATH"]},
    )
    assert (done.stdout, done.stderr) == ("end\n", "")


# --- faults of the other end ---


class Full(io.RawIOBase):
    """A disk that is full after ``left`` bytes."""

    def __init__(self, left):
        self.left = left

    def writable(self):
        return True

    def write(self, data):
        self.left -= len(data)
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return len(data)


@pytest.mark.parametrize("left", [0, 100, 400, CHUNK, 1_000_000])
def test_an_error_of_the_target_is_raised_as_it_is(left):
    writer = seal_to([RECIPIENT], Full(left))
    with pytest.raises(OSError, match="No space left") as told:
        for _ in range(100):
            writer.write(b"x" * 100_000)
        writer.close()
    assert told.value.errno == 28
    writer.abort()
    assert writer.closed


@pytest.mark.security
@pytest.mark.parametrize(("left", "size"), [(250, 1), (0, 0), (CHUNK, CHUNK), (CHUNK + 300, 2 * CHUNK)])
def test_an_error_that_shows_only_at_the_end_is_raised_by_close(left, size):
    """The library itself swallows an error of its last write: a full disk would pass as a whole archive."""
    writer = seal_to([RECIPIENT], Full(left))
    writer.write(b"x" * size)
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert writer.closed


def test_a_target_that_takes_little_at_a_time_gets_all():
    class Slow(io.BytesIO):
        def write(self, data):
            return super().write(data[:1000])

    out = Slow()
    with seal_to([RECIPIENT], out) as writer:
        writer.write(b"rows" * 50_000)
    assert opened(out.getvalue()) == b"rows" * 50_000


def test_a_target_that_does_not_block_is_an_error_not_a_hole():
    class Later(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            return None

    writer = seal_to([RECIPIENT], Later())
    with pytest.raises(OSError, match="blocking"):
        writer.close()


def test_an_error_of_the_source_is_raised_as_it_is_and_not_as_damage():
    class Torn(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 300_000:
                raise ConnectionResetError(104, "reset")
            return super().read(size)

    with pytest.raises(ConnectionResetError), open_sealed(IDENTITY, Torn(sealed(os.urandom(900_000)))) as reader:
        reader.read()


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
    assert ahead <= seal._BLOCK * (seal._BLOCKS + 3)
    assert writer.tell() == 6_400_000
