"""A DuckDB connection that trusts neither the file nor the names, and its errors in our words.

DuckDB takes SQL and database files for trusted (https://duckdb.org/security). A file's views and macros are SQL that
runs when they are read, so every way out of the engine is shut before the first of them can be asked for: files,
network, extensions, secrets of the account, Python's own variables; then the settings are locked.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Cancelled, Constraint, Corrupt, DataError, Failed, NoSpace, SluiceError
from sluicegate.kit import tables
from sluicegate.kit.columns import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_WAIT = 10.0
_BUSY = "Could not set lock on file"
_MAX_NAME = 255
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "192MiB",
    "temp_directory": "",  # what a sort spills must not lie on a disk in clear
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    "enable_external_file_cache": False,
    "arrow_lossless_conversion": True,
    "preserve_insertion_order": True,
    "default_null_order": "nulls_last",
}
TOO_LONG = "sluicegate: too long an interval in "
"""What DuckDB is told to say of one that it cannot hand over as it is, before the column's name."""
COMPANIONS = (".wal", ".wal.checkpoint", ".wal.recovery")
"""What DuckDB keeps beside a database."""


def connect(path: Path, shown: str, cancelled: Callable[[], bool], *, read_only: bool = False) -> Any:
    """Return a connection to the file, which is made when it is missing and ``read_only`` is not set.

    DuckDB lets one process at a time into a file that is written to: another is waited for, some seconds long.
    """
    import _duckdb  # the core alone: the package around it costs start time

    until = time.monotonic() + _WAIT
    config = _CONFIG | {"access_mode": "READ_ONLY" if read_only else "READ_WRITE"}
    while True:
        try:
            link = _duckdb.connect(str(path), config=config)
            break
        except _duckdb.Error as fault:
            if _BUSY not in str(fault) or time.monotonic() > until:
                raise _translate(fault, shown) from None
        if cancelled():
            raise Cancelled("Cancelled while waiting for the database.", where=shown)
        time.sleep(0.05)
    try:
        locked = link.execute("select system.main.current_setting('lock_configuration')").fetchall()
        if not locked[0][0]:  # else another connection of this process is in the same file
            link.execute("set global TimeZone = 'UTC'")
            link.execute("set lock_configuration = true")
    except BaseException:
        link.close()
        raise
    return link


def check_name(name: str) -> str:
    """Return ``name`` when it can be an identifier. ``Invalid`` otherwise."""
    return tables.check_name(name, _MAX_NAME)


def quoted(*parts: str) -> str:
    """Return a quoted identifier, its parts joined by dots."""
    return ".".join(quote(check_name(part)) for part in parts)


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours, without the values that they quote."""
    import _duckdb

    try:
        yield
    except _duckdb.Error as fault:
        raise _translate(fault, where) from None


_PLAIN: dict[str, tuple[type[SluiceError], str]] = {
    "ConversionException": (DataError, "A value cannot be turned into the type that is asked for."),
    "OutOfRangeException": (DataError, "A value is out of the range of its type."),
    "PermissionException": (Failed, "The database's schema asks for something that is not allowed."),
    "OutOfMemoryException": (NoSpace, "DuckDB needs more memory than it is given."),
    "TransactionException": (Failed, "Another transaction changed the same rows or tables."),
    "DependencyException": (Failed, "Other objects depend on the table."),
    "SerializationException": (Corrupt, "The database is damaged, or a newer DuckDB has written it."),
    "FatalException": (Corrupt, "The database is damaged."),
    "InternalException": (Corrupt, "The database is damaged."),
    "HTTPException": (Failed, "The database's schema asks for something that is not allowed."),
    "InterruptException": (Failed, "The statement was interrupted."),
}


def _translate(fault: Exception, where: str) -> SluiceError:  # noqa: PLR0911 - one a kind of error
    kind, text = type(fault).__name__, str(fault)
    if (unfit := too_long(text, where)) is not None:
        return unfit
    if kind == "ConstraintException":
        return Constraint(f"The target refuses a row: {_constraint(text)}.", where=where)
    if kind in _PLAIN:
        sort, message = _PLAIN[kind]
        return sort(message, where=where)
    if _BUSY in text:
        return Failed(
            "Another program holds the database.", where=where,
            hint="Try again when it is done; connections with read_only can share a file.",
        )  # fmt: skip
    if "No space left" in text or "not enough space" in text.lower():
        return NoSpace("The disk (or quota) is full.", where=where)
    if "not a valid DuckDB database" in text or "checksum" in text.lower() or "corrupt" in text.lower():
        return Corrupt("This is not a DuckDB database, or it is damaged.", where=where)
    if "different configuration" in text:
        return Failed(
            "This run has the database open in another way.", where=where,
            hint="Give both connections the same read_only.",
        )  # fmt: skip
    if "read-only" in text.lower():
        return Failed("The database is opened for reading only.", where=where, hint="Leave out read_only to write.")
    if kind in ("CatalogException", "BinderException", "NotImplementedException"):
        return Failed(f"DuckDB: {text.splitlines()[0].partition(': ')[2][:200]}", where=where)  # names, no values
    return Failed(f"DuckDB reports an error ({kind.removesuffix('Exception')}).", where=where)


def too_long(text: str, where: str) -> DataError | None:
    """Return the error of an interval that cannot be read, when ``text`` is of one."""
    name = text.partition(TOO_LONG)[2].partition("\n")[0][:_MAX_NAME]
    place = f"{where}: column {name}"
    return DataError("An interval is too long.", where=place, hint="Cast it in a view.") if name else None


def _constraint(text: str) -> str:
    """Return which constraint it is: DuckDB's own words for unique keys hold the values."""
    if "NOT NULL constraint failed" in text:
        return text.partition(": ")[2].splitlines()[0]
    if "CHECK constraint failed on table" in text:
        return text.partition(": ")[2].splitlines()[0]
    if "primary key" in text.lower() or "unique constraint" in text.lower():
        return "a primary key or unique constraint"
    return "a foreign key" if "foreign key" in text.lower() else "a constraint"
