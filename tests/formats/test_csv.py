from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import DataError
from sluicegate.conformance.format import CompressedSuite
from sluicegate.conformance.samples import table
from sluicegate.formats.csv import Csv
from sluicegate.kit.format import Decoding
from sluicegate.kit.types import to_name


class TestCsv(CompressedSuite):
    item = "x.csv"

    def make(self, **options):
        return Csv(**options)


def decode(data, form=None, **how):
    data = data.encode() if isinstance(data, str) else data
    return (form or Csv()).decode(io.BytesIO(data), Decoding(item="f.csv", **how)).read_all()


def types(data, **options):
    found = decode(data, Csv(**options)).schema
    return {field.name: to_name(field.type) for field in found}


def rejected(data, form=None, **how):
    found = []
    read = decode(data, form, on_reject=found.append, **how)
    return read.to_pydict(), found


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-5", ""], "int64"), (["0012", "5"], "text"), (["1", "1.50"], "decimal(18,2)"), (["00.5"], "text"),
        (["12345678901234567.89"], "decimal(38,2)"), (["9223372036854775808"], "decimal(38,0)"), (["-0"], "text"),
        (["+5"], "text"), (["1e5"], "text"), (["NaN"], "text"), (["NA", "1"], "text"), (["1 ", "2"], "text"),
        (["true", "FALSE"], "bool"), (["t"], "text"), (["2024-02-29"], "date"), (["2024-02-30"], "text"),
        (["10:00:00"], "time"), (["2013-01-01T10:00:00Z", "2013-01-01 10:00+02:00"], "timestamptz"),
        (["2013-01-01 10:00:00.5"], "timestamp"), (["2013-01-01", "2013-01-01 10:00"], "text"),
        (["2013-13-01 10:00"], "text"), (["", ""], "text"), (["0x1F"], "text"), (["1_000"], "text"), (["1,5"], "text"),
        (["9" * 39], "text"), (["0." + "1" * 37], "decimal(38,37)"), (["1." + "1" * 38], "text"),
        (["12345678-1234-5678-1234-567812345678"], "text"),
    ],
)  # fmt: skip
def test_proposals_change_nothing(values, kind):
    lines = "".join(f'"{value}",x\n' if value else ",x\n" for value in values)
    assert types("v,w\n" + lines)["v"] == kind
    assert types("v,w\n" + lines, nulls=("-",))["v"] == kind


def test_proposal_does_not_change_later():
    data = "v\n" + "1\n" * 3_000_000 + "x\n"
    found = []
    assert decode(data, on_reject=found.append).num_rows == 3_000_000
    assert [(each.line, each.column, each.reason) for each in found] == [(3_000_002, "v", "'x' is not int64")]


def test_nulls():
    form = Csv(nulls=("NA", "-999"), columns={"t": "text", "n": "int64"})
    found = decode('t,n\nNA,NA\n"NA","NA"\n,\n"",""\n-999,-999\n"-999","-999"\nx,5\n', form)
    assert found.column("t").to_pylist() == [None, "NA", None, "", None, "-999", "x"]
    assert found.column("n").to_pylist() == [None, None, None, None, None, None, 5]


def test_quoted_null_means_the_same_in_every_block():
    """The quick way and the careful way must agree, whichever a block takes."""
    rows = 'a,"-999"\n' * 5 + "a,5\n"
    data = "t,n\n" + rows * 50_000
    for nulls, expected in (((), -999), (("-999",), None)):
        found = decode(data, Csv(nulls=nulls, columns={"t": "text", "n": "int64"})).column("n")
        assert set(found.to_pylist()) == {expected, 5}


