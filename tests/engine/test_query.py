"""Trees of transforms as one query, run in the real jail over real rows."""

from __future__ import annotations

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.base.errors import DataError, Failed, Invalid, UnknownColumn
from sluicegate.engine import query, stage
from sluicegate.engine.job import Job
from sluicegate.engine.plan import plan, steps
from sluicegate.kit.flow import Flow

pytestmark = pytest.mark.slow

CONNECTIONS = {
    "here": {"kind": "connection", "name": "here", "type": "files", "root": "."},
    "db": {"kind": "connection", "name": "db", "type": "sqlite", "path": "t.db"},
}
READ = {"read": {"name": "a", "connection": "here", "item": "in.csv"}}


def job(path, *made: dict, **more) -> Job:
    body = {"kind": "flow", "name": "f", "steps": list(made)}
    return Job(
        **{"what": "run", "run": "r", "root": path, "flow": body, "connections": CONNECTIONS, "local": True, **more}
    )


def carry(path, *made: dict) -> dict:
    found = job(path, *made)
    return stage.execute(found, plan(stage.read_flow(found))[0].name, lambda *_: None, lambda: False)


def out(path, item="out.csv"):
    with (path / item).open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in.csv").write_text("id,ID,name\n1,100,a\n2,200,b\n")
    return tmp_path


WRITE = {"write": {"from": "m", "connection": "here", "item": "out.csv"}}


@pytest.mark.security
@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ({"a": "id", "b": "ID", "c": '"ID"'}, [["a", "b", "c"], ["1", "100", "100"], ["2", "200", "200"]]),
        ({"id": "id", "ID": "ID + 1"}, [["id", "ID"], ["1", "101"], ["2", "201"]]),
        ({"ID": "id", "Id": "ID"}, [["ID", "Id"], ["1", "100"], ["2", "200"]]),
        (None, [["id", "ID", "name"], ["1", "100", "a"], ["2", "200", "b"]]),
    ],
)
def test_names_that_differ_in_case_are_different_columns(folder, columns, rows):
    made = {"name": "m", "from": "a", "where": "ID > 0 and id > 0"}
    carry(folder, READ, {"map": {**made, **({"columns": columns} if columns else {})}}, WRITE)
    assert out(folder) == rows


@pytest.mark.security
def test_a_name_that_could_mean_two_columns_is_refused(folder):
    with pytest.raises(UnknownColumn, match="'Id' can mean 'id' or 'ID'") as caught:
        carry(folder, READ, {"map": {"name": "m", "from": "a", "columns": {"x": "Id"}}}, WRITE)
    assert caught.value.where == "step m, columns.x"
    assert not (folder / "out.csv").exists()


@pytest.mark.security
@pytest.mark.parametrize("how", ["inner", "left", "right", "full"])
def test_a_join_keeps_names_that_differ_in_case(folder, how):
    (folder / "l.csv").write_text("k,V\n1,x\n2,y\n")
    (folder / "r.csv").write_text("k,v\n2,p\n3,q\n")
    carry(
        folder,
        {"read": {"name": "l", "connection": "here", "item": "l.csv"}},
        {"read": {"name": "r", "connection": "here", "item": "r.csv"}},
        {"join": {"name": "m", "left": "l", "right": "r", "on": ["k"], "how": how}},
        WRITE,
    )
    wanted = {"2yp"} | ({"1x"} if how in ("left", "full") else set()) | ({"3q"} if how in ("right", "full") else set())
    assert out(folder)[0] == ["k", "V", "v"]
    assert {"".join(row) for row in out(folder)[1:]} == wanted


