"""Every kind of seal: what went in comes out, for who has the key, whole, or not at all (SEC-F01, SEC-F02)."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, DataError, Failed, Invalid
from sluicegate.engine.seals import Keys, open_, seal
from sluicegate.kit.seals import OpenOpenPgp
from tests.fixtures.seals import KEY, KINDS, OTHER, opened, pair, sealed, weak

pytestmark = pytest.mark.slow

CHUNK = 64 * 1024
DATA = os.urandom(3 * CHUNK + 100)
QUICK = ("age", "zip")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, CHUNK, 3_000_001])
def test_what_went_in_comes_out(kind, size):
    data = os.urandom(size)
    blob = sealed(kind, data)
    assert opened(kind, blob) == data
    assert len(data) < 32 or data[:32] not in blob


@pytest.mark.security
@pytest.mark.req("SEC-F02")
@pytest.mark.parametrize("kind", KINDS)
def test_another_key_opens_nothing(kind):
    with pytest.raises(Corrupt):
        opened(kind, sealed(kind, DATA), pair(kind).strange)


@pytest.mark.security
@pytest.mark.req("SEC-F02")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda blob: blob[: len(blob) // 2],
        lambda blob: blob[:-1],
        lambda blob: blob + b"x",
        lambda blob: blob + blob,
        lambda blob: blob[: 2 * CHUNK] + bytes([blob[2 * CHUNK] ^ 1]) + blob[2 * CHUNK + 1 :],
        lambda blob: blob[:1000] + blob[1000 + CHUNK : 1000 + 2 * CHUNK] + blob[1000 : 1000 + CHUNK] + blob[1000 + 2 * CHUNK :],
        lambda blob: blob[: CHUNK + 1000] + blob[2 * CHUNK + 1000 :],
        lambda _blob: b"",
        lambda _blob: b"PK\5\6" + bytes(18),
        lambda _blob: b"carrier,flight\nUA,1\n" * 1000,
        lambda blob: blob.replace(b"age-encryption.org/v1", b"age-encryption.org/v9").replace(b"PK\3\4", b"PK\3\5", 1)[1:],
    ],
    ids=["half", "cut", "longer", "twice", "flipped", "reordered", "hole", "empty", "empty zip", "foreign", "newer"],
)  # fmt: skip
def test_what_was_changed_does_not_open(kind, wrong):
    with pytest.raises(Corrupt):
        opened(kind, wrong(sealed(kind, DATA)))


@pytest.mark.security
@pytest.mark.req("SEC-F02")
@pytest.mark.parametrize("kind", QUICK)
def test_no_flipped_bit_changes_what_comes_out(kind):
    """ZIP proves only what is in its member, so a changed date passes; never changed content."""
    data = os.urandom(200)
    blob = sealed(kind, data)

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(blob) - 1), st.integers(0, 7))
    def flip(place, bit):
        wrong = bytearray(blob)
        wrong[place] ^= 1 << bit
        try:
            assert opened(kind, bytes(wrong)) == data
            assert kind == "zip"
        except (Corrupt, Invalid):
            pass

    flip()


@pytest.mark.security
@pytest.mark.parametrize("kind", QUICK)
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_break_the_readers(kind, blob):
    with pytest.raises((Corrupt, Invalid)):
        opened(kind, blob)


@pytest.mark.security
@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_left_early_does_not_open(kind):
    out = io.BytesIO()
    with pytest.raises(KeyError), seal(pair(kind).how, "x.csv", pair(kind).keys, out) as writer:
        writer.write(DATA)
        raise KeyError
    with pytest.raises(Corrupt):
        opened(kind, out.getvalue())


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_target_is_raised_as_it_is(kind):
    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            raise OSError(28, "No space left on device")

    writer = seal(pair(kind).how, "x.csv", pair(kind).keys, Full())
    with pytest.raises(OSError, match="No space left"):
        for _ in range(100):
            writer.write(b"x" * 100_000)
        writer.close()
    writer.abort()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_source_is_raised_as_it_is(kind):
    class Torn(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100_000:
                raise ConnectionResetError(104, "reset")
            return super().read(min(size, 50_000))

    made = pair(kind)
    with (
        pytest.raises(ConnectionResetError),
        open_(made.back, made.keys, Torn(sealed(kind, DATA)), 1 << 40, seeks=True),
    ):
        pass


@pytest.mark.security
@pytest.mark.parametrize("kind", KINDS)
def test_what_opens_to_too_much_is_stopped(kind):
    made = pair(kind)
    with pytest.raises(DataError, match="more than 1000 bytes"):
        open_(made.back, made.keys, io.BytesIO(sealed(kind, b"x" * 100_000)), 1000, seeks=True)


@pytest.mark.security
@pytest.mark.req("SEC-F03")
def test_a_weak_passphrase_seals_nothing():
    out = io.BytesIO()
    with pytest.raises(Invalid, match="too weak"):
        seal(pair("zip").how, "x.csv", Keys({}, {"key": weak()}), out)
    assert out.getvalue() == b""


@pytest.mark.security
def test_a_message_that_somebody_else_signed_does_not_open():
    made = pair("openpgp")
    other = OpenOpenPgp(type="openpgp", identity=KEY, signed_by=("stranger",))
    keys = Keys({**made.keys.recipients, "stranger": made.strange.recipients["dpo"]}, made.keys.secrets)
    blob = sealed("openpgp", b"rows")
    with pytest.raises(Corrupt):
        opened("openpgp", blob, keys, other)
    out = io.BytesIO()
    with seal(made.how.model_copy(update={"sign": None}), "x", made.keys, out) as writer:
        writer.write(b"rows")
    with pytest.raises(Corrupt):
        opened("openpgp", out.getvalue())
    nobody = OpenOpenPgp(type="openpgp", identity=KEY)
    assert opened("openpgp", out.getvalue(), back=nobody) == opened("openpgp", blob, back=nobody) == b"rows"


@pytest.mark.security
def test_keys_that_are_missing_or_none_are_told_before_anything_is_written():
    made, out = pair("openpgp"), io.BytesIO()
    with pytest.raises(Failed, match="'other' is not set"):
        seal(made.how.model_copy(update={"sign": OTHER}), "x", made.keys, out)
    with pytest.raises(Invalid, match="no recipient 'dpo'"):
        seal(made.how, "x", Keys({}, made.keys.secrets), out)
    with pytest.raises(Invalid, match="secret key, not a certificate"):
        seal(made.how, "x", Keys({"dpo": made.keys.secrets["key"].reveal()}, made.keys.secrets), out)
    assert out.getvalue() == b""


MEMORY = """
import resource, sys, os, threading, hashlib
from sluicegate.engine.seals import open_, seal
from tests.fixtures.seals import pair
made, total, block = pair(sys.argv[1]), int(sys.argv[2]), os.urandom(1 << 20)
left, right = os.pipe(); size = 0
def take():
    global size
    with open(left, "rb") as data, open_(made.back, made.keys, data, 1 << 40, seeks=False) as reader:
        while piece := reader.read(1 << 18): size += len(piece)
thread = threading.Thread(target=take); thread.start()
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(right, "wb") as out, seal(made.how, "x.gz", made.keys, out) as writer:
    for _ in range(total >> 20): writer.write(block)
thread.join()
assert size == total, size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-F01")
@pytest.mark.parametrize("kind", ["openpgp", "zip"])
def test_100_megabytes_pass_in_constant_memory(kind):
    root = Path(__file__).resolve().parents[2]
    source = str(Path(sys.modules["sluicegate"].__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, kind, str(100 << 20)], capture_output=True, text=True, check=False, timeout=110,
        env={"PYTHONPATH": f"{source}:{root}", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    grown, child = map(int, done.stdout.split())
    assert grown < 24 * 1024, "KiB grown"
    assert child < 256 * 1024, "KiB of the child that seals"