def test_quoted_fields():
    found = decode('a,b\n"x\ny","say ""hi"""\n"a"b,c"d\n"",\n')
    assert found.to_pydict() == {"a": ["x\ny", "ab", ""], "b": ['say "hi"', 'c"d', None]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends(end, last):
    data = end.join(["a,b", "1,x", f'2,"y{end}z"', "bad,1", "3,w"]) + end * last
    found, bad = rejected(data, Csv(columns={"a": "int64"}))
    assert found == {"a": [1, 2, 3], "b": ["x", f"y{end}z", "w"]}
    assert [(each.line, each.raw) for each in bad] == [(5, "bad,1")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blocks_may_end_anywhere(end, monkeypatch):
    rows = [["1", "x"], ["2", f"y{end}z"], ["3", 'q"q'], ["4", ""], ["5", "é☃"]]
    lines = [",".join([a, '"' + b.replace('"', '""') + '"']) for a, b in rows]
    data = end.join(["a,b", *lines]) + end
    for size in range(1, len(data.encode()) + 1):
        monkeypatch.setattr("sluicegate.formats.csv.lexer.BATCH_BYTES", size)
        assert decode(data).to_pydict() == {"a": [1, 2, 3, 4, 5], "b": [b for _, b in rows]}, size


def test_single_column_keeps_its_nulls():
    assert decode("a\n1\n\n3\n").to_pydict() == {"a": [1, None, 3]}
    assert decode("a\r\n1\r\n\r\n3").to_pydict() == {"a": [1, None, 3]}
    assert decode("a,b\n\n1,2\n\n").to_pydict() == {"a": [1], "b": [2]}


def test_rejects_are_exact():
    form = Csv(columns={"a": "int64", "b": "text", "c": "float64", "d": "uuid"})
    uid = "12345678-1234-5678-1234-567812345678"
    data = (
        f'a,b,c,d\n1,"two\nlines",1.5,{uid}\nx,y,1,{uid}\n3,z\n\n4,q,12345678901234567.89,{uid}\n'.encode()
        + b"5,\xff,2,\n6,ok,1e400,\n7,ok,,nope\n8,,,,9\n10,fine,0.1,\n9223372036854775808,,,\n"
    )
    found, bad = rejected(data, form)
    assert (found["a"], found["b"], found["c"]) == ([1, 10], ["two\nlines", "fine"], [1.5, 0.1])
    assert [(each.line, each.column) for each in bad] == [
        (4, "a"), (5, None), (7, "c"), (8, None), (9, "c"), (10, "d"), (11, None), (13, "a")
    ]  # fmt: skip
    assert bad[0][:4] == (4, "a", "'x' is not int64", f"x,y,1,{uid}")
    assert bad[1].reason == "2 fields where 4 are expected"
    assert "has more digits" in bad[2].reason
    assert (bad[3].reason, bad[3].raw) == ("not valid UTF-8", "5,\\xff,2,")
    assert bad[6].reason == "5 fields where 4 are expected"


def test_first_reject_stops_and_tells_the_place():
    with pytest.raises(DataError) as caught:
        decode("a,b\n1,x\nz,y\n", Csv(columns={"a": "int64"}))
    assert str(caught.value) == "line 3, column a: 'z' is not int64"
    with pytest.raises(DataError, match="line 3: 1 fields where 2"):
        decode("a,b\n1,x\nz\n")


@pytest.mark.slow
def test_many_rejects_cost_little():
    data = "a,b\n" + "x,y\n" * 3_000
    found, bad = rejected(data, Csv(columns={"a": "int64"}))
    assert found == {"a": [], "b": []}
    assert [each.line for each in bad] == list(range(2, 3_002))


@pytest.mark.parametrize(
    ("kind", "text", "fits"),
    [
        ("decimal(9,2)", "1.005", False), ("decimal(9,2)", "1.500", None), ("decimal(4,2)", "123.45", False),
        ("int8", "200", False), ("float64", "0.10000000000000001", True), ("float64", "12345678901234567.89", False),
        ("float64", "9007199254740993", False), ("float64", "1.7976931348623157e308", True),
        ("float64", "1e400", False),
        ("float64", "1e-400", False), ("float32", "16777217", False), ("float32", "0.1", True),
        ("float32", "1e39", False),
        ("timestamp", "2013-01-01T10:00:00Z", False), ("timestamptz", "2013-01-01T10:00:00", False),
        ("timestamp", "2013-01-01T10:00:00.1234567", False), ("date", "2013-02-30", False), ("bool", "yes", False),
        ("float64", "inf", True), ("float64", "nan", True), ("bytes", "00ff", False), ("interval", "P", False),
        ("json", "{", False), ("list(int64)", "[1.5]", False), ("decimal(50,2)", "1.005", False),
    ],
)  # fmt: skip
def test_value_is_kept_or_rejected(kind, text, fits):
    quoted = '"' + text.replace('"', '""') + '"'
    found, bad = rejected(f"v,w\n{quoted},x\n", Csv(columns={"v": kind}))
    if fits is not None:
        assert (len(found["v"]), len(bad)) == ((1, 0) if fits else (0, 1))
    if bad:
        assert bad[0].column == "v"
    else:
        assert fits is not False


def test_declared_and_snapshot():
    snapshot = {"a": "text", "b": "int16", "c": "text"}
    found = decode("c,a,b\n1,2,3\n", Csv(columns={"a": "float64"}), columns=snapshot)
    assert [(field.name, to_name(field.type)) for field in found.schema] == [
        ("c", "text"),
        ("a", "float64"),
        ("b", "int16"),
    ]
    with pytest.raises(DataError, match="'b' is declared but not in the file"):
        decode("c,a\n1,2\n", columns=snapshot)
    assert decode("a,b,c,new\n1,2,3,4\n", columns=snapshot).schema.names == ["a", "b", "c", "new"]


def test_without_header():
    assert decode("1,x\n", Csv(header=False)).to_pydict() == {"column_1": [1], "column_2": ["x"]}
    form = Csv(header=False, columns={"n": "int64", "t": "text"})
    assert decode("1,x\n", form).to_pydict() == {"n": [1], "t": ["x"]}
    assert decode("", form).schema.names == ["n", "t"]
    with pytest.raises(DataError, match="'n' is declared"):
        decode("1,x,y\n", form)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "empty"), ("\n\n", "no header"), ("a,a\n1,2\n", "'a' twice"),
        ('a,b\n1,"x\n2,3\n', "line 2: A quoted value does not end"),
        (b"\xff,a\n1,2\n", "not valid UTF-8"),
    ],
)  # fmt: skip
def test_files_that_are_no_csv(data, told):
    with pytest.raises(DataError, match=told):
        decode(data)
    if not data or data == "\n\n":
        with pytest.raises(DataError, match="empty"):
            decode(data, Csv(header=False))


