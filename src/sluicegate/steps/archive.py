"""``archive``: rows out to an encrypted file."""

from __future__ import annotations

from typing import ClassVar

from sluicegate.kit.seals import Sealing
from sluicegate.kit.step import Formatted, Writing


class Archive(Writing, Formatted):
    """Write a file that only those can open who hold a key to it."""

    type: ClassVar[str] = "archive"
    seal: Sealing
    """How it is sealed: ``age``, ``openpgp`` or ``zip``."""
