"""Time as a value that tests can hold still."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], float]
"""Seconds since 1970, UTC. ``time.time`` in production; a test hands in its own."""

system: Clock = time.time


@lru_cache(4096)  # lists tell the same moments again and again
def iso(seconds: float) -> str:
    """Return ``seconds`` since 1970 as RFC 3339 text in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
