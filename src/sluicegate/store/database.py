"""The store's one door: transactions on a SQLite file (``sqlite.py``) or on PostgreSQL (``postgres.py``).

*SQLite*: WAL; readers begin deferred and may not write (``query_only``), the one writer of a process begins
IMMEDIATE, so that two writers wait instead of failing half way. *PostgreSQL*: the application signs in as a role that
neither owns the tables nor passes row-level security; each transaction says with ``set_config(…, true)`` for which
tenant it works. ``migrate`` signs in as the owner. What is to be done once by hand for PostgreSQL:

    CREATE ROLE sluice_owner LOGIN PASSWORD '…';  CREATE ROLE sluice_app LOGIN PASSWORD '…';
    CREATE DATABASE sluice OWNER sluice_owner;
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exc, make_url

from sluicegate.base.clock import Clock, system
from sluicegate.base.errors import Conflict, Invalid
from sluicegate.store.backend import Backend, silent
from sluicegate.store.postgres import Postgres
from sluicegate.store.sqlite import Sqlite

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""Every migration, oldest first; the last is the head. A test compares it with the files in ``migrations/versions``."""


def pack(value: object) -> str:
    """Return ``value`` as the JSON text that is stored: ASCII, no blanks, keys as they come; no NaN."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def unpack(stored: str | None) -> Any:
    """Return the value of stored JSON text; ``None`` for NULL."""
    return None if stored is None else json.loads(stored)


@dataclass(slots=True)
class _Held:
    """The transaction that this thread has open."""

    connection: Connection
    tenant: str
    system: bool
    writes: bool
    marked: bool = False


class Database:
    """The store. One object per process, safe to share between threads.

    ``url`` is ``sqlite:///path`` or ``postgresql://app-role:…@host/db``, where ``migrate`` needs ``owner_url``.
    Raises ``Invalid`` for another kind of URL and, on connecting, for a role that row-level security would not hold.
    """

    def __init__(self, url: str, owner_url: str | None = None, *, clock: Clock = system) -> None:
        self.clock = clock
        self.marked = threading.Event()
        """Set when a mark (``grants.Marks``) has been committed, here or, while ``watch`` runs, by another process."""
        self.marks = 0
        """Counts the marks that this process has committed; it has risen before the committing call returns."""
        self._counting = threading.Lock()
        self._local = threading.local()
        self._backend = _choose(url, owner_url)

    @contextmanager
    def read(self, tenant: str = "", *, system: bool = False) -> Iterator[Connection]:
        """Open a read-only transaction for ``tenant``, or join the one this thread has open, whether it writes or not.

        ``system`` lifts the row filter and is for ``scope.System`` alone. Raises ``Unavailable``.
        """
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None:
            with _as(self._backend, held, tenant, system):
                yield held.connection
            return
        with _told(), self._backend.reader.begin() as connection:
            self._backend.bind(connection, tenant, system)
            with self._holding(_Held(connection, tenant, system, writes=False)):
                yield connection

    @contextmanager
    def write(self, tenant: str = "", *, system: bool = False) -> Iterator[Connection]:
        """Open a write transaction, or a savepoint in the one this thread has open: all or nothing.

        Raises ``Conflict`` for what constraints refuse, ``Invalid`` for text that cannot be stored, ``Unavailable``.
        """
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None and held.writes:
            with _as(self._backend, held, tenant, system), _told(), held.connection.begin_nested():
                yield held.connection
            return
        with _told(), self._backend.writer.begin() as connection:
            self._backend.bind(connection, tenant, system)
            mine = _Held(connection, tenant, system, writes=True)
            with self._holding(mine):
                yield connection
        if mine.marked:
            with self._counting:
                self.marks += 1
            self.marked.set()

    @contextmanager
    def _holding(self, held: _Held) -> Iterator[None]:
        before: _Held | None = getattr(self._local, "held", None)
        self._local.held = held
        try:
            yield
        finally:
            self._local.held = before

    def lock(self, connection: Connection, name: str) -> None:
        """Wait until no other write transaction holds ``name``; held until this one ends.

        Order against deadlock: superadmins, definitions, secrets, watermarks, marks, audit. The ledger is appended to
        last.
        """
        self._backend.lock(connection, name)

    def announce(self, connection: Connection) -> None:
        """Have ``marked`` set, in every process, once the write transaction of this thread is committed."""
        self._local.held.marked = True
        self._backend.announce(connection)

    def watch(self, stop: threading.Event) -> None:
        """Set ``marked`` when another process commits a mark, until ``stop``. Raises ``Unavailable`` when cut off."""
        with _told():
            self._backend.watch(self.marked, stop)

    def migrate(self) -> None:
        """Bring the tables up to date; cheap when they are. Raises ``Conflict`` for a newer database (SEC-C12)."""
        with _told():
            found = self._backend.version()
            if found == REVISIONS[-1]:
                return
            if found is not None and found not in REVISIONS:
                raise Conflict(
                    f"The database is at version {found}, which this program does not know.",
                    hint="It was written by a newer Sluicegate: start that one, or restore the backup made before it.",
                )
            self.move("upgrade", "head")

    def move(self, direction: str, revision: str) -> None:
        """Run Alembic's ``upgrade`` or ``downgrade`` to ``revision``, in one transaction. A downgrade loses data."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "sluicegate.store:migrations")
        config.set_main_option("path_separator", "os")
        with self._backend.owner() as connection:
            config.attributes["connection"] = connection
            (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)

    def flush(self) -> None:
        """Return when all that is committed is on the disk, and old pages are out of the journal. ``Unavailable``.

        For who destroys, outside of the store, what only the state before was under. Not within a transaction.
        """
        with _told():
            self._backend.flush()

    def close(self) -> None:
        """Close every connection."""
        self._backend.close()


@contextmanager
def _as(backend: Backend, held: _Held, tenant: str, system: bool) -> Iterator[None]:
    """Work for somebody else within an open transaction, and go back."""
    before = (held.tenant, held.system)
    if before == (tenant, system):
        yield
        return
    backend.bind(held.connection, tenant, system)
    held.tenant, held.system = tenant, system
    try:
        yield
    finally:
        held.tenant, held.system = before
        if not _broken(held.connection):
            backend.bind(held.connection, *before)


def _broken(connection: Connection) -> bool:
    """Tell whether only a rollback is left: the transaction's settings go with it."""
    return connection.invalidated or not connection.in_transaction()


@contextmanager
def _told() -> Iterator[None]:
    """Say what the driver says in our words; its own words may hold values."""
    try:
        yield
    except exc.IntegrityError:
        raise Conflict("What is stored does not allow this change.") from None
    except exc.DataError:
        raise Invalid("The text holds a character that cannot be stored (such as NUL).") from None
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as fault:
        raise silent() from fault


def _choose(url: str, owner_url: str | None) -> Backend:
    try:
        address = make_url(url)
        owner = make_url(owner_url) if owner_url else None
    except (exc.ArgumentError, ValueError):
        raise Invalid("This is not the URL of a database.", hint="sqlite:///path or postgresql://…") from None
    if address.get_backend_name() == "sqlite":
        return Sqlite(address)
    if address.get_backend_name() == "postgresql":
        return Postgres(address, owner)
    raise Invalid(f"The store can't be kept in {address.get_backend_name()}.", hint="sqlite:///path or postgresql://…")
