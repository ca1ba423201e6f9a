"""The file of an SQLite connection: whose it is, and that a load which fails leaves none."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time

import pyarrow as pa
import pytest

from sluicegate.base.errors import DataError
from sluicegate.conformance.samples import table
from sluicegate.connectors.sqlite import Sqlite
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker
from sluicegate.kit.types import opened

DATABASE = Sqlite(name="shop", path="shop.db")


@pytest.fixture
def ctx(tmp_path):
    with Root(tmp_path) as root:
        yield Context(net=Net(Egress()), files=root)


def load(ctx, columns, *, run="r"):
    found = columns if isinstance(columns, pa.Table) else table(columns)
    with DATABASE.open(ctx) as session, session.stage("t", found.schema, Append(), Marker(run, "w")) as staged:
        for batch in found.to_batches():
            staged.write(batch)
        return staged.commit()


def read(ctx):
    with DATABASE.open(ctx) as session:
        return session.read(Read(item="t")).read_all()


@pytest.mark.security
def test_a_new_file_is_for_its_owner_alone(ctx, tmp_path):
    before = os.umask(0)
    try:
        load(ctx, {"v": [1]})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "shop.db").stat().st_mode) == 0o600


def test_a_receipt_tells_bytes(ctx):
    receipt = load(ctx, {"v": [1, 2]})
    assert (receipt.rows, receipt.bytes >= 16) == (2, True)


@pytest.mark.parametrize("way", ["leave", "close"])
def test_an_abandoned_load_leaves_no_new_file(ctx, tmp_path, way):
    rows = table({"v": ["x" * 1000] * 100_000})  # more than SQLite keeps in memory
    with DATABASE.open(ctx) as session:
        stage = session.stage("t", rows.schema, Append(), Marker("r", "w"))
        stage.write(rows.to_batches()[0])
        if way == "leave":
            with stage:
                pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.security
def test_a_load_that_waits_for_one_that_fails_is_not_lost(ctx, tmp_path):
    """The one that fails takes its new file away; who has opened it already must not write into what has no name."""
    rows = table({"v": [1]})
    begun, receipts = threading.Event(), []

    def second() -> None:
        begun.wait()
        receipts.append(load(ctx, {"v": [2]}, run="2"))

    waiting = threading.Thread(target=second)
    waiting.start()
    with DATABASE.open(ctx) as session, session.stage("t", rows.schema, Append(), Marker("1", "w")) as stage:
        stage.write(rows.to_batches()[0])
        begun.set()
        time.sleep(0.5)  # the other one has opened the file and waits for the lock
    waiting.join()
    assert receipts[0].rows == 1
    assert read(ctx).to_pylist() == [{"v": 2}]
    assert (tmp_path / "shop.db").exists()


def test_no_row_contradicts_no_type(ctx, tmp_path):
    link = sqlite3.connect(tmp_path / "shop.db")
    link.execute("create table t (v INTEGER)")
    link.close()
    empty = opened(pa.schema([("v", pa.null())]))
    assert load(ctx, pa.Table.from_batches([], empty)).rows == 0
    with pytest.raises(DataError, match="cannot hold text"):
        load(ctx, table({"v": pa.array([], pa.string())}), run="2")
