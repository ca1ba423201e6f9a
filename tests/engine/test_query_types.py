"""Types that a step asks for come out of the real jail before a row is read; checks are marked there."""

from __future__ import annotations

import csv

import pyarrow as pa
import pytest

from sluicegate.base.errors import DataError, Invalid
from sluicegate.engine import stage
from sluicegate.engine.job import Job
from sluicegate.engine.plan import plan
from tests.fixtures.jail import SMALL, Program, clean, counted, jail

pytestmark = pytest.mark.slow

HERE = {"here": {"kind": "connection", "name": "here", "type": "files", "root": "."}}


def read(name: str, columns: dict[str, str]) -> dict:
    told = {"type": "csv", "columns": columns}
    return {"read": {"name": name, "connection": "here", "item": f"{name}.csv", "format": told}}


def carry(path, *made: dict, **more) -> dict:
    body = {"kind": "flow", "name": "f", "params": {"low": {"type": "int64", "default": 0}}, "steps": list(made)}
    job = Job(**{"what": "run", "run": "r", "root": path, "flow": body, "connections": HERE, "local": True, **more})
    if more.get("what") == "preview":
        return stage.preview(job, lambda *_: None, lambda: False)
    return stage.execute(job, plan(stage.read_flow(job))[0].name, lambda *_: None, lambda: False)


def out(path):
    with (path / "out.csv").open(newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.csv").write_text("k,v\n1,x\n2,y\n2,z\n,w\n-5,x\n")
    (tmp_path / "b.csv").write_text("k\n1\n2\n")
    return tmp_path


WRITE = {"write": {"from": "last", "connection": "here", "item": "out.csv"}}
A, B = read("a", {"k": "int64", "v": "text"}), read("b", {"k": "text"})


def test_types_are_told_before_any_row_and_what_the_judge_raises_ends_it():
    told = []

    def judge(schema):
        told.append(schema)
        raise Invalid("no", where="step j")

    rows, given = counted(50)
    sql, types = "SELECT a FROM t", "SELECT a AS x, s AS y FROM t LIMIT 0"
    program = Program(sql, {}, {"t": rows}, "step", types, judge)
    with clean(), pytest.raises(Invalid, match="no"), jail.run(program, bounds=SMALL):
        pytest.fail("it was begun")
    assert told == [pa.schema([("x", pa.int64()), ("y", pa.string())])]
    rows, given = counted(5)
    with jail.run(Program(sql, {}, {"t": rows}, "step", types, told.append), bounds=SMALL) as found:
        assert found.read_all().num_rows == 5000
    assert len(given) == 5


@pytest.mark.security
def test_types_are_asked_for_by_a_select_alone():
    rows, _ = counted(1)
    asked = Program("SELECT a FROM t", {}, {"t": rows}, "step", "DROP VIEW t", lambda _: None)
    with pytest.raises(Exception, match="only one SELECT runs here"), jail.run(asked, bounds=SMALL):
        pass


def test_a_flow_whose_types_do_not_meet_lands_nothing(folder):
    with pytest.raises(Invalid, match="the column 'k' is int64 in 'a' and text in 'b'") as caught:
        carry(folder, A, B, {"join": {"name": "last", "left": "a", "right": "b", "on": ["k"]}}, WRITE)
    assert caught.value.where == "step last, on"
    assert not (folder / "out.csv").exists()


def test_a_check_marks_rows_over_what_transforms_made(folder):
    rules = [
        {"column": "k", "unique": True},
        {"column": "k", "reference": {"from": "codes"}},
        {"expression": "v <> 'w' and (k is null or k > :low)"},
        {"row_count": {"max": 5}},
    ]
    made = [
        {"map": {"name": "codes", "from": "b", "columns": {"k": "cast(k as bigint)"}}},
        {"sort": {"name": "sorted", "from": "a", "by": ["v"]}},
        {"check": {"name": "last", "from": "sorted", "rules": rules, "on_fail": "skip"}},
    ]
    found = carry(folder, A, B, *made, WRITE)
    assert out(folder) == [("k", "v"), ("1", "x"), ("2", "y")]
    assert found["counts"]["steps"]["last"]["rejected"] == 3


def test_a_check_that_stops_names_rule_column_and_row(folder):
    with pytest.raises(DataError, match="k must be unique") as caught:
        carry(folder, A, {"check": {"name": "last", "from": "a", "rules": [{"column": "k", "unique": True}]}}, WRITE)
    assert caught.value.where == "step last, row 3, column k"
    assert not (folder / "out.csv").exists()


def test_rows_that_are_too_few_land_nowhere(folder):
    rule = {"row_count": {"min": 6}}
    with pytest.raises(DataError, match="there are 5 rows, at least 6") as caught:
        carry(folder, A, {"check": {"name": "last", "from": "a", "rules": [rule], "on_fail": "skip"}}, WRITE)
    assert caught.value.where == "step last, rules[0].row_count"
    assert not (folder / "out.csv").exists()


def test_a_preview_does_not_count_or_look_up_what_it_has_not_read(folder):
    rules = [{"row_count": {"min": 99}}, {"column": "k", "reference": {"from": "codes"}}, {"expression": "k > 0"}]
    made = [
        {"map": {"name": "codes", "from": "b", "columns": {"k": "cast(k as bigint) + 100"}}},
        {"check": {"name": "last", "from": "a", "rules": rules, "on_fail": "skip"}},
    ]
    found = carry(folder, A, B, *made, what="preview", run="", ask={"step": "last", "limit": 10})
    assert [row[1] for row in found["rows"]] == ["x", "y", "z", "w"]


@pytest.mark.parametrize(
    "step",
    [
        {"sort": {"by": ["s", "a"]}},
        {"distinct": {"keys": ["s"], "keep": "last", "order_by": ["a"]}},
        {"aggregate": {"by": ["s"], "columns": {"a": "max(a)"}}},
        {"check": {"rules": [{"column": "s", "unique": True}]}},
        {"lookup": {"in": "big", "from": "few", "on": ["a"], "take": {"word": "s"}}},
    ],
    ids=lambda step: next(iter(step)),
)
def test_more_rows_than_memory_holds_spill(folder, step):
    """Each holds about 95 MB of rows in a jail of 64 MB."""
    ((type_, fields),) = step.items()
    with (folder / "big.csv").open("w") as file:
        file.write("a,s\n")
        file.writelines(f"{number},{number:0128d}\n" for number in range(700_000))
    few = {"map": {"name": "few", "from": "some", "columns": {"a": "cast(k as bigint)"}}}
    made = {type_: {"name": "last", "from": "big", **fields}}
    (folder / "some.csv").write_text("k\n1\n2\n")
    some = [few, read("some", {"k": "text"})] if type_ == "lookup" else []
    body = [
        read("big", {"a": "int64", "s": "text"}),
        *some,
        made,
        {"write": {"name": "out", "from": "last", "connection": "here", "item": "out.parquet"}},
    ]
    found = carry(folder, *body, jail={"memory": 64})
    assert found["receipts"]["out"]["rows"] == (2 if some else 700_000)
