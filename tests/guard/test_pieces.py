"""What is sent in pieces: one at a time, with a name that is harmless anywhere."""

from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.guard.pieces import Pieces, packed, safe


def three():
    yield b"1"
    yield b"2"
    yield b"3"


def test_pieces_come_in_order_and_then_none():
    made = Pieces.of("a.txt", "text/plain", three(), topic="t")
    assert (made.name, made.media, made.topic) == ("a.txt", "text/plain", "t")
    assert [made.next() for _ in range(5)] == [b"1", b"2", b"3", None, None]


def test_closing_ends_the_making_and_what_wraps_it():
    ended = []

    def watched():
        try:
            yield from three()
        finally:
            ended.append(True)

    made = Pieces.of("a", "b", watched())
    assert made.next() == b"1"
    made.close()
    assert (ended, made.next()) == ([True], None)
    assert Pieces.of("a", "b", three()).through(x for x in (b"other",)).next() == b"other"


def test_closing_waits_for_the_piece_that_is_being_made():
    begun, go = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go.wait(30)
        yield b"1"

    made = Pieces.of("a", "b", slow())
    thread = threading.Thread(target=made.next)
    thread.start()
    assert begun.wait(30)
    closing = threading.Thread(target=made.close)  # without the lock: "generator already executing"
    closing.start()
    go.set()
    for each in (thread, closing):
        each.join(30)
    assert made.next() is None


@pytest.mark.security
@pytest.mark.req("SEC-W01")
@given(st.text())
def test_a_file_name_is_harmless_whatever_it_is_made_from(text):
    name = safe(text)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,120}", name)
    assert not name.startswith((".", "-"))
    assert ".." not in name


@pytest.mark.security
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('a";\r\nset-cookie: x', "a-set-cookie-x"),
        ("../../etc/passwd", "etc-passwd"),
        ("", "download"),
        ("\u202egnp.exe", "gnp.exe"),
        ("-rf", "rf"),
        ("flights-01a2.ndjson", "flights-01a2.ndjson"),
        ("a..b", "a.b"),
    ],
)
def test_names_that_lie(text, name):
    assert safe(text) == name


def test_lines_are_packed_to_pieces_of_a_size():
    assert list(packed((b"ab" for _ in range(5)), 4)) == [b"abab", b"abab", b"ab"]
    assert list(packed(x for x in ())) == []
