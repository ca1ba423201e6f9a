from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.base.errors import Cancelled, DataError, Failed, Invalid, SluiceError
from sluicegate.base.errors import Egress as Refused
from sluicegate.base.secret import Secret
from sluicegate.connectors.files import Files
from sluicegate.engine.inlet import Inlet
from sluicegate.engine.job import Job
from sluicegate.engine.meter import Meter
from sluicegate.engine.stage import read_flow
from sluicegate.kit.registry import format_for

CONNECTIONS = {
    "here": {"kind": "connection", "name": "here", "type": "files", "root": "."},
    "db": {
        "kind": "connection", "name": "db", "type": "postgres", "host": "127.0.0.1", "port": 1, "database": "x",
        "user": "u", "password": {"secret": "mine"},
    },
}  # fmt: skip
READ = {"read": {"name": "a", "connection": "here", "item": "in-{day}.csv"}}
WRITE = {"write": {"from": "a", "connection": "here", "item": "out.csv"}}


@pytest.fixture
def inlet(tmp_path):
    (tmp_path / "in-2013-01-01.csv").write_text("id,v\n1,10\n2,20\n3,30\n")
    opened = []

    def make(*steps, cancelled=lambda: False, limit=None, told=None, **more):
        params = {"day": {"type": "date", "default": "2013-01-01"}, "low": {"type": "int64", "default": 15}}
        body = {"kind": "flow", "name": "f", "params": params, "steps": [*(steps or (READ,)), WRITE]}
        job = Job(
            **{
                "what": "run",
                "run": "r",
                "root": tmp_path,
                "flow": body,
                "connections": CONNECTIONS,
                "local": True,
                **more,
            }
        )
        report = (told if told is not None else []).append
        meter = Meter(lambda *_: None)
        held = Inlet(job, read_flow(job), meter, lambda kind, each: report((kind, each)), cancelled, limit=limit)
        held.meter = meter
        opened.append(held)
        return held

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def test_a_reading_step_gives_rows_counts_and_its_schema(inlet):
    told = []
    held = inlet(told=told)
    assert held.pull("a").read_all().to_pydict() == {"id": [1, 2, 3], "v": [10, 20, 30]}
    assert (held.meter.step("a").rows, held.meter.step("a").bytes) == (3, 20)
    assert told == [("schema", {"step": "a", "columns": {"id": "int64", "v": "int64"}})]


def test_columns_are_chosen_in_the_asked_order(inlet):
    rows = inlet({"read": {**READ["read"], "columns": ["v", "id"]}}).pull("a").read_all()
    assert rows.schema.names == ["v", "id"]


def test_a_column_that_is_not_there_is_named(inlet):
    with pytest.raises(Failed, match="there is no column 'nope'") as caught:
        inlet({"read": {**READ["read"], "columns": ["nope"]}}).pull("a")
    assert caught.value.where == "step a, columns"
    assert "id, v" in caught.value.hint


def test_a_known_schema_is_kept_and_what_does_not_fit_is_a_reject(inlet):
    with pytest.raises(DataError, match="line 3, column id: '2' is not bool"):
        inlet(snapshot={"a": {"id": "bool", "v": "int64"}}).pull("a").read_all()


def test_a_tree_of_transforms_is_one_query(inlet):
    held = inlet(
        READ,
        {"map": {"name": "m", "from": "a", "where": "v > :low", "columns": {"id": "id", "w": "v * 2"}}},
        {"join": {"name": "j", "left": "m", "right": "a", "on": ["id"]}},
    )
    assert held.pull("j").read_all().to_pydict() == {"id": [2, 3], "w": [40, 60], "v": [20, 30]}
    assert held.meter.step("j").rows == 2


@pytest.mark.security
def test_no_time_is_cut_on_the_way_into_a_query(inlet, tmp_path):
    moments = pa.table({"at": pa.array([5_001], pa.timestamp("ns", "UTC"))})
    pq.write_table(moments, tmp_path / "at.parquet")
    read = {"read": {"name": "a", "connection": "here", "item": "at.parquet"}}
    held = inlet(read, {"map": {"name": "m", "from": "a"}})
    with pytest.raises(DataError, match="finer than a microsecond"):
        held.pull("m").read_all()