def test_unnamed_columns_get_names():
    assert decode('"",b\n1,2\n').schema.names == ["column_1", "b"]


def test_byte_order_mark_is_no_part_of_the_name():
    assert decode(b"\xef\xbb\xbfa,b\n1,2\n").schema.names == ["a", "b"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-16-le", "utf-8-sig"])
def test_encodings_there_and_back(encoding):
    sent = table({"ä": ["é", 'x"ö', None, ""], "n": [1, 2, 3, 4]})
    out = io.BytesIO()
    if encoding == "utf-16":
        out.write("ä,n\né,1\n".encode(encoding))
        assert decode(out.getvalue(), Csv(encoding=encoding)).to_pydict() == {"ä": ["é"], "n": [1]}
        return
    writing = Csv(encoding=encoding).encoder(sent.schema, out, "x.csv")
    writing.write(sent.to_batches()[0])
    writing.close()
    assert decode(out.getvalue(), Csv(encoding=encoding)).to_pydict() == sent.to_pydict()


def test_encoding_faults():
    with pytest.raises(DataError, match="Not valid ascii"):
        decode(b"a\n\xff\n", Csv(encoding="ascii"))
    with pytest.raises(DataError, match="has no '☃'"):
        Csv(encoding="latin-1").encoder(pa.schema([("☃", pa.int64())]), io.BytesIO(), "x.csv")


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": "\n"}, {"delimiter": ";;"}, {"delimiter": '"'}, {"quote": "\r"}, {"delimiter": "é"},
        {"encoding": "base64"},
        {"encoding": "nope"}, {"columns": {"a": "nope"}}, {"unknown": 1}, {"delimiter": ""},
    ],
)  # fmt: skip
def test_options_are_checked(options):
    with pytest.raises(ValidationError):
        Csv(**options)


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "^", "]", "\\", "-", "."])
def test_delimiters(delimiter):
    form = Csv(delimiter=delimiter, quote="'")
    sent = table({"a": [f"x{delimiter}y", "it's", "plain", ""], "b": [1, 2, 3, 4]})
    out = io.BytesIO()
    writing = form.encoder(sent.schema, out)
    writing.write(sent.to_batches()[0])
    writing.close()
    assert decode(out.getvalue(), form).to_pydict() == sent.to_pydict()


