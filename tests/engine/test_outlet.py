from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.connectors.files import Files
from sluicegate.crypto import seal
from sluicegate.engine.outlet import open_outlet
from sluicegate.engine.seals import Keys
from sluicegate.kit.context import Context
from sluicegate.kit.document import parse_definition
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker

ROWS = pa.record_batch({"a": [1, 2, 3], "s": ["x", None, "z"]})
MARKER = Marker("run-1", "write-1")


@pytest.fixture
def session(tmp_path):
    with Root(tmp_path) as root, Files(name="here", root=".").open(Context(net=Net(Egress()), files=root)) as opened:
        yield opened


def writing(kind="write", **more):
    step = {kind: {"from": "a", "connection": "here", "item": "x", **more}}
    read = {"read": {"name": "a", "connection": "here", "item": "in.csv"}}
    return parse_definition({"kind": "flow", "name": "f", "steps": [read, step]}).steps[1]


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_file_appears_at_the_commit_and_whole(session, tmp_path):
    with open_outlet(session, writing(), "out.parquet", ROWS.schema, MARKER, Keys({}, {})) as outlet:
        outlet.write(ROWS)
        outlet.write(ROWS)
        assert not (tmp_path / "out.parquet").exists()
        receipt = outlet.commit()
    assert (receipt.rows, receipt.repeated) == (6, False)
    assert pq.read_table(tmp_path / "out.parquet").to_batches()[0].slice(0, 3).equals(ROWS)
    assert names(tmp_path) == ["out.parquet"]


@pytest.mark.security
@pytest.mark.parametrize("item", ["out.parquet", "out.csv.gz", "out.parquet.age"])
@pytest.mark.parametrize("way", ["leave", "raise"])
def test_what_is_abandoned_leaves_the_older_file(session, tmp_path, item, way):
    (tmp_path / item).write_text("older")
    step = writing("archive", seal={"to": [seal.new_identity()[1]]}) if item.endswith(".age") else writing()
    with (
        pytest.raises(ZeroDivisionError)
        if way == "raise"
        else open_outlet(session, step, item, ROWS.schema, MARKER, Keys({}, {})),
        open_outlet(session, step, item, ROWS.schema, MARKER, Keys({}, {})) as outlet,
    ):
        for _ in range(50):
            outlet.write(ROWS)
        if way == "raise":
            raise ZeroDivisionError
    assert (tmp_path / item).read_text() == "older"
    assert names(tmp_path) == [item]


@pytest.mark.security
def test_a_sealed_file_holds_nothing_in_clear_and_opens_for_each_recipient(session, tmp_path):
    pairs = [seal.new_identity() for _ in range(2)]
    step = writing("archive", seal={"to": ["dpo", pairs[1][1]]})
    rows = pa.record_batch({"s": ["canary-canary"]})
    with open_outlet(session, step, "x.csv.age", rows.schema, MARKER, Keys({"dpo": pairs[0][1]}, {})) as outlet:
        outlet.write(rows)
        outlet.commit()
    raw = (tmp_path / "x.csv.age").read_bytes()
    assert b"canary" not in raw
    for identity, _ in pairs:
        with (tmp_path / "x.csv.age").open("rb") as sealed:
            assert b"canary-canary" in seal.open_sealed(identity, sealed).read()
    with (tmp_path / "x.csv.age").open("rb") as sealed, pytest.raises(Corrupt):
        seal.open_sealed(seal.new_identity()[0], sealed).read()


@pytest.mark.parametrize(
    ("step", "item", "said"),
    [
        (writing(mode="append"), "x.csv", "cannot be written with mode 'append'"),
        (writing(), "x.zap", "does not tell a format"),
        (writing("archive", seal={"to": ["dpo"]}), "x.csv.age", "no recipient 'dpo'"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_nothing(session, tmp_path, step, item, said):
    with pytest.raises(Invalid, match=said):
        open_outlet(session, step, item, ROWS.schema, MARKER, Keys({}, {}))
    assert names(tmp_path) == []


@pytest.mark.security
def test_a_broken_seal_takes_its_draft_with_it(session, tmp_path):
    step = writing("archive", seal={"to": ["dpo"]})
    with pytest.raises(Invalid, match="not an age recipient"):
        open_outlet(session, step, "x.csv.age", ROWS.schema, MARKER, Keys({"dpo": "age1nonsense"}, {}))
    assert names(tmp_path) == []
