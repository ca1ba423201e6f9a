"""Sealed secrets and keys: bytes that only the vault can open. Nothing here can read one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from sluicegate.base.errors import Conflict, Missing
from sluicegate.store.tables import secrets as s
from sluicegate.store.tables import tenant_keys as k

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from sluicegate.store.scope import Scope


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A sealed secret: ``wrapped`` is its record key under the tenant key, ``ciphertext`` is under the record key."""

    name: str
    version: int
    key: int
    """Version of the tenant key."""
    wrapped: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    fingerprint: str
    set_at: float
    set_by: str
    reference: str = ""
    """Where it is kept, when that is elsewhere. The ciphertext has it, too, and that is what counts."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of the tenant, wrapped by the vault key of version ``above``."""

    version: int
    above: int
    wrapped: bytes = field(repr=False)
    made: float


class Rewrapped(NamedTuple):
    """A secret whose record key was wrapped anew; ``version`` and ``key`` say what it was before."""

    name: str
    version: int
    key: int
    wrapped: bytes


class SecretBrief(NamedTuple):
    """A secret as lists show it."""

    name: str
    version: int
    fingerprint: str
    set_at: float
    set_by: str
    reference: str = ""


_THIS = (s.c.tenant_id == bindparam("tenant"), s.c.name == bindparam("secret"))
_COLUMNS = (s.c.name, s.c.version, s.c.key, s.c.wrapped, s.c.ciphertext, s.c.fingerprint, s.c.set_at, s.c.set_by,
            s.c.reference)  # fmt: skip
_GET = select(*_COLUMNS).where(*_THIS, s.c.deleted.is_(False))
_LIST = (
    select(s.c.name, s.c.version, s.c.fingerprint, s.c.set_at, s.c.set_by, s.c.reference)
    .where(s.c.tenant_id == bindparam("tenant"), s.c.deleted.is_(False))
    .order_by(s.c.name)
)
_MOMENTS = select(s.c.name, s.c.set_at).where(s.c.tenant_id == bindparam("tenant"))
_VERSION = select(s.c.version).where(*_THIS)
_KEYS = (
    select(k.c.version, k.c.above, k.c.wrapped, k.c.made)
    .where(k.c.tenant_id == bindparam("tenant"))
    .order_by(k.c.version)
)
_ELSEWHERE = (
    select(s.c.name, s.c.version, s.c.key, s.c.wrapped)
    .where(
        s.c.tenant_id == bindparam("tenant"),
        s.c.deleted.is_(False),
        s.c.key != bindparam("newest"),
        s.c.name > bindparam("after"),
    )
    .order_by(s.c.name)
    .limit(bindparam("most"))
)
_UNDER = (
    select(s.c.key, func.count().label("many"))
    .where(s.c.tenant_id == bindparam("tenant"), s.c.deleted.is_(False))
    .group_by(s.c.key)
)
_REWRAP = (
    update(s)
    .where(*_THIS, s.c.version == bindparam("was"), s.c.key == bindparam("under"))
    .values(wrapped=bindparam("now"), key=bindparam("newest"))
)


class Secrets:
    """The sealed secrets and keys of one tenant.

    A secret keeps its newest ciphertext only, and its version rises for ever, past deletion: the version is part of
    what the seal covers, so an older ciphertext put back does not open (SEC-V04).
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def hold(self) -> None:
        """Let nobody else set a secret or replace a key until the ``scope.transaction()`` around this call ends."""
        with self._scope.writing() as connection:
            self._lock(connection)

    def next_version(self, name: str) -> int:
        """Return the version that the next ``put`` will have.

        Within ``scope.transaction()`` nobody else gets the same number until that ends; seal and put inside it.
        """
        with self._scope.writing() as connection:
            return self._next(connection, name)

    def put(
        self,
        name: str,
        wrapped: bytes,
        ciphertext: bytes,
        fingerprint: str,
        *,
        key: int = 1,
        version: int | None = None,
        reference: str = "",
    ) -> int:
        """Set the secret and return its version.

        With ``version`` (the one that was sealed in) raises ``Conflict`` when somebody else was quicker.
        """
        made = {
            "key": key,
            "wrapped": wrapped,
            "ciphertext": ciphertext,
            "fingerprint": fingerprint,
            "reference": reference,
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
        empty = {"wrapped": b"", "ciphertext": b"", "fingerprint": "", "reference": "", "deleted": True}
        with self._scope.writing() as connection:
            self._lock(connection)
            gone = update(s).where(*_THIS, s.c.deleted.is_(False)).values(**empty)
            if not connection.execute(gone, self._keys(name)).rowcount:
                raise _missing(name)

    def tenant_keys(self) -> tuple[StoredKey, ...]:
        """Return the keys of the tenant, the newest last; more than one while secrets are on their way to it."""
        with self._scope.reading() as connection:
            return tuple(StoredKey(*row) for row in connection.execute(_KEYS, {"tenant": self._scope.tenant}))

    def put_tenant_key(self, version: int, wrapped: bytes, above: int = 1) -> None:
        """Add a key of the tenant. Raises ``Conflict`` when this version is there: read it instead."""
        row = {"tenant_id": self._scope.tenant, "version": version, "wrapped": wrapped, "above": above}
        with self._scope.writing() as connection:
            self._lock(connection)
            connection.execute(insert(k), {**row, "made": self._scope.database.clock()})

    def rewrap_tenant_key(self, version: int, wrapped: bytes, above: int) -> None:
        """Put a key of the tenant under another vault key."""
        this = (k.c.tenant_id == self._scope.tenant, k.c.version == version)
        with self._scope.writing() as connection:
            self._lock(connection)
            connection.execute(update(k).where(*this).values(wrapped=wrapped, above=above))

    def drop_tenant_key(self, version: int) -> bool:
        """Delete a key of the tenant and tell whether it was there. Raises ``Conflict`` while a secret is under it."""
        with self._scope.writing() as connection:
            self._lock(connection)
            if version in self._count(connection):
                raise Conflict("There are secrets under this key.")
            gone = delete(k).where(k.c.tenant_id == self._scope.tenant, k.c.version == version)
            return connection.execute(gone).rowcount == 1

    def under(self) -> dict[int, int]:
        """Return how many secrets are under each key of the tenant."""
        with self._scope.reading() as connection:
            return self._count(connection)

    def elsewhere(self, newest: int, most: int, after: str = "") -> tuple[Rewrapped, ...]:
        """Return up to ``most`` secrets under another key than ``newest``, by name from past ``after`` on."""
        with self._scope.reading() as connection:
            told = {"tenant": self._scope.tenant, "newest": newest, "most": most, "after": after}
            return tuple(Rewrapped(*row) for row in connection.execute(_ELSEWHERE, told))

    def rewrap(self, made: Sequence[Rewrapped], newest: int) -> None:
        """Put secrets under the key ``newest``; one that was set or deleted meanwhile stays as it is."""
        rows = [
            {**self._keys(each.name), "was": each.version, "under": each.key, "now": each.wrapped, "newest": newest}
            for each in made
        ]
        with self._scope.writing() as connection:
            self._lock(connection)
            connection.execute(_REWRAP, rows)

    def _lock(self, connection: Connection) -> None:
        self._scope.database.lock(connection, f"secrets:{self._scope.tenant}")

    def _count(self, connection: Connection) -> dict[int, int]:
        return {row.key: row.many for row in connection.execute(_UNDER, {"tenant": self._scope.tenant})}

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