@pytest.mark.security
def test_checks_previews_and_parquet_keep_them_apart(folder):
    check = {"check": {"name": "c", "from": "m", "rules": [{"column": "ID", "between": [150, 300]}], "on_fail": "skip"}}
    every = {"map": {"name": "m", "from": "a"}}
    carry(folder, READ, every, check, {"write": {"from": "c", "connection": "here", "item": "out.parquet"}})
    assert pq.read_table(folder / "out.parquet").to_pydict() == {"id": [2], "ID": [200], "name": ["b"]}
    asked = job(folder, READ, every, what="preview", run="", ask={"step": "m", "limit": 1})
    found = stage.preview(asked, lambda *_: None, lambda: False)
    assert (list(found["columns"]), found["rows"]) == (["id", "ID", "name"], [[1, 100, "a"]])


@pytest.mark.security
def test_sqlite_cannot_hold_both_and_says_so(folder):
    with pytest.raises(Invalid, match="'id' and 'ID'"):
        carry(folder, READ, {"write": {"from": "a", "connection": "db", "item": "t"}})
    assert not (folder / "t.db").exists()


@pytest.mark.security
def test_a_step_called_like_an_inner_name_is_no_other_step(folder):
    carry(
        folder,
        READ,
        {"map": {"name": "t0", "from": "a", "columns": {"c1": "id"}}},
        {"map": {"name": "in_a", "from": "t0", "columns": {"c0": "c1 * 2"}}},
        {"write": {"from": "in_a", "connection": "here", "item": "out.csv"}},
    )
    assert out(folder) == [["c0"], ["2"], ["4"]]


@pytest.mark.parametrize(
    ("expression", "kind", "says"),
    [
        ("cast(name as int)", DataError, "the text 'a' is not int32, in column 'name'"),
        ("name * 2", Failed, "there is nothing called *(text, int32): cast the values, or use another function"),
        ("name > id", Failed, "text and int64 cannot be compared: cast one of them"),
    ],
)
def test_what_the_engine_says_comes_in_our_words(folder, expression, kind, says):
    with pytest.raises(kind) as caught:
        carry(folder, READ, {"map": {"name": "m", "from": "a", "columns": {"x": expression}}}, WRITE)
    assert (caught.value.where, caught.value.message) == ("step m", says)


def test_an_error_of_an_input_is_left_as_it_is(folder):
    (folder / "in.csv").write_text("id\n1\n" + "2\n" * 3_000_000 + "VARCHAR\n")
    with pytest.raises(DataError, match="'VARCHAR' is not int64") as caught:
        carry(folder, READ, {"map": {"name": "m", "from": "a"}}, WRITE)
    assert caught.value.where.startswith("step a, line 3000003")


def test_a_query_holds_each_stream_once():
    flow = Flow.model_validate(
        {
            "name": "f",
            "steps": [
                READ,
                {"map": {"name": "l", "from": "a", "where": "k > 0"}},
                {"join": {"name": "j", "left": "l", "right": "a", "on": ["k"]}},
            ],
        }
    )
    assert query.leaves(steps(flow), "j") == ("a",)
    made = query.compose(steps(flow), "j", {"a": ["k"]}, {})
    ((table, step, (column,)),) = made.inputs
    salt = table.removeprefix("t0_")
    plain = made.sql.replace(f"_{salt}", "")
    assert plain.startswith('WITH "s0"("c0") AS MATERIALIZED (SELECT "c0" FROM "t0"), "s1"("c1") AS (')
    assert (step, column, made.outputs) == ("a", f"c0_{salt}", ("k",))


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_nobody_can_know_what_a_query_calls_its_columns():
    flow = Flow.model_validate({"name": "f", "steps": [READ, {"map": {"name": "m", "from": "a"}}]})
    one, other = (query.compose(steps(flow), "m", {"a": ["k"]}, {}) for _ in range(2))
    assert not {*one.names, one.inputs[0].table} & {*other.names, other.inputs[0].table}
    assert all(len(each.partition("_")[2]) == 16 for each in one.names)


def test_rows_keep_their_values_under_other_names():
    rows = pa.table({"a": [1, 2]}).to_reader(1)
    assert query.renamed(rows, ["b"], print).read_all().to_pydict() == {"b": [1, 2]}
