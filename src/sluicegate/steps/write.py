"""``write``: rows out to a table or a file."""

from __future__ import annotations

from typing import ClassVar

from sluicegate.kit.mode import Mode
from sluicegate.kit.seals import Sealing
from sluicegate.kit.step import Formatted, Writing
from sluicegate.kit.target import Table, Word


class Write(Writing, Formatted):
    """Write a table or a file."""

    type: ClassVar[str] = "write"
    mode: Mode | None = None
    """How the rows enter a table: ``append`` when absent. A file is replaced."""
    allow: tuple[Word, ...] = ()
    """What may be taken away from a table: ``replace``, ``truncate`` and ``delete`` are each needed by the mode of that
    name; ``drop`` lets ``replace`` drop a table whose columns do not fit and make it anew."""
    table: Table = Table()
    """Tables: how the target is made when it is not there, and what it must be like when it is."""
    seal: Sealing | None = None
    """Files: how it is sealed (``age``, ``openpgp`` or ``zip``); not sealed when absent."""
