"""An archive left early does not open, and errors of the other end are told as they are."""

import gc
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.base.errors import Corrupt
from sluicegate.crypto.seal import open_sealed, seal_to
from tests.fixtures.archives import CHUNK, IDENTITY, RECIPIENT, opened, sealed

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


class FullBody(Full):
    """A disk that is full ``left`` bytes after the header, whose length is another each time (the library pads it)."""

    header = b""

    def write(self, data):
        known = len(self.header)
        self.header += bytes(data[:2000])
        end = self.header.find(b"\n", self.header.find(b"\n--- ") + 1) + 1
        if end == 0 or end >= len(self.header):
            return len(data)
        if known < end:
            return (end - known) + super().write(data[end - known :])
        return super().write(data)


NONCE, TAG = 16, 16


@pytest.mark.security
@pytest.mark.parametrize(
    ("left", "size"),
    [(0, 0), (NONCE, 1), (NONCE + TAG, 1), (NONCE + CHUNK + TAG - 1, CHUNK), (NONCE + CHUNK + TAG, 2 * CHUNK)],
)
def test_an_error_that_shows_only_at_the_end_is_raised_by_close(left, size):
    """The library itself swallows an error of its last write: a full disk would pass as a whole archive."""
    writer = seal_to([RECIPIENT], FullBody(left))
    writer.write(b"x" * size)
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert writer.closed


def test_a_disk_that_has_just_room_enough_takes_the_archive():
    writer = seal_to([RECIPIENT], FullBody(NONCE + 1 + TAG))
    writer.write(b"x")
    writer.close()


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
