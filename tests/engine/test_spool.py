import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, DataError
from sluicegate.crypto.scratch import BLOCK
from sluicegate.engine.spool import Spool

DATA = os.urandom(3 * BLOCK + 17)
STEPS = st.lists(
    st.tuples(st.integers(-10, 4 * BLOCK), st.sampled_from([0, 2]), st.integers(0, 2 * BLOCK)), max_size=20
)


@settings(max_examples=50, deadline=None)
@given(STEPS)
def test_it_reads_as_a_file_of_the_same_bytes_does(steps):
    with Spool.of(io.BytesIO(DATA), 1 << 30) as spool:
        model = io.BytesIO(DATA)
        for offset, whence, size in steps:
            place = max(0, offset if whence == 0 else len(DATA) - offset)
            assert spool.seek(place) == model.seek(place)
            assert spool.read(size) == model.read(size)
            assert spool.tell() == model.tell()


def test_an_empty_one_is_empty():
    with Spool.of(io.BytesIO(b""), 10) as spool:
        assert spool.read() == b""


@pytest.mark.security
def test_it_takes_no_more_than_it_may():
    with pytest.raises(DataError, match="more than 100 bytes"):
        Spool.of(io.BytesIO(b"x" * 101), 100)
    with Spool.of(io.BytesIO(b"x" * 100), 100) as spool:
        assert len(spool.read()) == 100


@pytest.mark.security
def test_the_disk_holds_no_clear_copy_and_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Spool.of(io.BytesIO(b"canary-row" * 50_000), 1 << 30) as spool:
        assert list(tmp_path.iterdir()) == []
        file = spool.raw._file
        file.seek(0)
        assert b"canary" not in file.read()


def test_what_reading_raises_is_raised():
    class Torn(io.BytesIO):
        def read(self, size=-1):
            raise Corrupt

    with pytest.raises(Corrupt):
        Spool.of(Torn(), 10)
