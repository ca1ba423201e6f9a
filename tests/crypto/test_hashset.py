from __future__ import annotations

import hashlib
import io
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto.hashset import HashSet, digest, read_lines, write


def sha1(text):
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


def listing(*texts, end="\r\n"):
    return io.BytesIO("".join(f"{each}:3{end}" for each in sorted(map(sha1, texts))).encode())


def save(folder, texts, *, many=True):
    write(sorted(map(digest, texts)), folder / "set.bin", many=many)
    return HashSet(folder / "set.bin")


@pytest.mark.parametrize("many", [True, False])
@given(texts=st.sets(st.text(max_size=20), max_size=60), others=st.sets(st.text(max_size=20), max_size=30))
def test_it_holds_what_was_put_in_and_nothing_else(tmp_path_factory, many, texts, others):
    found = save(tmp_path_factory.mktemp("set"), texts, many=many)
    assert len(found) == len(texts)
    assert all(each in found for each in texts)
    assert not any(each in found for each in others - texts)
    found.close()


def test_first_and_last_of_all_hashes_are_found(tmp_path):
    write([bytes(8), b"\xff" * 8], tmp_path / "set.bin")
    assert len(HashSet(tmp_path / "set.bin")) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_public_list_is_read_line_by_line(tmp_path, end):
    count = write(read_lines(listing("a", "b", "c", end=end), "list.txt"), tmp_path / "set.bin")
    found = HashSet(tmp_path / "set.bin")
    assert (count, len(found)) == (3, 3)
    assert "b" in found
    assert "d" not in found
    assert 7 not in found


def test_lower_case_no_counts_repeated_lines_and_no_last_line_break_are_fine(tmp_path):
    text = "\n".join(sorted([sha1("a"), sha1("a"), sha1("b")])).lower().encode()
    assert write(read_lines(io.BytesIO(text), "list.txt"), tmp_path / "set.bin") == 2


@pytest.mark.security
@pytest.mark.req("SEC-A05")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"correct horse battery\n", "not a SHA-1"),
        (b"\n", "not a SHA-1"),
        (b"A" * 41 + b"\n", "not a SHA-1"),
        (b"F" * 40 + b":many\n", "not a SHA-1"),
        (b"x" * 5000, "not a SHA-1"),
        (b"0" * 40 + b":1\n", "smaller than the one before"),
        (b"F" * 32 + b":1\n", "NTLM"),
    ],
)
def test_a_bad_line_is_named_not_shown_and_nothing_is_taken(tmp_path, line, says):
    save(tmp_path, ["kept"]).close()
    stream = io.BytesIO(listing("a", "b").read() + line)
    with pytest.raises(Invalid, match=says) as told:
        write(read_lines(stream, "list.txt"), tmp_path / "set.bin")
    assert told.value.where == "list.txt:3"
    assert "correct" not in str(told.value)
    assert "xxxx" not in str(told.value)
    assert [each.name for each in tmp_path.iterdir()] == ["set.bin"], "no draft is left behind"
    assert "kept" in HashSet(tmp_path / "set.bin")


@pytest.mark.security
@pytest.mark.req("SEC-A05")
def test_an_empty_list_takes_the_place_of_nothing(tmp_path):
    with pytest.raises(Invalid, match="empty"):
        write(read_lines(io.BytesIO(b""), "list.txt"), tmp_path / "set.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.security
@pytest.mark.req("SEC-A05")
@pytest.mark.parametrize("harm", ["cut", "longer", "magic", "empty", "skip", "count"])
def test_a_damaged_file_is_refused_whole(tmp_path, harm):
    save(tmp_path, ["a", "b"]).close()
    raw = bytearray((tmp_path / "set.bin").read_bytes())
    if harm == "cut":
        raw = raw[:-1]
    elif harm == "longer":
        raw += b"x"
    elif harm == "magic":
        raw[0] ^= 1
    elif harm == "empty":
        raw = bytearray()
    elif harm == "skip":
        raw[16] = 7
    else:
        raw[24] ^= 1
    (tmp_path / "set.bin").write_bytes(raw)
    with pytest.raises(Corrupt, match="damaged"):
        HashSet(tmp_path / "set.bin")


@pytest.mark.security
@pytest.mark.req("SEC-A05")
def test_only_its_owner_may_read_it(tmp_path):
    save(tmp_path, ["a"]).close()
    assert (tmp_path / "set.bin").stat().st_mode & 0o777 == 0o600


def test_an_open_set_outlives_its_successor(tmp_path):
    old = save(tmp_path, ["old"])
    new = save(tmp_path, ["new"])
    assert "old" in old
    assert "old" not in new


@pytest.mark.security
@pytest.mark.req("SEC-A05")
def test_a_million_take_eight_megabytes_on_disk_none_in_memory_and_a_fraction_of_a_millisecond(tmp_path):
    count = 1_000_000
    step = (1 << 64) // count
    write((each.to_bytes(8) for each in range(0, step * count, step)), tmp_path / "set.bin")
    assert (tmp_path / "set.bin").stat().st_size < 8e6
    tracemalloc.start()
    try:
        found = HashSet(tmp_path / "set.bin")
        taken = []
        for number in range(500):
            began = time.perf_counter()
            assert str(number) not in found
            taken.append(time.perf_counter() - began)
        assert tracemalloc.get_traced_memory()[1] < 1e5
    finally:
        tracemalloc.stop()
    assert sorted(taken)[250] < 0.001
