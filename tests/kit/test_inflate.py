from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, DataError
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
    with pytest.raises(DataError, match="no gzip file"):
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


def packed(data, name="x.zst"):
    out = io.BytesIO()
    writer = Deflated(out, name)
    writer.write(data)
    writer.close()
    assert not out.closed
    return out.getvalue()


def unpacked(blob, name="x.zst", most=1 << 30):
    reader, got = Inflated(io.BytesIO(blob), name, most), b""
    while piece := reader.read(70_000):
        got += piece
    return got


def test_zstd_goes_there_and_back_of_several_frames_too_and_without_the_name():
    data = b"a,b\n1,2\n" * 100_000
    blob = packed(data)
    assert len(blob) < len(data) / 100
    assert unpacked(blob) == unpacked(blob, "x.csv") == data
    assert unpacked(blob + packed(b"more")) == data + b"more"


@pytest.mark.security
@pytest.mark.req("SEC-F08")
def test_zstd_that_unpacks_to_too_much_is_stopped():
    with pytest.raises(DataError, match="more than 1000000 bytes"):
        unpacked(packed(bytes(50_000_000)), most=1_000_000)


@pytest.mark.security
def test_zstd_that_is_cut_or_foreign_is_told_and_a_fault_of_the_source_stays_itself():
    blob = packed(os.urandom(300_000))
    for wrong in (blob[:-1], blob[: len(blob) // 2], blob[:3], b"", b"plain text"):
        with pytest.raises(DataError):
            unpacked(wrong)

    class Torn(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 250_000:
                raise Corrupt
            return super().read(min(size, 100_000))

    reader = Inflated(Torn(blob), "x.zst", 1 << 30)
    with pytest.raises(Corrupt):
        while reader.read(70_000):
            continue


PACK = {"gz": gzip.compress, "lz4": lz4.frame.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": packed}


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from(sorted(PACK)), st.lists(st.binary(max_size=200), min_size=1, max_size=3), st.integers(1, 50))
def test_what_others_have_packed_is_read_whole(kind, parts, size):
    blob = b"".join(map(PACK[kind], parts))
    assert unpack(blob, f"f.{kind}", size=size) == unpack(blob, "f", size=size) == b"".join(parts)


@pytest.mark.parametrize("kind", sorted(PACK))
def test_every_cut_of_any_packing_is_told(kind):
    data = PACK[kind](b"some text" * 50)
    for size in [*range(len(data)), *range(len(data) + 1, 2 * len(data))]:
        with pytest.raises(DataError, match=rf"f\.{kind}: .*(ends early|cut off)"):
            unpack((data + data)[:size], f"f.{kind}")


@pytest.mark.security
@pytest.mark.req("SEC-P11")
@settings(max_examples=300, deadline=None, database=None)
@given(st.sampled_from(["gz", "lz4", "bz2", "xz", "zst"]), st.integers(0), st.integers(0, 7), st.binary(max_size=8))
def test_a_flipped_bit_is_told_or_harmless(kind, place, bit, junk):
    """Each packing that we write has a checksum but zstd's: a changed byte never gives other text."""
    text = b"a,b\n1,x\n" * 40
    data = bytearray(packed(text, f"f.{kind}"))
    data[place % len(data)] ^= 1 << bit
    try:
        found = unpack(bytes(data) + junk, f"f.{kind}", limit=1 << 20)
    except DataError as fault:
        assert f"f.{kind}" in str(fault)
    else:
        assert kind == "zst" or found == text


@pytest.mark.security
@pytest.mark.req("SEC-F08")
@pytest.mark.parametrize("kind", sorted(PACK))
def test_a_bomb_of_any_packing_is_stopped_by_size_and_by_ratio(kind):
    blob = PACK[kind](bytes(1 << 20)) * 100
    with pytest.raises(DataError, match="more than 1000000 bytes"):
        unpack(blob, f"f.{kind}", limit=1_000_000)
    if kind in ("bz2", "xz", "zst"):  # the others pack no more than 255 or 1032 to one
        with pytest.raises(DataError, match="more than 1000 times its size"):
            unpack(blob, f"f.{kind}")


@pytest.mark.security
@pytest.mark.req("SEC-F08")
def test_xz_that_asks_for_gigabytes_is_refused_before_it_gets_them():
    greedy = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}])
    with pytest.raises(DataError, match=r"f\.xz: .*asks for more than 128 MiB"):
        unpack(greedy, "f.xz")


def test_text_that_begins_as_bzip2_does_is_text():
    assert unpack(b"BZh9,b\n1,2\n", "f.csv") == b"BZh9,b\n1,2\n"
