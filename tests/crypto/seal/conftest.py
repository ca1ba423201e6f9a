"""No archive leaves a thread behind."""

import gc
import threading

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    before = threading.active_count()
    yield
    gc.collect()
    assert threading.active_count() == before
