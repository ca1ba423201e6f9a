"""A queue between two threads, bounded by bytes: memory stays flat whatever the width of the rows."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from sluicegate.kit.rows import Parcel

    Load: TypeAlias = pa.RecordBatch | Parcel


class Stopped(Exception):
    """The other side has given up."""


class Conveyor:
    """Carries record batches from one thread to another. At least one batch fits, however large."""

    def __init__(self, limit: int) -> None:
        """Hold up to ``limit`` bytes."""
        self._limit = limit
        self._held = 0
        self._batches: deque[Load] = deque()
        self._closed = False
        self._stopped = False
        self._changed = threading.Condition()

    def put(self, batch: Load) -> None:
        """Add a batch; waits while the queue is full. Raises ``Stopped`` when nobody takes any more."""
        with self._changed:
            while self._batches and self._held + batch.nbytes > self._limit and not self._stopped:
                self._changed.wait()
            if self._stopped:
                raise Stopped
            self._batches.append(batch)
            self._held += batch.nbytes
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more batches will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Say that no more batches will be taken, and forget those that wait."""
        with self._changed:
            self._stopped = True
            self._batches.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Load]:
        """Take batches until the queue is closed and empty. Raises ``Stopped`` when it was stopped."""
        while True:
            with self._changed:
                while not self._batches and not self._closed and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    raise Stopped
                if not self._batches:
                    return
                batch = self._batches.popleft()
                self._held -= batch.nbytes
                self._changed.notify_all()
            yield batch
