"""``write``: rows out to a table or a file."""

from __future__ import annotations

from typing import ClassVar

from sluicegate.kit.mode import Mode
from sluicegate.kit.seals import Sealing
from sluicegate.kit.step import Formatted, Writing


class Write(Writing, Formatted):
    """Write a table or a file."""

    type: ClassVar[str] = "write"
    mode: Mode | None = None
    """``append``, ``replace`` or ``merge``; when absent a table is appended to and a file is replaced."""
    seal: Sealing | None = None
    """Files: how it is sealed (``age``, ``openpgp`` or ``zip``); not sealed when absent."""
