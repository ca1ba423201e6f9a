"""The demo's own flow (join, map, check, merge, sealed archive) under ``kill -9``: the same target as when undisturbed."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from sluicegate.crypto.manifest import SUFFIX
from tests.crash.test_kill import wait
from tests.fixtures.home import sluice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
ROWS = 40_000
HEAD = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"


def flight(n):
    """Return one flight of a year that never was, in the form of the real ones; some have no delay, some an absurd one."""
    delay = "NA" if n % 50 == 0 else 900 if n % 10_000 == 1 else n % 90 - 20
    day, tail = n // 500 % 28 + 1, "NA" if n % 77 == 0 else f"n{n % 4000}"
    return f"2013,{n // 14_000 % 12 + 1},{day},517,{500 + n % 500},{delay},830,819,11,C{n % 16},{n},{tail},EWR,IAH,227,1400,5,15,2013-01-01 05:00:00"


def prepare(served):
    """Put the demo's documents and a year of flights into the tenant; return its directory and the identity."""
    me = served.settle()
    data = served.data(me)
    (data / "landing").mkdir()
    (data / "safe").mkdir()
    with gzip.open(data / "landing" / "flights.csv.gz", "wt", compresslevel=1) as out:
        out.write(HEAD + "\n")
        out.writelines(flight(n) + "\n" for n in range(ROWS))
    with sqlite3.connect(data / "shop.db") as shop:
        shop.execute("CREATE TABLE airlines (carrier TEXT PRIMARY KEY, name TEXT NOT NULL)")
        shop.executemany("INSERT INTO airlines VALUES (?, ?)", [(f"C{n}", f"Carrier {n}") for n in range(16)])
    shop.close()
    identity = served.folder / "dpo.age"
    recipient = sluice(served.editor, "archive", "keygen", str(identity))["recipient"]
    documents = served.folder / "documents"
    documents.mkdir()
    for name in ("connections.yaml", "flights.yaml"):
        shutil.copy(FLIGHTS / name, documents)
    (documents / "recipients.yaml").write_text(f"kind: recipient\nname: dpo\ntype: age\nrecipient: {recipient}\n")
    sluice(served.editor, "apply", str(documents))
    return data, identity


def expected():
    """Return what an undisturbed run lands: (rows, rejected)."""
    landed = rejected = 0
    for n in range(ROWS):
        if n % 50 == 0:
            continue
        absurd = n % 10_000 == 1
        rejected += absurd
        landed += not absurd
    return landed, rejected


def contents(served, data, identity):
    """Return what both targets hold: every row of the warehouse, and every row of the archive."""
    import pyarrow.parquet as pq

    with sqlite3.connect(data / "warehouse.db") as target:
        rows = sorted(target.execute("SELECT * FROM flight_delays").fetchall(), key=str)
    target.close()
    archive, manifest = sorted((data / "safe").iterdir())
    assert manifest.name == archive.name + SUFFIX
    opened = served.folder / f"opened-{time.monotonic_ns()}.parquet"
    sluice(served.editor, "archive", "open", str(archive), "--identity", str(identity), "-o", str(opened))
    return rows, pq.read_table(opened).to_pylist()


def test_the_demo_s_flow_killed_at_several_moments_lands_what_an_undisturbed_run_lands(served):
    data, identity = prepare(served)
    began = time.monotonic()
    whole = sluice(served.editor, "run", "flights-to-warehouse", "--wait", expect=3)
    took = time.monotonic() - began
    landed, rejected = expected()
    assert (whole["counts"]["written"], whole["counts"]["rejected"]) == (2 * landed, rejected)
    undisturbed = contents(served, data, identity)
    assert len(undisturbed[0]) == len(undisturbed[1]) == landed
    for share in (0.3, 0.6, 0.85):
        (data / "warehouse.db").unlink()
        shutil.rmtree(data / "safe")
        (data / "safe").mkdir()
        run = sluice(served.editor, "run", "flights-to-warehouse")["id"]
        time.sleep(took * share)
        served.kill()
        served.start()
        found = wait(served, run)
        assert found["state"] == "finished_with_rejects", (share, found["error"])
        assert (found["counts"]["written"], found["counts"]["rejected"]) == (2 * landed, rejected), share
        assert contents(served, data, identity) == undisturbed, share
