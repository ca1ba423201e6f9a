"""API keys. Only a digest of each is kept; a key that has ended stays on the list, and never comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Double, and_, bindparam, func, insert, select, true, update

from sluicegate.base.errors import Conflict, Missing
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.store.database import pack, unpack
from sluicegate.store.marks import mark_family
from sluicegate.store.tables import api_keys as k
from sluicegate.store.tables import tenants, users

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Row

    from sluicegate.store.scope import Scope, System

FAMILY = "key:"
"""Begins the ``sid`` of the tokens that a key was exchanged for."""
LASTING = 3600.0
"""Seconds for which the tokens of an ended key stay marked: longer than any of them lives."""


def family(key: str) -> str:
    """Return the ``sid`` of the tokens of a key."""
    return FAMILY + key


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without anything secret."""

    id: str
    tenant: str
    user: str
    name: str
    scopes: frozenset[Permission]
    addresses: tuple[str, ...]
    created: float
    created_by: str
    expires: float
    last_used: float | None = None
    last_address: str = ""
    uses: int = 0
    ended: float | None = None
    ended_why: str = ""

    @property
    def seen(self) -> float:
        """When it was last used, or made."""
        return self.last_used if self.last_used is not None else self.created


class Found(NamedTuple):
    """A key that somebody showed, and whether its owner may work at all."""

    key: ApiKey
    role: Role
    active: bool
    """Whether owner and tenant are active."""


_KEY = (
    k.c.id, k.c.tenant_id, k.c.user_id, k.c.name, k.c.scopes, k.c.addresses, k.c.created, k.c.created_by, k.c.expires,
    k.c.last_used, k.c.last_address, k.c.uses, k.c.ended, k.c.ended_why,
)  # fmt: skip
_FIND = (
    select(*_KEY, users.c.role, and_(users.c.state == "active", tenants.c.state == "active").label("active"))
    .join_from(k, users, k.c.user_id == users.c.id)
    .join(tenants, k.c.tenant_id == tenants.c.id)
    .where(k.c.digest == bindparam("shown"))
)
_USE = (
    update(k)
    .where(k.c.id == bindparam("which"), k.c.ended.is_(None), k.c.expires > bindparam("now", type_=Double))
    .values(last_used=bindparam("now", type_=Double), last_address=bindparam("address"), uses=k.c.uses + 1)
)


class ApiKeys:
    """The keys of one tenant's users. A key of another tenant is missing, whatever is asked (SEC-Z03)."""

    def __init__(self, reach: Scope | System) -> None:
        self._reach = reach

    def create(
        self,
        id_: str,
        user: str,
        name: str,
        digest: bytes,
        *,
        scopes: frozenset[Permission],
        addresses: tuple[str, ...],
        expires: float,
    ) -> ApiKey:
        """Add a key of a user of this tenant. Raises ``Missing`` when there is no such user."""
        now = self._reach.database.clock()
        made = ApiKey(id_, self._reach.tenant, user, name, scopes, addresses, now, self._reach.author, expires)
        row = {
            "id": id_, "tenant_id": made.tenant, "user_id": user, "name": name, "digest": digest,
            "scopes": pack(sorted(scopes)), "addresses": pack(addresses), "created": now, "created_by": made.created_by,
            "expires": expires, "last_address": "", "uses": 0, "ended_why": "",
        }  # fmt: skip
        try:
            with self._reach.writing() as connection:
                connection.execute(insert(k), row)
        except Conflict:  # the user is of another tenant, or of none: a digest never comes twice
            raise Missing("There is no such user.") from None
        return made

    def list(self, user: str | None = None) -> list[ApiKey]:
        """Return all keys, or those of a user, the newest first."""
        asked = select(*_KEY).where(self._mine(), true() if user is None else k.c.user_id == user)
        with self._reach.reading() as connection:
            return [_key(row) for row in connection.execute(asked.order_by(k.c.id.desc()))]

    def get(self, key: str) -> ApiKey:
        """Return the key with this id, ended or not. Raises ``Missing``."""
        with self._reach.reading() as connection:
            row = connection.execute(select(*_KEY).where(k.c.id == key, self._mine())).first()
        if row is None:
            raise _missing()
        return _key(row)

    def end(self, key: str, why: str) -> bool:
        """End a key and all tokens it was exchanged for; tell whether it was alive. Raises ``Missing``."""
        with self._reach.writing() as connection:
            self._reach.database.lock(connection, "marks")  # before the row, as everybody takes them
            if end_keys(self._reach, connection, k.c.id == key, why):
                return True
        self.get(key)
        return False

    def _mine(self) -> ColumnElement[bool]:
        return mine(self._reach)


class AllApiKeys(ApiKeys):
    """The keys of all tenants: what an exchange needs."""

    def find(self, digest: bytes) -> Found | None:
        """Return the key with this digest, whatever became of it, and of its owner."""
        with self._reach.reading() as connection:
            row = connection.execute(_FIND, {"shown": digest}).first()
        return None if row is None else Found(_key(row), Role(row.role), bool(row.active))

    def use(self, key: str, address: str) -> bool:
        """Write down one use; ``False``, and nothing is written, when the key has ended or expired."""
        asked = {"which": key, "address": address, "now": self._reach.database.clock()}
        with self._reach.writing() as connection:
            return connection.execute(_USE, asked).rowcount == 1

    def end_unused(self, since: float) -> list[ApiKey]:
        """End the keys that nobody has used since then and return them; of many callers exactly one gets each."""
        with self._reach.writing() as connection:
            self._reach.database.lock(connection, "marks")
            return end_keys(self._reach, connection, func.coalesce(k.c.last_used, k.c.created) <= since, "unused")


def mine(reach: Scope | System) -> ColumnElement[bool]:
    """Return what binds a statement to the tenant; the system has none."""
    return k.c.tenant_id == reach.tenant if reach.tenant else true()


def end_keys(reach: Scope | System, connection: Connection, which: ColumnElement[bool], why: str) -> list[ApiKey]:
    """End those keys, and their tokens, in the caller's transaction, which holds the lock on marks; return them."""
    now = reach.database.clock()
    ended = update(k).where(which, mine(reach), k.c.ended.is_(None)).values(ended=now, ended_why=why)
    found = [_key(row) for row in connection.execute(ended.returning(*_KEY))]
    for each in found:
        mark_family(reach.database, family(each.id), now + LASTING)
    return found


def _key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    scopes = frozenset(Permission(each) for each in unpack(row.scopes))
    return ApiKey(
        row.id, row.tenant_id, row.user_id, row.name, scopes, tuple(unpack(row.addresses)), row.created, row.created_by,
        row.expires, row.last_used, row.last_address, row.uses, row.ended, row.ended_why,
    )  # fmt: skip


def _missing() -> Missing:
    return Missing("There is no such key.")
