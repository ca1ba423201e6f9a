"""No archive leaves a thread behind."""

import gc
import threading
import time

import pytest

PATIENCE = 5.0


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    """Only threads that this test started count: those of another test may still be ending."""
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + PATIENCE
    if set(threading.enumerate()) - before:
        gc.collect()  # an archive that was dropped takes its thread along
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.01)
    assert left == set()
