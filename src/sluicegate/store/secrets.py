"""Sealed secrets and keys: bytes that only the vault can open. Nothing here can read one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, insert, select, update

from sluicegate.base.errors import Conflict, Missing
from sluicegate.store.tables import secrets as s
from sluicegate.store.tables import tenant_keys as k

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sluicegate.store.scope import Scope


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A sealed secret: ``wrapped`` is its record key under the tenant key, ``ciphertext`` is under the record key."""

    name: str
    version: int
    wrapped: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    fingerprint: str
    set_at: float
    set_by: str


class SecretBrief(NamedTuple):
    """A secret as lists show it."""

    name: str
    version: int
    fingerprint: str
    set_at: float
    set_by: str


_THIS = (s.c.tenant_id == bindparam("tenant"), s.c.name == bindparam("secret"))
_GET = select(s.c.name, s.c.version, s.c.wrapped, s.c.ciphertext, s.c.fingerprint, s.c.set_at, s.c.set_by).where(
    *_THIS, s.c.deleted.is_(False)
)
_LIST = (
    select(s.c.name, s.c.version, s.c.fingerprint, s.c.set_at, s.c.set_by)
    .where(s.c.tenant_id == bindparam("tenant"), s.c.deleted.is_(False))
    .order_by(s.c.name)
)
_MOMENTS = select(s.c.name, s.c.set_at).where(s.c.tenant_id == bindparam("tenant"))
_VERSION = select(s.c.version).where(*_THIS)
_KEY = (
    select(k.c.version, k.c.wrapped).where(k.c.tenant_id == bindparam("tenant")).order_by(k.c.version.desc()).limit(1)
)


class Secrets:
    """The sealed secrets and keys of one tenant.

    A secret keeps its newest ciphertext only, and its version rises for ever, past deletion: the version is part of
    what the seal covers, so an older ciphertext put back does not open (SEC-V04).
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def next_version(self, name: str) -> int:
        """Return the version that the next ``put`` will have.

        Within ``scope.transaction()`` nobody else gets the same number until that ends; seal and put inside it.
        """
        with self._scope.writing() as connection:
            return self._next(connection, name)

    def put(self, name: str, wrapped: bytes, ciphertext: bytes, fingerprint: str, *, version: int | None = None) -> int:
        """Set the secret and return its version.

        With ``version`` (the one that was sealed in) raises ``Conflict`` when somebody else was quicker.
        """
        made = {
            "wrapped": wrapped,
            "ciphertext": ciphertext,
            "fingerprint": fingerprint,
            "set_by": self._scope.author,
            "set_at": self._scope.database.clock(),
            "deleted": False,
        }
        with self._scope.writing() as connection:
            following = self._next(connection, name)
            if version not in (None, following):
                raise Conflict(f"The secret {name} has been set by somebody else meanwhile.", hint="Try again.")
            self._set(connection, name, {"version": following, **made}, new=following == 1)
        return following

    def get(self, name: str) -> StoredSecret:
        """Return the sealed secret. Raises ``Missing``."""
        with self._scope.reading() as connection:
            row = connection.execute(_GET, self._keys(name)).first()
        if row is None:
            raise _missing(name)
        return StoredSecret(*row)

    def list(self) -> list[SecretBrief]:
        """Return all secrets by name, without what is sealed."""
        with self._scope.reading() as connection:
            return [SecretBrief(*row) for row in connection.execute(_LIST, {"tenant": self._scope.tenant})]

    def moments(self) -> dict[str, float]:
        """Return when each secret was set last, also those that were deleted since."""
        with self._scope.reading() as connection:
            return {row.name: row.set_at for row in connection.execute(_MOMENTS, {"tenant": self._scope.tenant})}

    def delete(self, name: str) -> None:
        """Remove the secret: its key and ciphertext are gone, its version number stays used. Raises ``Missing``."""
        empty = {"wrapped": b"", "ciphertext": b"", "fingerprint": "", "deleted": True}
        with self._scope.writing() as connection:
            self._lock(connection)
            gone = update(s).where(*_THIS, s.c.deleted.is_(False)).values(**empty)
            if not connection.execute(gone, self._keys(name)).rowcount:
                raise _missing(name)

    def tenant_key(self) -> tuple[int, bytes] | None:
        """Return the newest key of the tenant: its version and its bytes, wrapped by the root key."""
        with self._scope.reading() as connection:
            row = connection.execute(_KEY, {"tenant": self._scope.tenant}).first()
        return None if row is None else (row.version, row.wrapped)

    def put_tenant_key(self, version: int, wrapped: bytes) -> None:
        """Add a key of the tenant. Raises ``Conflict`` when this version is there: read it instead."""
        row = {"tenant_id": self._scope.tenant, "version": version, "wrapped": wrapped, "state": "active"}
        with self._scope.writing() as connection:
            connection.execute(insert(k), row)

    def _lock(self, connection: Connection) -> None:
        self._scope.database.lock(connection, f"secrets:{self._scope.tenant}")

    def _keys(self, name: str) -> dict[str, str]:
        return {"tenant": self._scope.tenant, "secret": name}

    def _next(self, connection: Connection, name: str) -> int:
        self._lock(connection)
        return (connection.scalar(_VERSION, self._keys(name)) or 0) + 1

    def _set(self, connection: Connection, name: str, values: dict[str, object], *, new: bool) -> None:
        if new:
            connection.execute(insert(s), {"tenant_id": self._scope.tenant, "name": name, **values})
        else:
            connection.execute(update(s).where(*_THIS).values(**values), self._keys(name))


def _missing(name: str) -> Missing:
    return Missing(f"There is no secret named {name}.")