def test_a_check_splits(inlet):
    check = {"check": {"name": "c", "from": "a", "rules": [{"column": "v", "between": [15, 99]}], "on_fail": "skip"}}
    held = inlet(READ, check)
    assert held.pull("c").read_all()["id"].to_pylist() == [2, 3]
    assert (held.meter.step("c").rows, held.meter.step("c").rejected) == (2, 1)


def test_a_step_that_is_not_there_and_one_without_rows_are_told(inlet):
    held = inlet()
    with pytest.raises(Invalid, match="no step 'zap'"):
        held.pull("zap")
    with pytest.raises(Invalid, match="gives no rows"):
        held.pull("write-2")


def test_cancel_ends_it_between_two_batches(inlet):
    asked = []
    held = inlet(cancelled=lambda: bool(asked))
    rows = held.pull("a")
    asked.append(1)
    with pytest.raises(Cancelled):
        rows.read_all()


def test_an_error_names_step_and_connection(inlet, tmp_path):
    (tmp_path / "in-2013-01-01.csv").unlink()
    with pytest.raises(SluiceError) as caught:
        inlet().pull("a")
    assert caught.value.where.startswith("step a, ")
    with pytest.raises(Invalid, match="there is no connection 'gone'"):
        inlet().session("gone")


@pytest.mark.security
@pytest.mark.parametrize("day", ["../x", "/etc/passwd", "a/b"])
def test_a_parameter_never_leads_elsewhere(inlet, day):
    params = {"day": day}
    with pytest.raises(SluiceError):
        inlet(params=params).item("in-{day}.csv", "a")


@pytest.mark.security
def test_a_connection_gets_its_own_secrets_only(inlet, monkeypatch):
    seen = []
    monkeypatch.setattr(Files, "secret_names", lambda self: ("mine",))
    true = Files.open

    def open_(self, ctx):
        seen.append(ctx)
        return true(self, ctx)

    monkeypatch.setattr(Files, "open", open_)
    inlet(secrets={"mine": Secret("one"), "other": Secret("two")}).session("here")
    assert seen[0].secret("mine").reveal() == "one"
    with pytest.raises(SluiceError):
        seen[0].secret("other")


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_on_a_server_the_egress_policy_holds(inlet):
    with pytest.raises(Refused, match="loopback") as caught:
        inlet(local=False, secrets={"mine": Secret("x")}).session("db")
    assert caught.value.where == "connection db, 127.0.0.1:1"
    assert '[[egress]] with host = "127.0.0.1"' in caught.value.hint


@pytest.mark.security
def test_rows_that_were_rejected_but_not_committed_are_not_kept(inlet, tmp_path):
    check = {
        "check": {"name": "c", "from": "a", "rules": [{"column": "v", "between": [15, 99]}], "on_fail": "quarantine"}
    }
    held = inlet(READ, check, quarantine_folder=tmp_path / "q")
    held.pull("c").read_all()
    held.__exit__(None, None, None)
    assert list((tmp_path / "q").iterdir()) == []


@pytest.mark.parametrize(
    ("item", "kind"),
    [("a.csv", "csv"), ("A.CSV.GZ", "csv"), ("x.ndjson", "ndjson"), ("x.json", "json"), ("d/x.parquet", "parquet")],
)
def test_a_suffix_means_a_format(item, kind):
    assert format_for(item).type == kind


def test_a_suffix_that_means_none_is_told():
    with pytest.raises(Invalid, match="does not tell a format"):
        format_for("x.zap")


def test_a_limit_for_looking_is_handed_on(inlet, tmp_path):
    (tmp_path / "in-2013-01-01.csv").write_text("id\n" + "1\n" * 500_000)
    rows = inlet(limit=10).pull("a")
    assert isinstance(rows, pa.RecordBatchReader)
    assert rows.read_next_batch().num_rows < 500_000
