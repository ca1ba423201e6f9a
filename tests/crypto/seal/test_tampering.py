"""An archive that was changed or cut does not open."""

import io
import os
import time

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto.seal import new_identity, open_sealed, seal_to
from tests.fixtures.archives import CHUNK, IDENTITY, RECIPIENT, opened, sealed


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
        seal_to([RECIPIENT] * 1001, io.BytesIO())
