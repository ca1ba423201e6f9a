"""No function loses a value that it is given: compared with DuckDB itself, over all names that may be called."""

from __future__ import annotations

import duckdb
import pytest
from sqlglot.dialects.duckdb import DuckDB

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.kit.calls import _calls
from sluicegate.kit.columns import Columns
from sluicegate.kit.expression import FUNCTIONS, parse

PARSER = DuckDB.Parser
NAMES = sorted({*FUNCTIONS, *(each.lower() for each in (*PARSER.FUNCTIONS, *PARSER.FUNCTION_PARSERS))})
"""All that the library knows as a function: what is not allowed is refused before it is counted."""
MOST = 7
NONE = Columns("t", {})
COLUMNS = Columns("t", {f"c{number}": f"c{number}" for number in range(MOST)})
TABLE = "t({})".format(", ".join(f"c{number}" for number in range(MOST)))
VALUES = [
    ["'abc'", "'b'", "'x'", "'d'", "'e'", "'f'", "'g'"],
    ["5", "2", "3", "1", "4", "6", "7"],
    ["'abc'", "'(b)'", "1", "'i'", "'e'", "'f'", "'g'"],
    ["'day'", "date '2020-02-03'", "date '2021-02-03'", "1", "1", "1", "1"],
    ["date '2020-02-03'", "date '2021-03-04'", "1", "1", "1", "1", "1"],
    ["[1, 2]", "1", "2", "3", "1", "1", "1"],
]
OTHERWISE = {
    "ceil",
    "ceiling",
    "floor",
    "instr",
    "json_extract",
    "json_extract_path",
    "make_time",
    "position",
    "strpos",
}
"""Take a value more than DuckDB's own, by these names, and use it."""


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as link:
        yield link


@pytest.fixture(scope="module")
def most(engine):
    """Return how many values each of DuckDB's own functions takes at the most, but for those that take any number."""
    found = engine.execute(
        "select lower(function_name), max(len(parameters)) from duckdb_functions()"
        " where function_type in ('scalar', 'macro') group by 1 having not bool_or(varargs is not null)"
    )
    return dict(found.fetchall())


def allowed(name):
    """Tell whether a name may be called at all, with one to four values."""
    for count in range(1, 5):
        try:
            parse(f"{name}({', '.join(VALUES[0][:count])})")
        except SluiceError:
            continue
        return True
    return False


def result(engine, sql):
    try:
        return engine.execute(f"select {sql} from (values ({', '.join(VALUES[0])})) {TABLE}").fetchone()
    except duckdb.Error:
        return None


def same(one, other):
    return one == other or (isinstance(one, float) and one == pytest.approx(other, nan_ok=True))


@pytest.mark.security
@pytest.mark.slow
def test_no_function_of_duckdb_takes_more_than_it_has(engine, most):
    """Whatever runs here with more values than DuckDB's own function has must use them all."""
    names = list(filter(allowed, NAMES))
    assert len(names) > 200
    for name in names:
        for count in range(min(most.get(name, MOST), MOST - 2) + 2):
            spellings = [values[:count] for values in VALUES] + [[f"c{number}" for number in range(count)]]
            for values in {", ".join(each): None for each in spellings}:
                text = f"{name}({values})"
                try:
                    sql = parse(text).sql(COLUMNS)
                except SluiceError as fault:
                    assert isinstance(fault, Invalid), text
                    continue
                ours, theirs = result(engine, sql), result(engine, text)
                if theirs is not None:
                    assert ours is None or same(ours[0], theirs[0]), (text, sql)
                elif name in most and count > most[name] and name not in OTHERWISE:
                    assert ours is None, (text, sql)
                if "c0" in values and ours is not None:
                    assert all(f'"c{number}"' in sql for number in range(count)), (text, sql)


@pytest.mark.security
@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("hex(c0, c1)", "hex", 2),
        ("hex('a', 'b')", "hex", 2),
        ("upper(hex(c0, 1)) || 'x'", "hex", 2),
        ("case when c0 in (1, 2) then sha256(c1, [1, 2]) end", "sha256", 2),
        ("regexp_extract('abc', '(b)', 1, 'i', 'z')", "regexp_extract", 5),
        ("regexp_replace(c0, 'b', 'x', 'g', 'i')", "regexp_replace", 5),
        ("last_day(date '2020-02-03', date '2021-03-04')", "last_day", 2),
        ("strptime('2020', '%Y', 'x')", "strptime", 3),
        ("mod(5, 3, 2)", "mod", 3),
        ("make_timestamp(1, 2, 3, 4, 5, 6, 7)", "make_timestamp", 7),
        ("log10()", "log10", 0),
    ],
)
def test_what_would_be_lost_is_refused_and_named(text, name, count):
    with pytest.raises(Invalid, match=rf"the function '{name}' does not take {count} values"):
        parse(text)


@pytest.mark.parametrize("text", ["date()", "var_map(1)", "var_map(1, 2, 3)"])
def test_what_the_library_stumbles_over_is_one_clear_error(text):
    with pytest.raises(Invalid, match="a function is given too little"):
        parse(text).sql(NONE)


def test_values_are_counted_as_the_text_has_them():
    told = dict(_calls("f() + g(a, h([1, 2], (b)), {'x': 1, 'y': 2}) /* , */ + \"k\"(',', 3) and c in (1, 2, 3)"))
    assert {name: told[name] for name in ("f", "g", "h", "k", "in")} == {"f": 0, "g": 3, "h": 2, "k": 2, "in": 3}
