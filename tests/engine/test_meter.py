from __future__ import annotations

import io
import os
import time

from sluicegate.engine.meter import Count, Counted, Meter, memory


def test_counts_become_percent_and_rate():
    told = []
    with Meter(lambda kind, body: told.append((kind, body))) as meter:
        step = meter.step("a")
        step.rows, step.bytes, step.total_bytes = 500, 50, 200
        time.sleep(0.3)
    kind, body = told[-1]
    assert kind == "progress"
    assert body["percent"] == 25.0
    assert body["steps"]["a"]["rows"] == 500
    assert 0 < body["rate"] <= 500 / 0.3
    assert body["peak"] > 5_000_000


def test_memory_counts_this_process():
    assert 5e6 < memory(os.getpid()) < 4e9


def test_reading_is_counted():
    count = Count()
    assert Counted(io.BytesIO(b"x" * 100), count).read(60) == b"x" * 60
    buffer = bytearray(50)
    file = Counted(io.BytesIO(b"y" * 40), count)
    assert file.readinto(buffer) == 40
    assert count.bytes == 100
    assert file.seekable()
