"""The two ways to the tables: ``Scope`` for the rows of one tenant, ``System`` for what comes before or above tenants.

A repository holds one of them and asks it for its transactions, so that every statement is bound to its tenant twice:
by ``WHERE tenant_id = …`` in the statement and, on PostgreSQL, by row-level security.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.engine import Row

from sluicegate.base.errors import Conflict, Denied, Missing
from sluicegate.base.model import new_id
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.store.apikeys import AllApiKeys, ApiKeys
from sluicegate.store.database import Database, pack, unpack
from sluicegate.store.definitions import Definitions
from sluicegate.store.factors import Factors
from sluicegate.store.grants import Grants
from sluicegate.store.ledger import Ledger
from sluicegate.store.links import Links
from sluicegate.store.marks import Marks
from sluicegate.store.notices import Notices
from sluicegate.store.outbox import AllPosts, Outbox
from sluicegate.store.people import Accounts, People
from sluicegate.store.quotes import Quotes
from sluicegate.store.runs import Runs
from sluicegate.store.secrets import Secrets
from sluicegate.store.signins import SignIns
from sluicegate.store.sso import Sso
from sluicegate.store.support import AllSupport, Support
from sluicegate.store.tables import blobs, runs, tenants, workers
from sluicegate.store.tickets import Tickets


class Scope:
    """One tenant's rows, for one principal. There is no way to have one without both.

    Raises ``TypeError`` when either is left out or is something else, ``Denied`` when the principal belongs elsewhere:
    only a SuperAdmin, or the system itself, works in a tenant that is not its own.
    """

    __slots__ = ("database", "tenant", "who")

    def __init__(self, database: Database, tenant: str, who: Principal) -> None:
        if not isinstance(tenant, str) or not isinstance(who, Principal):
            raise TypeError("a scope needs the id of a tenant and a principal")
        if not tenant or (who.tenant != tenant and who.role is not Role.SUPERADMIN and who.via is not Via.SYSTEM):
            raise Denied("You do not work in this tenant.")
        self.database = database
        self.tenant = tenant
        self.who = who

    @property
    def author(self) -> str:
        """Return the id that changes are written down to."""
        return self.who.id

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a read transaction for this tenant (for repositories)."""
        return self.database.read(self.tenant)

    def writing(self) -> AbstractContextManager[Connection]:
        """Open, or join, a write transaction for this tenant (for repositories)."""
        return self.database.write(self.tenant)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Let every repository call of this thread inside share one write transaction: all of it happens, or none.

        Calls of other scopes, and of ``System``, on the same database join it, too. A call that raises leaves no trace,
        and the transaction may go on without it. Do no slow work inside: on SQLite nobody else writes meanwhile.
        """
        with self.writing():
            yield

    def definitions(self) -> Definitions:
        """Return the connections, flows, schedules … of this tenant."""
        return Definitions(self)

    def secrets(self) -> Secrets:
        """Return the sealed secrets and keys of this tenant."""
        return Secrets(self)

    def runs(self) -> Runs:
        """Return the runs of this tenant."""
        return Runs(self)

    def quotes(self) -> Quotes:
        """Return what errors and logs of this tenant's runs say of rows."""
        return Quotes(self)

    def people(self) -> People:
        """Return the users of this tenant."""
        return People(self)

    def api_keys(self) -> ApiKeys:
        """Return the API keys of this tenant's users."""
        return ApiKeys(self)

    def support(self) -> Support:
        """Return what this tenant lets SuperAdmins see, and until when."""
        return Support(self)

    def outbox(self) -> Outbox:
        """Return the mails to this tenant's users."""
        return Outbox(self)

    def ledger(self) -> Ledger:
        """Return the audit trail of this tenant."""
        return Ledger(self)


