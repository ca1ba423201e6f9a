"""What a person writes is what runs: texts that the library reads otherwise, compared with DuckDB itself."""

from __future__ import annotations

import duckdb
import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit import dialect, statement
from sluicegate.kit.columns import Columns
from sluicegate.kit.expression import parse

KNOWN = Columns("t", {"s": "s", "js": "js"})
ROWS = """(select 'abc' as s, '{"a": [{"b": 1}], "a.b": 2, "a[0]": 3, "a:b": 4, "[0]": 5, ".a": 6, "/a": 7}'::json as js)"""


def test_the_version_is_that_of_the_engine():
    assert duckdb.__version__.startswith(f"{dialect.VERSION}.")


@pytest.mark.security
@pytest.mark.parametrize(
    "text",
    [
        "s ~ 'b'", "s ~ 'a.c'", "s !~ 'b'", "not s ~ 'b'",
        *(f"js {arrow} '{key}'" for arrow in ("->", "->>") for key in ("a.b", "a[0]", "a:b", "[0]", ".a", "$.a[0].b")),
        "js -> 'a' -> 0 ->> 'b'", "json_extract(js, 'a.b')", "json_extract_string(js, 'a[0]')", "js ->> '/a'",
    ],
)  # fmt: skip
def test_it_means_what_it_means_to_duckdb(text):
    with duckdb.connect() as link:
        wanted, found = (link.execute(f"select {sql} from {ROWS}").fetchall() for sql in (text, parse(text).sql(KNOWN)))
    assert found == wanted


@pytest.mark.security
@pytest.mark.parametrize(
    ("around", "times"), [("({} between symmetric 1 and 2)", 30), ("strpos(s, s, {})", 16), ("ceil(s, {})", 16)]
)
def test_what_grows_when_it_is_written_out_is_refused(around, times):
    text = "s"
    for _ in range(times):
        text = around.format(text)
    with pytest.raises(Invalid, match="too long when it is written out"):
        parse(text).sql(KNOWN)


@pytest.mark.security
@pytest.mark.parametrize("tail", ["::int", "^2", " in (1)", " at time zone 'utc'"])
def test_what_is_too_deep_to_be_written_out_is_refused(tail):
    text = "s" + tail * 400
    with pytest.raises(Invalid, match="nested too deeply"):
        parse(text).sql(KNOWN)
    with pytest.raises(Invalid, match="nested too deeply"):
        statement.parse(f"select {text} as x from t").sql({"t": KNOWN})
