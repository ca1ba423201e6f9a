"""What differs between the two databases that can hold the store, and how long either is waited for."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from sluicegate.base.errors import Unavailable

WAIT = 10.0
"""Seconds that a writer or a caller without a connection waits before it is told ``Unavailable``."""


def silent() -> Unavailable:
    """Return what a caller is told when the store does not answer."""
    return Unavailable("The store does not answer.", hint="Try again; the log of the server says more.")


class Backend(Protocol):
    """What differs between the two."""

    @property
    def reader(self) -> Engine:
        """Give connections that only read."""

    @property
    def writer(self) -> Engine:
        """Give connections that may write."""

    def bind(self, connection: Connection, tenant: str, system: bool) -> None:
        """Say for whom this transaction works."""

    def lock(self, connection: Connection, name: str) -> None:
        """See ``Database.lock``."""

    def announce(self, connection: Connection) -> None:
        """See ``Database.announce``."""

    def watch(self, marked: threading.Event, stop: threading.Event) -> None:
        """See ``Database.watch``."""

    def version(self) -> str | None:
        """Return the revision the database is at, without Alembic; ``None`` when there is none to be read."""

    def owner(self) -> Any:
        """Open a transaction in which tables may be changed; nobody else migrates meanwhile."""

    def flush(self) -> None:
        """See ``Database.flush``."""

    def close(self) -> None:
        """Close every connection."""
