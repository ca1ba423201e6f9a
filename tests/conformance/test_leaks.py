"""The search for canaries finds what was planted, in every form, and nothing where nothing is."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.conformance.leaks import search
from sluicegate.conformance.leaks.report import Report
from sluicegate.conformance.leaks.search import Hit, Searcher

WORD = "Canary~07 Zürich/äöü+==?&'\"<hunter2>"
FORMS = {
    "text": str.encode,
    "backwards": lambda text: text[::-1].encode(),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "hex": lambda text: text.encode().hex().encode(),
    "hex, upper": lambda text: text.encode().hex().upper().encode(),
    "hex, dumped": lambda text: text.encode().hex(" ").encode(),
    "hex, colons": lambda text: text.encode().hex(":").upper().encode(),
    "hex, escaped": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()).encode(),
    "percent": lambda text: quote(text, safe="").encode(),
    "percent, lower": lambda text: quote(text, safe="").lower().encode() if text.islower() else quote(text).encode(),
    "percent, all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "json": lambda text: json.dumps({"a": text}).encode(),
    "json, utf-8": lambda text: json.dumps([text], ensure_ascii=False).encode(),
}
BASES = {
    "base64": base64.b64encode,
    "base64, url": base64.urlsafe_b64encode,
    "base64, in lines": base64.encodebytes,
    "base64, quoted": lambda raw: quote(base64.b64encode(raw), safe="").encode(),
}
PACKED = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda raw: pa.compress(raw, codec="zstd", asbytes=True),
}


def find(data: bytes, *words: str) -> list[Hit]:
    searcher = Searcher({f"word {number}": word for number, word in enumerate(words or (WORD,))})
    return list(searcher.stream(io.BytesIO(data)))


def zipped(*texts: bytes, name: str = "member") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for number, text in enumerate(texts):
            file.writestr(f"{name}-{number}", text)
    return out.getvalue()


words = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=10, max_size=70)
any_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=10, max_size=40)
around = st.binary(max_size=300)


@pytest.mark.security
@pytest.mark.req("SEC-V01")
@pytest.mark.parametrize("form", FORMS)
@given(word=words, before=around, behind=around)
def test_a_word_is_found_in_every_form_wherever_it_stands(form, word, before, behind):
    assert find(before + FORMS[form](word) + behind, word)


@pytest.mark.security
@pytest.mark.parametrize("form", BASES)
@given(word=st.one_of(words, any_words), before=around, behind=around)
def test_base64_is_found_at_each_of_its_three_places(form, word, before, behind):
    assert find(b"before " + BASES[form](before + word.encode() + behind), word)


@pytest.mark.security
@pytest.mark.parametrize(
    "form", ["text", "backwards", "utf-16-le", "utf-16-be", "hex", "percent", "json", "json, utf-8"]
)
@given(word=any_words)
def test_letters_of_any_script_are_found(form, word):
    assert find(b"--" + FORMS[form](word) + b"--", word)


@pytest.mark.security
@pytest.mark.parametrize("kind", PACKED)
@given(word=words, before=around, behind=around)
@settings(max_examples=40)
def test_what_is_packed_is_unpacked_wherever_it_begins(kind, word, before, behind):
    packed = PACKED[kind](before + word.encode() + behind)
    assert any(hit.form.endswith(", packed") for hit in find(behind + packed + before, word))


@pytest.mark.security
def test_what_is_packed_twice_and_in_a_zip_is_unpacked():
    assert find(zipped(b"nothing", gzip.compress(WORD.encode())))
    assert find(gzip.compress(bz2.compress(WORD.encode())))
    assert find(gzip.compress(b"first") + gzip.compress(base64.b64encode(WORD.encode())))


@pytest.mark.security
@pytest.mark.parametrize("size", [search.CHUNK - 20, search.CHUNK - 5, 3 * search.CHUNK - 11])
@pytest.mark.parametrize("form", ["text", "hex, dumped", "base64, in lines"])
def test_no_edge_of_a_chunk_hides_anything(size, form):
    told = {**FORMS, **BASES}[form](WORD if form in FORMS else WORD.encode())
    assert find(b"\0" * size + told + b"\0" * 100)


@pytest.mark.security
@pytest.mark.parametrize("before", [1, 3, 10, 29, 30, 40, 70, 5000])
@pytest.mark.parametrize("kind", [*PACKED, "zip", "zip, long names"])
def test_no_edge_of_a_chunk_hides_what_is_packed(kind, before):
    """``before``: bytes of it that lie before the edge; a ZIP's header has 30, and then a name."""
    packed = PACKED[kind](WORD.encode()) if kind in PACKED else zipped(WORD.encode(), name="n" * (9, 9000)["," in kind])
    for size in (search.CHUNK, 2 * search.CHUNK):
        assert find(b"\0" * (size - before) + packed + b"\0" * 100)


