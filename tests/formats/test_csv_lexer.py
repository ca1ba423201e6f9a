"""Where records end: found quickly, and where one by one they would be found to end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.formats.csv import Csv
from sluicegate.formats.csv.lexer import Lexer

_LEXER = Lexer(Csv())


@pytest.mark.security
@settings(max_examples=400, deadline=None, database=None)
@given(
    st.lists(st.sampled_from([b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"a", b"bc", b' "']), max_size=24),
    st.booleans(),
)
def test_the_last_record_ends_where_the_records_one_by_one_end(parts, last):
    data = b"".join(parts)
    stop = len(data) - 1 if data.endswith(b"\r") and not last else len(data)
    found = _LEXER._records.match(data, 0, stop)
    assert _LEXER.end(data, last=last) == (found.end() if found else 0)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b'a,"b\nc"\nd', 8),
        (b'a\n"b', 2),
        (b'a\n"b",c', 2),
        (b'a"b\nc', 4),
        (b'"a\n"\n"b\n', 5),
        (b'"a\n', 0),
        (b"a\nb", 2),
    ],
)
def test_a_quoted_line_end_ends_no_record(data, end):
    assert _LEXER.end(data, last=False) == end
