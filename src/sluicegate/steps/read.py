"""``read``: rows in from a connection."""

from __future__ import annotations

from typing import ClassVar, Literal

from sluicegate.base.model import Name
from sluicegate.kit.seals import Opening
from sluicegate.kit.step import Formatted, Reading


class Read(Reading, Formatted):
    """Read a table, a view or a file."""

    type: ClassVar[str] = "read"
    name: Name
    """Name of this step; the steps after it take its rows by this name."""
    columns: tuple[str, ...] | None = None
    """Only these columns, in this order."""
    seal: Opening | None = None
    """Files: how a sealed one is opened (``age``, ``openpgp`` or ``zip``)."""
    on_reject: Literal["stop", "skip", "quarantine"] = "stop"
    """What happens to a row that cannot be read: stop the run, leave it out, or keep it sealed for a look."""
    max_rejects: int = 1000
    """Stop the run when more rows than this are rejected."""
