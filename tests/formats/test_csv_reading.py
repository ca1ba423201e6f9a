"""The way of a block in which nothing is wrong gives what the way of all others gives: the same rows and rejects."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.formats.csv import Csv
from sluicegate.formats.csv.reading import Reading
from sluicegate.kit.format import Decoding

_ODD = [
    b'""', b"", b"NA", b'"NA"', b"-99", b"text", "größer".encode(), b"\xff", b"\xed\xa0\x80", b"a,b", b"\0", b"1e400", b"1E-400",
    b"12345678901234567.89", b'"a\nb"', b'"a,""b"', b'st"ray', b'"end"x', b"0x10", b"2013-02-30", b"12.345", b'"1.5"',
]  # fmt: skip
_WORDS = {
    "text": [b"a", b"", b'""', b"0012", "é".encode(), b'"b"'],
    "float64": [b"1", b"-0", b" 1.5", b"1.5\t", b"+2", b".5", b"1e5", b"NaN", b"-inf", b"0.123456789012345", b"1e400",
                b"12345678901234567.89", b"0.1000000000000000055511151231257827", b"1E-400", b"0.12345678901234567"],
    "float32": [b"1", b"16777217", b"0.1", b"1e38", b"1e39", b"3.4028235e38", b"Infinity"],
    "int64": [b"1", b"-5", b"", b" 7"], "decimal(6,2)": [b"1", b"1.25", b"-0.50", b""], "date": [b"2013-01-01", b""],
    "timestamptz": [b"2013-01-01T10:00:00Z", b""], "bool": [b"true", b"false", b""], "json": [b"1", b"{}", b""],
}  # fmt: skip


@st.composite
def _files(draw):
    """Return types of columns, and records of which few are wrong."""
    kinds = draw(st.lists(st.sampled_from(list(_WORDS)), min_size=1, max_size=4))
    records = draw(st.lists(st.tuples(*(st.sampled_from(_WORDS[kind]) for kind in kinds)), max_size=8))
    rows = [list(record) for record in records]
    for row in rows if draw(st.booleans()) else []:
        match draw(st.integers(0, 5)):
            case 0:
                row[-1] = draw(st.sampled_from(_ODD))
            case 1:
                row.append(draw(st.sampled_from(_ODD)))
            case 2:
                row.pop()
    return kinds, rows


def _read(data: bytes, form: Csv) -> tuple[list[dict], list[tuple], object]:
    rejects: list[tuple] = []
    rows = form.decode(io.BytesIO(data), Decoding(item="f.csv", on_reject=rejects.append)).read_all()
    return [{name: repr(value) for name, value in row.items()} for row in rows.to_pylist()], rejects, rows.schema


def _one_by_one(self, block):
    for part in self._readable(block):
        if part.data:
            yield from self._halve(part)


@pytest.mark.security
@settings(max_examples=150, deadline=None, database=None)
@given(
    _files(),
    st.sampled_from([(), ("NA",), ("-99",)]),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([8, 40, 4000]),
)
def test_a_block_as_a_whole_gives_what_its_rows_give(file, nulls, end, size):
    kinds, rows = file
    columns = {f"c{place}": kind for place, kind in enumerate(kinds)}
    data = end.join([",".join(columns).encode(), *map(b",".join, rows), b""])
    form = Csv(columns=columns, nulls=nulls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluicegate.formats.csv.lexer.BATCH_BYTES", size)
        found = _read(data, form)
        patch.setattr(Reading, "_convert", _one_by_one)
        assert found == _read(data, form)
