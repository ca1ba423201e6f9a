from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError
from sluicegate.kit.inflate import Deflated, Inflated


def unpack(data, item="f", limit=1 << 30, size=1 << 16):
    source = Inflated(io.BytesIO(data), item, limit)
    parts = []
    while part := source.read(size):
        assert len(part) <= size
        parts.append(part)
    return b"".join(parts)


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(st.binary(max_size=200), max_size=3), st.integers(1, 50), st.booleans())
def test_members_come_back_joined(parts, size, packed):
    data = b"".join(gzip.compress(part, 1) for part in parts) if packed else b"".join(parts)
    if not packed and data.startswith(b"\x1f\x8b"):
        return
    assert unpack(data, size=size) == b"".join(parts)


def test_suffix_and_content_must_agree():
    assert unpack(gzip.compress(b"x"), "f.csv") == b"x"
    with pytest.raises(DataError, match="not a gzip file"):
        unpack(b"plain", "f.csv.GZ")
    with pytest.raises(DataError, match="ends early"):
        unpack(b"", "f.gz")
    assert unpack(b"", "f.csv") == b""


def test_every_cut_is_told():
    data = gzip.compress(b"some text" * 50)
    for size in range(len(data)):
        with pytest.raises(DataError, match=r"f\.gz: The file ends early"):
            unpack(data[:size], "f.gz")
    two = data + data
    for size in range(len(data) + 1, len(two)):
        with pytest.raises(DataError, match="ends early"):
            unpack(two[:size], "f.gz")


def test_padding_is_left_out_and_trailing_junk_is_told():
    assert unpack(gzip.compress(b"x") + b"\0" * 100) == b"x"
    with pytest.raises(DataError, match="damaged"):
        unpack(gzip.compress(b"x") + b"junk")


def test_packed_is_what_unpacks():
    out = io.BytesIO()
    packing = Deflated(out, "f.csv.gz")
    packing.write(b"a" * 1000)
    packing.write(memoryview(b"b"))
    packing.close()
    packing.close()
    assert gzip.decompress(out.getvalue()) == b"a" * 1000 + b"b"
    plain = io.BytesIO()
    Deflated(plain, "f.csv").write(b"a")
    assert plain.getvalue() == b"a"


@pytest.mark.security
@pytest.mark.req("SEC-F08")
@pytest.mark.parametrize("packed", [True, False])
def test_no_more_than_allowed_is_ever_unpacked(packed):
    data = b"\0" * (8 << 20)
    source = Inflated(io.BytesIO(gzip.compress(data) if packed else data), "f", 1000)
    taken = 0
    with pytest.raises(DataError, match="more than 1000 bytes"):
        while part := source.read(600):
            taken += len(part)
    assert taken <= 1000
