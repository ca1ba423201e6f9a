from __future__ import annotations

import asyncio
import threading
import time

from sluicegate.engine.events import Events


def test_news_wakes_those_who_wait_at_once():
    events = Events()

    async def watch() -> float:
        began = time.monotonic()
        threading.Timer(0.05, events.wake, ("r",)).start()
        await events.wait("r", 10)
        return time.monotonic() - began

    assert asyncio.run(watch()) < 8


def test_waiting_ends_by_itself_and_leaves_nothing():
    events = Events()
    asyncio.run(events.wait("r", 0.01))
    events.wake("r")
    assert events._waiting == {}


def test_all_who_wait_are_woken_at_once():
    events = Events()

    async def watch() -> float:
        began = time.monotonic()
        threading.Timer(0.05, events.wake_all).start()
        await asyncio.gather(events.wait("r", 10), events.wait("s", 10))
        return time.monotonic() - began

    assert asyncio.run(watch()) < 8