class System:
    """What belongs to no tenant: tenants themselves, sign-in, refresh, revocation, the system's ledger, workers.

    It lifts row-level security by setting ``app.system`` in its transactions. Only ``guard`` and ``engine`` hold one.
    """

    __slots__ = ("database",)

    tenant = ""
    """The tenant of the system's own ledger."""
    author = "system"

    def __init__(self, database: Database) -> None:
        self.database = database

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a read transaction over all tenants (for repositories)."""
        return self.database.read(system=True)

    def writing(self) -> AbstractContextManager[Connection]:
        """Open, or join, a write transaction over all tenants (for repositories)."""
        return self.database.write(system=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Let every call of this thread inside share one write transaction, as ``Scope.transaction`` does."""
        with self.writing():
            yield

    def tenants(self) -> Tenants:
        """Return all tenants."""
        return Tenants(self)

    def accounts(self) -> Accounts:
        """Return the users of all tenants, SuperAdmins among them, with what sign-in needs."""
        return Accounts(self)

    def api_keys(self) -> AllApiKeys:
        """Return the API keys of all tenants, by what is shown of them."""
        return AllApiKeys(self)

    def grants(self) -> Grants:
        """Return the refresh tokens."""
        return Grants(self)

    def marks(self) -> Marks:
        """Return epochs and revocations."""
        return Marks(self)

    def factors(self) -> Factors:
        """Return the second factors and recovery codes of all users."""
        return Factors(self)

    def sso(self) -> Sso:
        """Return the providers of single sign-on, the people known by them, and sign-ins on their way."""
        return Sso(self)

    def support(self) -> AllSupport:
        """Return the support accesses of all tenants."""
        return AllSupport(self)

    def signins(self) -> SignIns:
        """Return the sign-ins of all users."""
        return SignIns(self)

    def links(self) -> Links:
        """Return the one-time links of all users."""
        return Links(self)

    def outbox(self) -> AllPosts:
        """Return the mails that wait to be sent."""
        return AllPosts(self)

    def notices(self) -> Notices:
        """Return the notices of all users."""
        return Notices(self)

    def tickets(self) -> Tickets:
        """Return the one-time tickets."""
        return Tickets(self)

    def blobs(self) -> Blobs:
        """Return the small values the system keeps."""
        return Blobs(self)

    def ledger(self) -> Ledger:
        """Return the system's own audit trail."""
        return Ledger(self)

    def workers(self) -> Workers:
        """Return who executes runs."""
        return Workers(self)


class TenantState(StrEnum):
    """Whether a tenant may be worked in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant. ``epoch`` rises when all its tokens become void."""

    id: str
    name: str
    state: TenantState
    epoch: int
    created: float
    policy: Mapping[str, Any]
    """What it asks of its people (``guard/tenancy.py``)."""


class Tenants:
    """All tenants."""

    def __init__(self, system: System) -> None:
        self._system = system

    def create(self, name: str) -> Tenant:
        """Add a tenant. Raises ``Conflict`` when the name is taken."""
        made = Tenant(new_id(), name, TenantState.ACTIVE, 0, self._system.database.clock(), {})
        row = {"id": made.id, "name": name, "state": made.state, "epoch": 0, "created": made.created, "policy": "{}"}
        try:
            with self._system.writing() as connection:
                connection.execute(insert(tenants), row)
        except Conflict:
            raise Conflict(f"There is a tenant named {name} already.") from None
        return made

    def list(self) -> list[Tenant]:
        """Return all tenants by name."""
        with self._system.reading() as connection:
            return [_tenant(row) for row in connection.execute(select(tenants).order_by(tenants.c.name))]

    def get(self, tenant: str) -> Tenant:
        """Return the tenant with this id. Raises ``Missing``."""
        with self._system.reading() as connection:
            return _tenant(connection.execute(select(tenants).where(tenants.c.id == tenant)).first())

    def named(self, name: str) -> Tenant:
        """Return the tenant with this name. Raises ``Missing``."""
        with self._system.reading() as connection:
            return _tenant(connection.execute(select(tenants).where(tenants.c.name == name)).first())

    def set_state(self, tenant: str, state: TenantState) -> None:
        """Suspend or resume a tenant; either makes all tokens of its people void. Raises ``Missing``."""
        with self._system.writing() as connection:
            self._system.marks().raise_tenant(tenant)
            connection.execute(update(tenants).where(tenants.c.id == tenant).values(state=TenantState(state)))

    def set_policy(
        self, tenant: str, policy: Mapping[str, Any], *, void: bool = True, was: Mapping[str, Any] | None = None
    ) -> None:
        """Set what the tenant asks of its people; all their tokens are void, so that it holds now.

        Raises ``Missing``, and ``Conflict`` when ``was`` is given and not what is stored.
        """
        with self._system.writing() as connection:
            held = _tenant(connection.execute(select(tenants).where(tenants.c.id == tenant).with_for_update()).first())
            if was is not None and held.policy != was:
                raise Conflict("The policy was changed meanwhile.", hint="Read it again, and set what you still want.")
            if void:
                self._system.marks().raise_tenant(tenant)
            connection.execute(update(tenants).where(tenants.c.id == tenant).values(policy=pack(dict(policy))))