def test_without_quotes():
    form = Csv(quote="")
    assert decode('a,b\n"x,y"\n', form).to_pydict() == {"a": ['"x'], "b": ['y"']}
    with pytest.raises(DataError, match="needs quotes"):
        form.encoder(pa.schema([("a", pa.string())]), io.BytesIO()).write(table({"a": ["x,y"]}).to_batches()[0])


def encode(columns, **options):
    sent = table(columns)
    out = io.BytesIO()
    writing = Csv(**options).encoder(sent.schema, out, "x.csv")
    for batch in sent.to_batches():
        writing.write(batch)
    writing.close()
    return out.getvalue().decode()


def test_written_text_is_minimal_and_exact():
    columns = {
        "t": ["plain", "", None, 'say "hi"', "=1+1", "a,b"],
        "d": pa.array([Decimal("0.00000001"), None, *[Decimal("1.5")] * 4], pa.decimal128(12, 8)),
        "s": pa.array([dt.datetime(2013, 1, 1, tzinfo=dt.UTC)] * 6, pa.timestamp("us", "UTC")),
    }
    assert encode(columns) == (
        't,d,s\nplain,0.00000001,2013-01-01T00:00:00Z\n"",,2013-01-01T00:00:00Z\n,1.50000000,2013-01-01T00:00:00Z\n'
        '"say ""hi""",1.50000000,2013-01-01T00:00:00Z\n=1+1,1.50000000,2013-01-01T00:00:00Z\n'
        '"a,b",1.50000000,2013-01-01T00:00:00Z\n'
    )


def test_null_word_is_written_and_told_from_the_text():
    assert encode({"t": ["NA", None, ""], "n": [1, None, 3]}, nulls=("NA", "-")) == 't,n\n"NA",1\nNA,NA\n"",3\n'
    with pytest.raises(DataError, match="column n: A value reads like the word for NULL"):
        encode({"n": [1, -999]}, nulls=("-999",))


def test_slices_are_written_right():
    batch = table({"t": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]}).to_batches()[0].slice(1, 2)
    out = io.BytesIO()
    writing = Csv(header=False).encoder(batch.schema, out)
    writing.write(batch)
    writing.write(batch.slice(0, 0))
    writing.close()
    assert out.getvalue() == b"b,2\nc,3\n"


def test_joined_gzip_files():
    data = gzip.compress(b"a\n1\n") + gzip.compress(b"2\n") + b"\0\0"
    assert decode(data).to_pydict() == {"a": [1, 2]}


_FIELD = st.text(st.sampled_from("ab1\",\n\r '.é0"), max_size=6)


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.lists(st.lists(_FIELD, min_size=2, max_size=2), max_size=5), st.integers(1, 40), st.sampled_from(["\n", "\r\n"])
)
def test_reads_what_the_standard_library_writes(rows, size, end):
    import csv

    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([["a", "b"], *rows])
    form = Csv(columns={"a": "text", "b": "text"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluicegate.formats.csv.lexer.BATCH_BYTES", size)
        found = decode(text.getvalue(), form)
    assert [list(row.values()) for row in found.to_pylist()] == rows


@pytest.mark.security
@pytest.mark.req("SEC-P08")
@pytest.mark.parametrize(
    "data", ['"' * 3_000_001, 'a"' * 1_500_000, '"a",' * 700_000, '""' * 1_500_000 + '"', '"\n' * 1_000_000]
)
def test_quotes_cost_no_more_than_their_length(data):
    import time

    start = time.perf_counter()
    with contextlib.suppress(DataError):
        decode("x\n" + data + "\n", Csv(columns={"x": "text"}), on_reject=lambda _: None)
    assert time.perf_counter() - start < 8


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_endless_line_is_stopped():
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size=-1):
            self.taken += size
            return b"x" * size

    data = Endless()
    with pytest.raises(DataError, match="too long"):
        Csv().decode(data, Decoding(item="f.csv"))
    assert data.taken < 32 << 20


@pytest.mark.security
@pytest.mark.req("SEC-P05")
def test_formulas_are_kept_as_they_are():
    """A machine reads this file next: nothing may be added to or taken from a value."""
    values = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx", "\rx", "\uff1d1"]
    sent = table({"v": values})
    out = io.BytesIO()
    writing = Csv().encoder(sent.schema, out)
    writing.write(sent.to_batches()[0])
    writing.close()
    assert decode(out.getvalue(), Csv(columns={"v": "text"})).column("v").to_pylist() == values
