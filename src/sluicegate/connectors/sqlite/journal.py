"""What lies beside a database file, looked at before SQLite does.

SQLite believes the journal it finds. After a crash it plays it back, and when the journal ends with the name of a
super-journal, it removes the file of that name, wherever it lies (https://sqlite.org/atomiccommit.html, 5.0). We attach
no second database, so no journal of ours ever names one: such a file was put there by somebody.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from sluicegate.base.errors import Denied

if TYPE_CHECKING:
    from sluicegate.kit.paths import Root

_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""Ends a journal that names a super-journal, and begins every journal (sqlite.org/fileformat2.html, 3)."""
_HEAD = len(_MAGIC)


def check_companions(files: Root, path: str) -> None:
    """Look at what SQLite would open beside the database ``path``.

    Raises ``Denied`` for a link, a second hard link, or a journal that is not one database's own.
    """
    for suffix in ("-wal", "-shm", "-journal"):
        found = files.companion(path, suffix)
        if found is None:
            continue
        with found:
            if suffix == "-journal":
                _check_journal(found, path + suffix)


def _check_journal(journal: BinaryIO, where: str) -> None:
    size = journal.seek(0, os.SEEK_END)
    journal.seek(0)
    head = journal.read(_HEAD)
    journal.seek(max(0, size - _HEAD))
    tail = journal.read(_HEAD)
    own = head in (b"", _MAGIC, bytes(_HEAD)[: len(head)])  # zeros: finished, kept by journal_mode=persist
    if not own or tail == _MAGIC:
        raise Denied(
            "Beside the database lies a journal that is not its own: it would make SQLite touch other files.",
            where=where,
            hint="Find out who put it there; remove it, or restore the database from a backup.",
        )
