"""An SQLite connection that trusts neither the file nor the names, and its errors in our words."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from sluicegate.base.errors import Constraint, Corrupt, DataError, Failed, NoSpace
from sluicegate.kit import columns, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAIT = 10.0
_PRAGMAS = frozenset({"table_xinfo", "index_list", "index_info", "table_list"})
_MAX_NAME = 255


def connect(path: Path, shown: str, *, write: bool = False) -> sqlite3.Connection:
    """Open the file, read-only unless ``write``. It must be there."""
    mode = "rw" if write else "ro"
    with told(shown):
        link = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=_WAIT, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            link.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            # What a sort spills must not lie on a disk in clear: it stays in memory.
            for pragma in ("trusted_schema=off", "cell_size_check=on", "mmap_size=0", "temp_store=memory"):
                link.execute(f"pragma {pragma}")
            if write:  # the journal mode stays as the file's owner chose it; a commit reaches the disk either way
                for pragma in ("foreign_keys=on", "synchronous=full", "cache_size=-65536"):
                    link.execute(f"pragma {pragma}")
            else:
                link.execute("pragma query_only=on")
            link.set_authorizer(_authorize)
        except BaseException:
            link.close()
            raise
        return link


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _inner: str | None) -> int:
    """Say no to every way from SQL to other files, to code and to settings. Called when a statement is prepared."""
    if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() not in _PRAGMAS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in ("load_extension", "fts3_tokenizer"):
        return sqlite3.SQLITE_DENY
    if action in (sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def quoted(name: str) -> str:
    """Return ``name`` as an SQL identifier. ``Invalid`` when it cannot be one."""
    return columns.quote(tables.check_name(name, _MAX_NAME))


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn SQLite's errors into ours. Their messages name tables, columns and constraints, never values."""
    try:
        yield
    except sqlite3.Error as fault:
        raise _translate(fault, where) from None


def _translate(fault: sqlite3.Error, where: str) -> Exception:  # noqa: PLR0911 - one a kind of error
    code, text = getattr(fault, "sqlite_errorcode", 0) & 0xFF, str(fault)
    if isinstance(fault, sqlite3.IntegrityError):
        return Constraint(f"The target refuses a row: {text}.", where=where)
    if code == sqlite3.SQLITE_FULL:
        return NoSpace("The disk (or quota) is full.", where=where)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Failed("Another program holds the database locked.", where=where, hint="Try again when it is done.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Corrupt("This is not an SQLite database, or it is damaged.", where=where)
    if code == sqlite3.SQLITE_READONLY:
        return Failed("The database may not be written to.", where=where)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        return Failed("The database file cannot be opened or read.", where=where)
    if code == sqlite3.SQLITE_AUTH:
        return Failed("The database's schema asks for something that is not allowed.", where=where)
    if "decode to UTF-8" in text:
        return DataError("A text value is not valid UTF-8.", where=where)  # its message holds the value
    if code == sqlite3.SQLITE_TOOBIG:
        return DataError("A value is too large for SQLite.", where=where)
    return Failed(f"SQLite: {text}.", where=where)
