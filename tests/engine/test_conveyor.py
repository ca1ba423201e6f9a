from __future__ import annotations

import threading
import time

import pyarrow as pa
import pytest

from sluicegate.engine.conveyor import Conveyor, Stopped


def batch(size: int = 1000) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"x": pa.array(range(size), pa.int64())})


def test_batches_come_out_in_order():
    queue = Conveyor(1 << 20)
    sent = [batch(n) for n in range(1, 5)]
    for each in sent:
        queue.put(each)
    queue.close()
    assert [each.num_rows for each in queue] == [1, 2, 3, 4]


def test_bytes_bound_the_queue_not_rows():
    queue = Conveyor(20_000)
    passed = []

    def send():
        for _ in range(5):
            queue.put(batch())  # 8,000 bytes each
            passed.append(time.monotonic())
        queue.close()

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    time.sleep(0.1)
    assert len(passed) == 2
    assert len(list(queue)) == 5
    thread.join(5)


def test_one_batch_fits_however_large():
    queue = Conveyor(1)
    queue.put(batch())
    queue.close()
    assert len(list(queue)) == 1


@pytest.mark.parametrize("side", ["put", "take"])
def test_a_stop_wakes_the_other_side(side):
    queue = Conveyor(1)
    seen = []

    def work():
        try:
            if side == "take":
                list(queue)
            else:
                queue.put(batch())
                queue.put(batch())
        except Stopped:
            seen.append(side)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.05)
    queue.stop()
    thread.join(5)
    assert seen == [side]
