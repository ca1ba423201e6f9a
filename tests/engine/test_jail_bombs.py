"""Queries that want too much of anything."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import pytest

from sluicegate.base.errors import Failed
from sluicegate.engine import cell, jail
from sluicegate.engine.program import Bounds, Program
from tests.fixtures.jail import ENDLESS, SMALL, ask, gone

pytestmark = pytest.mark.slow


@pytest.mark.security
@pytest.mark.req("SEC-S02")
@pytest.mark.parametrize(
    "sql",
    [ENDLESS, "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r) SELECT max(x) FROM r"],
)
def test_the_clock_ends_an_endless_query(sql):
    began = time.monotonic()
    with pytest.raises(Failed, match="step: took longer than the 1.5 s it may"):
        ask(sql, Bounds(memory_mb=64, seconds=1.5))
    assert 1.5 < time.monotonic() - began < 10  # by itself it never ends


@pytest.mark.security
@pytest.mark.req("SEC-S02")
def test_the_clock_ends_a_run_that_nobody_reads():
    held = jail.start(Bounds(memory_mb=64, seconds=1), inputs=0)
    with held.run(Program("SELECT * FROM range(1000000000000)", {}, {})) as rows:
        inner = held.pid
        assert gone(inner, 10)
        with pytest.raises(Failed, match="took longer"):
            rows.read_all()


@pytest.mark.security
@pytest.mark.req("SEC-S02")
def test_processor_time_ends_a_busy_query():
    began = time.monotonic()
    with pytest.raises(Failed, match="used more than the 1 s of processor time"):
        ask(ENDLESS, Bounds(memory_mb=64, cpu_seconds=1, seconds=20))
    assert time.monotonic() - began < 10


@pytest.mark.security
@pytest.mark.req("SEC-S02")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 2000000000)", "SELECT repeat('x', 100000000)", "SELECT list(i) FROM range(100000000) t(i)",
        "SELECT range(500000000)", "SELECT string_agg(i::varchar, ',') FROM range(100000000) t(i)",
        "SELECT array_to_string(list_transform(range(100000), x -> repeat('y', 1000000)), '')",
        "SELECT json_extract(repeat('[', 5000000) || repeat(']', 5000000), '$')",
    ],
)  # fmt: skip
def test_memory_is_bounded(sql):
    held = jail.start(SMALL, inputs=0)
    peak = [0]
    done = threading.Event()

    def watch():
        while not done.wait(0.02):
            try:
                told = Path(f"/proc/{held.pid}/status").read_text()
                peak[0] = max(peak[0], int(re.search(r"VmHWM:\s+(\d+)", told)[1]) >> 10)
            except (OSError, TypeError):
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with (
            pytest.raises(Failed, match="needs more than the 64 MB of memory"),
            held.run(Program(sql, {}, {})) as rows,
        ):
            rows.read_all()
    finally:
        done.set()
        watcher.join()
    assert peak[0] < 64 * 1.5 + 128 + 80


@pytest.mark.security
@pytest.mark.req("SEC-S02")
@pytest.mark.parametrize("sql", ["SELECT " + "(" * 20000 + "1" + ")" * 20000, "SELECT " + "+".join(["1"] * 30000),
                                 "SELECT " + "[" * 5000 + "]" * 5000])  # fmt: skip
def test_deep_queries_end_in_an_error(sql):
    with pytest.raises(Failed):
        ask(sql)


@pytest.mark.security
@pytest.mark.req("SEC-S02")
def test_output_is_bounded():
    with pytest.raises(Failed, match="gave more than the 5000000 bytes it may"):
        ask("SELECT * FROM range(100000000)", Bounds(memory_mb=64, output_bytes=5_000_000))


@pytest.mark.security
@pytest.mark.req("SEC-S02")
def test_spilled_bytes_are_bounded(monkeypatch):
    monkeypatch.setattr(cell, "SPILL_BYTES", 8 << 20)
    with pytest.raises(Failed, match="memory"):
        ask("SELECT * FROM range(20000000) t(i) ORDER BY hash(i)")


@pytest.mark.security
@pytest.mark.req("SEC-S02")
def test_what_the_child_prints_is_bounded(altered):
    altered("jailed.py", "    text = pipe.read()", '    [os.write(1, b"x" * 4096) for _ in range(100)]; text = b""')
    with pytest.raises(Failed, match="printed more than the 65536 bytes"):
        ask("SELECT 1")


@pytest.mark.security
@pytest.mark.req("SEC-S02")
def test_files_threads_and_processes_are_bounded():
    held = jail.start(Bounds(memory_mb=64, files=40, processes=7), inputs=0)
    with held.run(Program("SELECT * FROM range(100000000)", {}, {})):
        told = Path(f"/proc/{held.pid}/limits").read_text()
        threads = os.listdir(f"/proc/{held.pid}/task")
    limits = dict(re.findall(r"^(Max [a-z ]+?) {2,}(\S+ +\S+)", told, re.MULTILINE))
    assert limits["Max open files"].split() == ["40", "40"]
    assert limits["Max processes"].split() == ["7", "7"]
    assert limits["Max core file size"].split() == ["0", "0"]
    assert limits["Max file size"].split()[0] != "unlimited"
    assert limits["Max address space"].split()[0] != "unlimited"
    assert len(threads) == 1