@pytest.mark.security
def test_a_header_that_never_ends_hides_nothing_behind_it():
    endless = b"PK\x03\x04" + bytes(4) + b"\x08" + bytes(17) + b"\xff\xff\xff\xff"
    assert find(endless + gzip.compress(WORD.encode()))
    assert find(b"\0" * (search.CHUNK - 10) + endless[:20] + gzip.compress(WORD.encode()))


@pytest.mark.security
def test_what_is_packed_over_many_chunks_is_found_at_its_end():
    noise = os.urandom(3 * search.CHUNK)
    assert find(b"head" + gzip.compress(noise + WORD.encode()))
    assert find(zipped(noise, noise + WORD.encode()))
    packed = PACKED["zstd"](noise + WORD.encode())
    assert find(packed)
    assert find(b"head" + packed + PACKED["zstd"](b"nothing") + b"something else")


@given(noise=st.binary(max_size=4000), word=words)
def test_nothing_is_found_where_nothing_is(noise, word):
    if word.encode() not in noise:
        assert find(noise, word) == []
        assert find(gzip.compress(noise), word) == []


def test_frames_that_follow_each_other_are_unpacked_once():
    frame = PACKED["zstd"](os.urandom(2000))
    searcher = Searcher({"w": WORD})
    assert list(searcher.stream(io.BytesIO(frame * 1000 + PACKED["zstd"](WORD.encode()))))
    assert searcher.bytes < 20 * len(frame) * 1000


def test_a_bomb_is_looked_at_as_far_as_allowed(monkeypatch):
    monkeypatch.setattr(search, "UNPACKED_MAX", 2 * search.CHUNK)
    searcher = Searcher({"w": WORD})
    bomb = gzip.compress(b"\0" * (64 << 20) + WORD.encode())
    assert list(searcher.stream(io.BytesIO(bomb))) == []
    assert searcher.bytes < 8 * search.CHUNK


@pytest.mark.security
@given(raw=st.binary(min_size=12, max_size=64), before=around)
def test_raw_keys_are_found_too(raw, before):
    for form in (bytes, bytes.hex, base64.b64encode):
        told = form(raw)
        searcher = Searcher({"key": raw})
        assert list(searcher.stream(io.BytesIO(before + (told if isinstance(told, bytes) else told.encode()))))


def test_hits_name_the_secret_and_form_and_never_tell_it():
    hits = find(b"x" + WORD.encode() + WORD.encode().hex().encode())
    assert {(hit.secret, hit.form) for hit in hits} >= {("word 0", "text"), ("word 0", "hex")}
    assert "hunter2" not in repr(hits)


def test_a_canary_that_chance_would_find_is_refused():
    with pytest.raises(ValueError, match="short"):
        Searcher({"short": "abc"})
    assert Searcher({"w": WORD}).text(f"a log says {WORD}")


@pytest.mark.security
@pytest.mark.parametrize("readable", [True, False])
def test_an_environment_that_nobody_could_read_does_not_count_as_searched(readable, monkeypatch):
    read = Path.read_bytes

    def refuse(file: Path) -> bytes:
        """Do as the kernel does for whoever is not root."""
        if file.name == "environ" and not readable:
            raise PermissionError
        return read(file)

    child = subprocess.Popen([sys.executable, "-c", "input()", WORD], stdin=subprocess.PIPE, env={"WORD": WORD})
    try:
        monkeypatch.setattr(Path, "read_bytes", refuse)
        report = Report(Searcher({"word": WORD}))
        report.processes()
    finally:
        child.communicate(b"\n")
    assert ("environ" in {each["place"].rpartition(" ")[2] for each in report.hits}) == readable
    assert f"process {child.pid}, cmdline" in {each["place"] for each in report.hits}
    assert (report.counts["environments"] > 0) == readable
    assert readable or report.counts["environments_refused"] > 0
