"""Single sign-on: a tenant's provider, the people known by it, and sign-ins that are on their way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from sluicegate.base.errors import Missing
from sluicegate.store.database import pack, unpack
from sluicegate.store.tables import grants as g
from sluicegate.store.tables import identities as i
from sluicegate.store.tables import providers as p
from sluicegate.store.tables import sso_requests as r
from sluicegate.store.tables import tenants as t

if TYPE_CHECKING:
    from sluicegate.store.scope import System

LIFE: Final = 600.0
"""Seconds that a sign-in may take at the provider."""
EACH_MAX: Final = 100
"""Sign-ins of one address that may be on their way: with one more, its oldest is over."""
TENANT_MAX: Final = 2_000
"""Sign-ins of one tenant that may be on their way …"""
ALL_MAX: Final = 20_000
"""… and of all: with one more, the oldest of the address that has the most there is over."""


class Provider(NamedTuple):
    """The provider of a tenant."""

    tenant: str
    kind: str
    body: Mapping[str, Any]
    set_at: float
    set_by: str


class Request(NamedTuple):
    """A sign-in that is on its way. What is secret of it is sealed."""

    tenant: str
    family: str
    """The refresh family that wants a fresh proof; empty for a sign-in."""
    sealed: bytes
    created: float


class Sso:
    """All providers, identities and requests."""

    def __init__(self, system: System) -> None:
        self._system = system

    # -- providers -----------------------------------------------------------------------------------------------------

    def provider(self, tenant: str) -> Provider | None:
        """Return the provider of the tenant with this id."""
        return self._provider(p.c.tenant_id == tenant)

    def provider_named(self, name: str) -> Provider | None:
        """Return the provider of the active tenant with this name: one question, whoever is there."""
        return self._provider(t.c.name == name, t.c.state == "active")

    def _provider(self, *which: Any) -> Provider | None:
        asked = select(p.c.tenant_id, p.c.kind, p.c.body, p.c.set_at, p.c.set_by).join(t, t.c.id == p.c.tenant_id)
        with self._system.reading() as connection:
            row = connection.execute(asked.where(*which)).first()
        return Provider(row.tenant_id, row.kind, unpack(row.body), row.set_at, row.set_by) if row else None

    def set_provider(self, tenant: str, kind: str, body: Mapping[str, Any], author: str) -> None:
        """Set the provider of a tenant."""
        row = {"kind": kind, "body": pack(dict(body)), "set_at": self._system.database.clock(), "set_by": author}
        with self._system.writing() as connection:
            self._system.database.lock(connection, f"provider:{tenant}")
            if not connection.execute(update(p).where(p.c.tenant_id == tenant).values(**row)).rowcount:
                connection.execute(insert(p), {"tenant_id": tenant, **row})

    def remove_provider(self, tenant: str) -> None:
        """Remove the provider of a tenant. Who is who there stays known. Raises ``Missing``."""
        with self._system.writing() as connection:
            connection.execute(delete(r).where(r.c.tenant_id == tenant))
            if not connection.execute(delete(p).where(p.c.tenant_id == tenant)).rowcount:
                raise Missing("No single sign-on is set up here.")

    def families(self, tenant: str) -> list[str]:
        """Return the refresh families of a tenant that began by single sign-on and are alive."""
        asked = select(g.c.family).where(
            g.c.tenant_id == tenant, g.c.factors.startswith("sso"), g.c.killed_at.is_(None), g.c.consumed_at.is_(None)
        )
        with self._system.reading() as connection:
            return [row.family for row in connection.execute(asked.distinct())]

    # -- identities ----------------------------------------------------------------------------------------------------

    def user_of(self, tenant: str, issuer: str, subject: str) -> str | None:
        """Return the id of the user whom a provider knows by this subject."""
        mine = (i.c.tenant_id == tenant, i.c.issuer == issuer, i.c.subject == subject)
        with self._system.reading() as connection:
            return connection.scalar(select(i.c.user_id).where(*mine))

    def has_identity(self, tenant: str, user: str, issuer: str) -> bool:
        """Tell whether a provider knows this user already, by whatever subject."""
        asked = select(i.c.subject).where(i.c.tenant_id == tenant, i.c.user_id == user, i.c.issuer == issuer)
        with self._system.reading() as connection:
            return connection.execute(asked).first() is not None

    def known(self, tenant: str) -> frozenset[str]:
        """Return the users of a tenant whom a provider has shown to be there, this one or one before it."""
        with self._system.reading() as connection:
            return frozenset(connection.scalars(select(i.c.user_id).where(i.c.tenant_id == tenant)))

    def link(self, tenant: str, issuer: str, subject: str, user: str) -> None:
        """Know a user by a provider's subject from now on. Raises ``Conflict`` when somebody is known by it."""
        row = {"tenant_id": tenant, "issuer": issuer, "subject": subject, "user_id": user}
        with self._system.writing() as connection:
            connection.execute(insert(i), {**row, "created": self._system.database.clock()})

    # -- requests ------------------------------------------------------------------------------------------------------

    def begin(self, digest: bytes, tenant: str, thumbprint: str, address: str, family: str, sealed: bytes) -> None:
        """Put a request on record; those that are over go, and one gives way when there are too many.

        It is one of those who have the most: whoever floods pushes out their own, and keeps out nobody.
        """
        now = self._system.database.clock()
        row = {
            "digest": digest, "tenant_id": tenant, "thumbprint": thumbprint, "address": address, "family": family,
            "sealed": sealed, "created": now, "expires": now + LIFE,
        }  # fmt: skip
        with self._system.writing() as connection:
            self._system.database.lock(connection, "sso-requests")
            connection.execute(delete(r).where(r.c.expires <= now))
            newest = select(r.c.digest).where(r.c.address == address).order_by(r.c.created.desc(), r.c.digest)
            older = [each.digest for each in connection.execute(newest.offset(EACH_MAX - 1))]
            if older:
                connection.execute(delete(r).where(r.c.digest.in_(older)))
            asked = select(r.c.tenant_id, func.count()).group_by(r.c.tenant_id)
            there: dict[str, int] = {row[0]: row[1] for row in connection.execute(asked)}
            if there.get(tenant, 0) >= TENANT_MAX:
                _push_out(connection, tenant)
            elif sum(there.values()) >= ALL_MAX:
                _push_out(connection, max(there, key=lambda name: there[name]))
            connection.execute(insert(r), row)

    def take(self, digest: bytes, thumbprint: str, family: str = "") -> Request | None:
        """Return a request and use it up: of many callers exactly one gets it, and only who holds the key."""
        mine = (r.c.digest == digest, r.c.thumbprint == thumbprint, r.c.family == family)
        gone = delete(r).where(*mine, r.c.expires > self._system.database.clock())
        with self._system.writing() as connection:
            row = connection.execute(gone.returning(r.c.tenant_id, r.c.family, r.c.sealed, r.c.created)).first()
        return Request(row.tenant_id, row.family, row.sealed, row.created) if row else None


def _push_out(connection: Connection, tenant: str) -> None:
    """Take away the oldest request of the address that has the most in a tenant."""
    most = select(r.c.address).where(r.c.tenant_id == tenant).group_by(r.c.address)
    address = connection.scalar(most.order_by(func.count().desc(), func.min(r.c.created)).limit(1))
    oldest = select(r.c.digest).where(r.c.tenant_id == tenant, r.c.address == address).order_by(r.c.created, r.c.digest)
    connection.execute(delete(r).where(r.c.digest == connection.scalar(oldest.limit(1))))
