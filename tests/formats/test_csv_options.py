"""Escapes, comments, lines left out, and texts that read like formulas."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import DataError
from sluicegate.conformance.format import CompressedSuite
from sluicegate.conformance.samples import table
from sluicegate.formats.csv import Csv
from sluicegate.formats.csv.lexer import Lexer
from sluicegate.kit.format import Decoding


class TestCsvWithEveryOption(CompressedSuite):
    item = "x.csv"

    def make(self, **options):
        return Csv(escape="\\", comment="#", formulas="escape", **options)


def decode(data, form, **how):
    return form.decode(io.BytesIO(data), Decoding(item="f.csv", **how)).read_all()


def encode(found, form):
    out = io.BytesIO()
    encoder = form.encoder(found.schema, out, "f.csv")
    for batch in found.to_batches():
        encoder.write(batch)
    encoder.close()
    return out.getvalue()


_TEXT = st.text(st.sampled_from("a,;\"\\#'\n\r\t=+-@ é＝"), max_size=8)


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.lists(st.tuples(st.none() | _TEXT, st.none() | _TEXT), max_size=6),
    st.sampled_from(["", "\\", "!"]),
    st.sampled_from(["", "#", "#;"]),
    st.sampled_from(["keep", "escape"]),
    st.booleans(),
)
def test_any_text_comes_back_whatever_the_options(values, escape, comment, formulas, alone):
    form = Csv(escape=escape, comment=comment, formulas=formulas)
    sent = pa.table(
        {"a": pa.array([a for a, _ in values], pa.string()), "=b": pa.array([b for _, b in values], pa.string())}
    )
    sent = sent.select(["=b"]) if alone else sent
    columns = dict.fromkeys(sent.column_names, "text")
    assert decode(encode(sent, form), form, columns=columns).to_pydict() == sent.to_pydict()


def test_escapes_as_other_programs_write_them():
    data = b'a,b\nx\\,y,"say \\"hi\\""\n"one\\\ntwo",three\\\nfour\n\\"no,"a""b"\n'
    found = decode(data, Csv(escape="\\"), columns={"a": "text", "b": "text"})
    assert found.to_pydict() == {"a": ["x,y", "one\ntwo", '"no'], "b": ['say "hi"', "three\nfour", 'a"b']}


@pytest.mark.security
@settings(max_examples=150, deadline=None, database=None)
@given(st.lists(st.sampled_from([b'"', b"\\", b",", b"\n", b"\r", b"a", b"#", b"\\,", b'\\"']), max_size=24))
def test_a_record_is_what_the_parser_takes_for_one(parts):
    """The lexer cuts blocks and names lines: it must see as many records as are parsed."""
    form = Csv(escape="\\", comment="#", columns={"a": "text"})
    data = b"a\n" + b"".join(parts)
    lexer = Lexer(form)
    ended = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    if lexer.end(ended, last=True) != len(ended):
        return  # refused as a value that does not end
    records = [ended[slice(*span)] for span in lexer.spans(ended, blank=True)]
    rejects = []
    found = decode(data, form, on_reject=rejects.append)
    assert 1 + found.num_rows + len(rejects) == sum(not each.startswith(b"#") for each in records)


def test_comments_and_skipped_lines_leave_line_numbers_as_they_are():
    data = b'made by "x\nat, "noon\n#c\na,b\n1,2\n# a "comment, "with quotes\n#\nx,3\n4,5\n#end'
    rejects = []
    form = Csv(skip=2, comment="#", columns={"a": "int64", "b": "int64"})
    found = decode(data, form, on_reject=rejects.append)
    assert found.to_pydict() == {"a": [1, 4], "b": [2, 5]}
    assert [(each.line, each.column) for each in rejects] == [(8, "a")]
    with pytest.raises(DataError, match="f.csv: line 3: The header names 'a' twice"):
        decode(b"\r\n\r\na,a\r\n", Csv(skip=2))
    assert decode(b"a\n#x\n\n1\n", Csv(comment="#"), columns={"a": "int64"}).to_pydict() == {"a": [None, 1]}


def test_more_lines_to_skip_than_there_are_is_told():
    with pytest.raises(DataError, match="ends at line 2, among the lines to skip"):
        decode(b"a\nb", Csv(skip=3))


@pytest.mark.security
def test_a_skipped_line_has_a_longest_length():
    with pytest.raises(DataError, match="line is too long"):
        decode(b"x" * (18 << 20), Csv(skip=1))


@pytest.mark.security
@pytest.mark.req("SEC-P05")
def test_formulas_are_kept_escaped_or_rejected_as_the_format_says():
    texts = [
        "=1+1",
        "+1",
        "-1",
        "@x",
        "\tx",
        "\rx",
        "\nx",
        "＝1",
        "＋",
        "－",
        "＠",
        "'=1",
        "'quoted",
        "plain",
        "a=1",
        "",
        None,
    ]
    sent = table({"a": texts, "n": [-1] * len(texts)})
    assert decode(encode(sent, Csv()), Csv()).to_pydict() == sent.to_pydict()
    written = encode(sent, Csv(formulas="escape"))
    plainly = decode(written, Csv(), columns={"a": "text", "n": "int64"})
    assert plainly.column("a").to_pylist() == [f"'{each}" for each in texts[:12]] + texts[12:]
    assert plainly.column("n").to_pylist() == [-1] * len(texts)  # a number is no formula
    assert decode(written, Csv(formulas="escape"), columns={"a": "text"}).to_pydict() == sent.to_pydict()
    with pytest.raises(DataError, match=r"f\.csv: column a: .*reads like a formula") as caught:
        encode(sent, Csv(formulas="reject"))
    assert "formulas: escape" in str(caught.value.hint)
    assert encode(table({"a": ["'=1", "a=1"]}), Csv(formulas="reject")) == b"a\n'=1\na=1\n"
    with pytest.raises(DataError, match="formula"):
        encode(table({"=cmd": [1]}), Csv(formulas="reject"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"escape": ","}, "escape is"),
        ({"escape": '"'}, "escape is"),
        ({"escape": "é"}, "escape is"),
        ({"escape": "\\", "nulls": ["\\N"]}, "never read"),
        ({"comment": "1"}, "comment begins"),
        ({"comment": "-"}, "comment begins"),
        ({"comment": ";", "delimiter": ";"}, "comment begins"),
        ({"comment": "#", "escape": "#"}, "comment begins"),
        ({"comment": "#\n"}, "ASCII characters"),
        ({"comment": "#", "nulls": ["#N/A"]}, "like a comment"),
        ({"skip": -1}, "greater than"),
        ({"formulas": "run"}, "keep"),
    ],
)
def test_options_that_contradict_are_refused(options, reason):
    with pytest.raises(ValidationError, match=reason):
        Csv(**options)
