"""What is told of a flow before it runs: types, places, ways; nothing read, nothing written, no secret."""

from __future__ import annotations

import json

import psycopg
import pytest

from sluicegate.base.errors import Failed, SluiceError
from sluicegate.base.secret import Secret
from sluicegate.engine.explanation import PASSES, explain
from sluicegate.engine.job import Job

pytestmark = pytest.mark.slow
HERE = {"kind": "connection", "name": "here", "type": "files", "root": "."}
READ = {"read": {"name": "a", "connection": "here", "item": "in.csv"}}


@pytest.fixture
def tell(tmp_path):
    (tmp_path / "in.csv").write_text("id,v\n1,1.50\n2,2.25\n")

    def told(*steps, connections=None, **job):
        body = {"kind": "flow", "name": "f", "params": {"day": {"type": "text", "default": "x"}}, "steps": list(steps)}
        known = {"here": HERE, **(connections or {})}
        made = Job(what="explain", run="", root=tmp_path, flow=body, connections=known, local=True, **job)
        return explain(made, lambda *_: None, lambda: False)

    return told


def warehouse(server):
    return {
        "kind": "connection", "name": "db", "type": "postgres", "host": server.host, "port": server.port,
        "database": server.dbname, "user": server.user, "password": {"secret": "pw"}, "tls": "disable",
    }  # fmt: skip


@pytest.fixture
def server(postgres):
    database = postgres.fresh()
    yield database
    database.drop()


def test_types_are_told_at_each_step_and_what_holds_text_runs_in_the_jail(tell, tmp_path):
    found = tell(
        READ,
        {"map": {"name": "m", "from": "a", "columns": {"id": "id", "w": "v * 2", "t": "cast(id as text)"}}},
        {"check": {"name": "c", "from": "m", "rules": [{"column": "id", "not_null": True}], "on_fail": "skip"}},
        {"write": {"name": "w", "from": "c", "connection": "here", "item": "out-{day}.parquet", "mode": "replace"}},
    )
    assert [(each["name"], each["runs_in"], each["inputs"]) for each in found["steps"]] == [
        ("a", "task", []), ("m", "jail", ["a"]), ("c", "task", ["m"]),
    ]  # fmt: skip
    assert found["steps"][0]["columns"]["id"] == "int64"
    assert found["steps"][1]["columns"] == found["steps"][2]["columns"]
    assert found["steps"][1]["columns"]["t"] == "text"
    (write,) = found["segments"][0]["writes"]
    assert (write["item"], write["mode"], write["columns"], write["way"]) == (
        "out-x.parquet",
        "replace",
        None,
        "batches",
    )
    assert "step c (check) works on the rows" in write["why"]
    assert [each.name for each in tmp_path.iterdir()] == ["in.csv"], "nothing was made"


@pytest.mark.security
@pytest.mark.req("SEC-S03")
def test_a_passage_is_foretold_and_nothing_of_a_secret_is(tell, server):
    server.execute("create table s (id int, v numeric(9,2))")
    server.execute("create table narrow (id int, v numeric(9,1))")
    known = {"db": warehouse(server)}
    steps = [{"read": {"name": "a", "connection": "db", "item": "s"}}]

    def write(item, **more):
        return {"write": {"name": item, "from": "a", "connection": "db", "item": item, **more}}

    def ways(*writes):
        found = tell(*steps, *writes, connections=known, secrets={"pw": Secret(server.password)})
        assert server.password not in json.dumps(found)
        return [each for segment in found["segments"] for each in segment["writes"]]

    (new,) = ways(write("new"))
    assert (new["way"], new["why"], new["columns"]) == ("passage", PASSES, None)
    (narrow,) = ways(write("narrow"))
    assert narrow["way"] == "batches"
    assert "numeric(9,2) in the source and numeric(9,1) in the target" in narrow["why"]
    assert narrow["columns"] == {"id": "int32", "v": "decimal(9,1)"}
    both = ways(write("new"), write("newer"))
    assert [each["why"] for each in both] == ["the rows go to several targets"] * 2
    (merge,) = ways(write("new", mode={"type": "merge", "keys": ["id"]}))
    assert (merge["way"], merge["mode"]) == ("batches", "merge")
    with psycopg.connect(server.url) as link:
        made = link.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        )
        assert {name for (name,) in made} == {"s", "narrow"}, "nothing was made"


def test_what_the_run_would_refuse_is_refused_with_its_step(tell):
    with pytest.raises(SluiceError) as caught:
        tell(READ, {"map": {"name": "m", "from": "a", "columns": {"x": "gone"}}},
             {"write": {"from": "m", "connection": "here", "item": "o.csv"}})  # fmt: skip
    assert "step m" in caught.value.where
    with pytest.raises(Failed) as caught:
        tell({"read": {"name": "a", "connection": "here", "item": "none.csv"}},
             {"write": {"from": "a", "connection": "here", "item": "o.csv"}})  # fmt: skip
    assert caught.value.where.startswith("step a")