def _tenant(row: Row[tuple[str, str, str, int, float, str]] | None) -> Tenant:
    if row is None:
        raise Missing("There is no such tenant.")
    return Tenant(row.id, row.name, TenantState(row.state), row.epoch, row.created, unpack(row.policy))


class Blobs:
    """Small values by key, such as the digest of the one-time bootstrap code."""

    def __init__(self, system: System) -> None:
        self._system = system

    def get(self, key: str) -> bytes | None:
        """Return the value, or ``None``."""
        with self._system.reading() as connection:
            return connection.scalar(select(blobs.c.value).where(blobs.c.key == key))

    def put(self, key: str, value: bytes) -> None:
        """Set the value, whatever was there."""
        with self._system.writing() as connection:
            self._system.database.lock(connection, f"blob:{key}")
            connection.execute(delete(blobs).where(blobs.c.key == key))
            connection.execute(insert(blobs), {"key": key, "value": value})

    def put_if_absent(self, key: str, value: bytes) -> bool:
        """Set the value if there is none; tell whether this call did."""
        try:
            with self._system.writing() as connection:
                connection.execute(insert(blobs), {"key": key, "value": value})
        except Conflict:
            return False
        return True

    def take(self, key: str, value: bytes | None = None) -> bytes | None:
        """Remove and return the value; of many callers exactly one gets it.

        With ``value``, only if that is what is stored: a wrong guess at a one-time code does not use it up.
        """
        gone = delete(blobs).where(blobs.c.key == key).returning(blobs.c.value)
        if value is not None:
            gone = gone.where(blobs.c.value == value)
        with self._system.writing() as connection:
            return connection.scalar(gone)


class Workers:
    """Heartbeats of those who execute runs, and what a silent one leaves behind."""

    def __init__(self, system: System) -> None:
        self._system = system

    def beat(self, executor: str) -> None:
        """Write down that ``executor`` is alive now."""
        now = self._system.database.clock()
        with self._system.writing() as connection:
            self._system.database.lock(connection, f"worker:{executor}")
            if not connection.execute(_BEAT, {"who": executor, "now": now}).rowcount:
                connection.execute(insert(workers), {"executor": executor, "beat": now})

    def forget(self, executor: str, *, silent_since: float) -> bool:
        """Remove ``executor`` if it has been silent since then; of many reapers exactly one gets ``True``."""
        gone = delete(workers).where(workers.c.executor == executor, workers.c.beat <= silent_since)
        with self._system.writing() as connection:
            return connection.execute(gone).rowcount == 1

    def left(self, executor: str) -> list[tuple[str, str]]:
        """Return ``(tenant, run)`` of each unfinished run of ``executor``, oldest first."""
        mine = select(runs.c.tenant_id, runs.c.id).where(
            runs.c.executor == executor, runs.c.state.in_(("queued", "running"))
        )
        with self._system.reading() as connection:
            return [(row.tenant_id, row.id) for row in connection.execute(mine.order_by(runs.c.id))]

    def home(self, run: str) -> tuple[str, str]:
        """Return the tenant and the user a run works for; a worker is handed nothing but its id. Raises ``Missing``."""
        with self._system.reading() as connection:
            row = connection.execute(select(runs.c.tenant_id, runs.c.by_user).where(runs.c.id == run)).first()
        if row is None:
            raise Missing("There is no such run.")
        return row.tenant_id, row.by_user

    def list(self) -> list[tuple[str, float]]:
        """Return each executor and its last beat."""
        with self._system.reading() as connection:
            return [(row.executor, row.beat) for row in connection.execute(select(workers).order_by("executor"))]


_BEAT = update(workers).where(workers.c.executor == bindparam("who")).values(beat=bindparam("now"))
