"""People: the users of one tenant, and, for the system, of all tenants with what sign-in needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, insert, select, true, update

from sluicegate.base.errors import Conflict, Denied, Missing
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.store.database import pack, unpack
from sluicegate.store.tables import api_keys as k
from sluicegate.store.tables import users as u

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

    from sluicegate.store.scope import Scope, System


class UserKind(StrEnum):
    """Whether there is a person behind a user."""

    PERSON = "person"
    SERVICE = "service"
    """A program: it has no password and no sign-in, only API keys."""


class UserState(StrEnum):
    """Whether a user may sign in."""

    ACTIVE = "active"
    DISABLED = "disabled"
    INVITED = "invited"
    """Asked to come, by a link that nobody has used yet: there is no password."""


@dataclass(frozen=True, slots=True)
class User:
    """A person as others see them. ``epoch`` rises when all their tokens become void."""

    id: str
    tenant: str | None
    email: str
    name: str
    role: Role
    must_change: bool
    state: UserState
    epoch: int
    created: float
    last_sign_in: float | None
    kind: UserKind = UserKind.PERSON
    addresses: tuple[str, ...] = ()
    """Networks they may come from; from anywhere when empty."""
    language: str = ""
    """The language they read, such as ``de`` or ``pt-BR``; empty when they did not say."""
    zone: str = ""
    """Their time zone, such as ``Europe/Berlin``; empty when they did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(User):
    """A person as sign-in sees them."""

    password: str = field(repr=False)
    """The password's hash, in the form that holds its own parameters."""


_USER = (
    u.c.id, u.c.tenant_id, u.c.email, u.c.name, u.c.role, u.c.must_change, u.c.state, u.c.epoch, u.c.created,
    u.c.last_sign_in, u.c.kind, u.c.addresses, u.c.language, u.c.zone,
)  # fmt: skip


def fold(email: str) -> str:
    """Return an address in the one form it is stored and looked up in."""
    return email.strip().casefold()


class People:
    """The users of one tenant. A user of another tenant is missing, whatever is asked (SEC-Z03)."""

    def __init__(self, reach: Scope | System) -> None:
        self._reach = reach

    def create(self, email: str, name: str, role: Role, password: str, *, must_change: bool = False) -> User:
        """Add a user; ``password`` is the hash. Raises ``Conflict`` (known address), ``Denied`` (SuperAdmin)."""
        return self._create(self._reach.tenant, email, name, role, password, must_change=must_change)

    def invite(self, email: str, name: str, role: Role) -> User:
        """Add a user who has no password yet. Raises ``Conflict``, ``Denied`` as ``create`` does."""
        return self._create(self._reach.tenant, email, name, role, "", must_change=False, state=UserState.INVITED)

    def create_service(self, name: str, role: Role) -> User:
        """Add a user that is a program, called ``name``. Raises ``Conflict``, ``Denied`` as ``create`` does."""
        return self._create(self._reach.tenant, name, name, role, "", must_change=False, kind=UserKind.SERVICE)

    def list(self) -> list[User]:
        """Return all users, by address."""
        with self._reach.reading() as connection:
            return [_user(row) for row in connection.execute(select(*_USER).where(self._mine()).order_by(u.c.email))]

    def get(self, user: str) -> User:
        """Return the user with this id. Raises ``Missing``."""
        with self._reach.reading() as connection:
            row = connection.execute(select(*_USER).where(u.c.id == user, self._mine())).first()
        if row is None:
            raise _missing()
        return _user(row)

    def set_state(self, user: str, state: UserState) -> None:
        """Enable or disable; either makes all tokens of this user void and ends their API keys. Raises ``Missing``."""
        self._change(user, {"state": UserState(state)}, keys="owner disabled")

    def set_role(self, user: str, role: Role) -> None:
        """Change the role, which makes all tokens void and ends API keys.

        Raises ``Missing``, ``Denied`` for a SuperAdmin.
        """
        _check(self._reach.tenant, role)
        self._change(user, {"role": Role(role)}, keys="role changed")

    def set_password(self, user: str, password: str, *, must_change: bool = False, was: str | None = None) -> None:
        """Set the password's hash, which makes all tokens void. Raises ``Missing``, too when it is not ``was`` now."""
        now = None if was is None else u.c.password == was
        self._change(user, {"password": password, "must_change": must_change}, was=now)

    def set_addresses(self, user: str, addresses: tuple[str, ...]) -> None:
        """Set the networks a user may come from. Raises ``Missing``."""
        from sluicegate.store.marks import announce_rules

        with self._reach.writing():
            announce_rules(self._reach.database, user)
            self._change(user, {"addresses": pack(addresses)}, void=False)

    def set_profile(self, user: str, name: str, language: str, zone: str) -> None:
        """Set what a person says of themselves. Raises ``Missing``."""
        self._change(user, {"name": name, "language": language, "zone": zone}, void=False)

    def touch_sign_in(self, user: str) -> None:
        """Write down that the user signed in now. Raises ``Missing``."""
        self._change(user, {"last_sign_in": self._reach.database.clock()}, void=False)

    def _mine(self) -> ColumnElement[bool]:
        return u.c.tenant_id == self._reach.tenant

    def _create(
        self,
        tenant: str | None,
        email: str,
        name: str,
        role: Role,
        password: str,
        *,
        must_change: bool,
        kind: UserKind = UserKind.PERSON,
        state: UserState = UserState.ACTIVE,
    ) -> User:
        _check(tenant, role)
        row = {
            "id": new_id(),
            "tenant_id": tenant,
            "email": fold(email),
            "name": name,
            "role": Role(role),
            "must_change": must_change,
            "state": state,
            "epoch": 0,
            "created": self._reach.database.clock(),
            "last_sign_in": None,
            "kind": kind,
        }
        try:
            with self._reach.writing() as connection:
                connection.execute(insert(u), {**row, "password": password})
        except Conflict:
            what = "service user of this name" if kind is UserKind.SERVICE else "user with this address"
            raise Conflict(f"There is a {what} already.") from None
        return User(*row.values())  # type: ignore[arg-type]  # the columns above are in the order of the fields

    def _change(
        self,
        user: str,
        values: dict[str, Any],
        *,
        void: bool = True,
        keys: str = "",
        was: ColumnElement[bool] | None = None,
    ) -> None:
        from sluicegate.store.apikeys import end_keys
        from sluicegate.store.marks import raise_user

        with self._reach.writing() as connection:
            if void:
                raise_user(self._reach.database, user, mine=self._mine())
            mine = update(u).where(u.c.id == user, self._mine(), true() if was is None else was)
            done = connection.execute(mine.values(**values))
            if not done.rowcount:
                raise _missing()
            if keys:
                end_keys(self._reach, connection, k.c.user_id == user, keys)


class Accounts(People):
    """The users of all tenants, and the SuperAdmins, who belong to none."""

    _reach: System

    def __init__(self, system: System) -> None:
        super().__init__(system)

    def create_in(
        self, tenant: str | None, email: str, name: str, role: Role, password: str, *, must_change: bool = False
    ) -> User:
        """Add a user to ``tenant``; a SuperAdmin to none. Raises ``Conflict``, ``Denied``."""
        return self._create(tenant, email, name, role, password, must_change=must_change)

    def create(self, email: str, name: str, role: Role, password: str, *, must_change: bool = False) -> User:
        """Add a SuperAdmin; anybody else needs a tenant (``create_in``)."""
        return self._create(None, email, name, role, password, must_change=must_change)

    def find(self, email: str, tenant: str | None = None) -> list[Account]:
        """Return who has this address: in ``tenant``, or anywhere (SuperAdmins first); empty when nobody has."""
        asked = select(*_USER, u.c.password).where(u.c.email == fold(email))
        if tenant is not None:
            asked = asked.where(u.c.tenant_id == tenant)
        with self._reach.reading() as connection:
            found = [_account(row) for row in connection.execute(asked)]
        return sorted(found, key=lambda account: (account.tenant or "", account.id))

    def accept(self, user: str, name: str, password: str) -> None:
        """Let somebody in who was invited; of many callers exactly one does. Raises ``Missing``."""
        self._change(
            user, {"name": name, "password": password, "state": UserState.ACTIVE}, was=u.c.state == UserState.INVITED
        )

    def set_email(self, user: str, email: str) -> None:
        """Change the address, which makes all tokens and links void. Raises ``Missing``, ``Conflict`` when taken."""
        try:
            self._change(user, {"email": fold(email)})
        except Conflict:
            raise Conflict("There is a user with this address already.") from None

    def rehash(self, user: str, password: str, was: str) -> None:
        """Store the hash of the same password at today's cost. Raises ``Missing`` when it is no longer ``was``."""
        self._change(user, {"password": password}, void=False, was=u.c.password == was)

    def account(self, user: str) -> Account:
        """Return the user with this id, with what sign-in needs. Raises ``Missing``."""
        with self._reach.reading() as connection:
            row = connection.execute(select(*_USER, u.c.password).where(u.c.id == user)).first()
        if row is None:
            raise _missing()
        return _account(row)

    def set_role(self, user: str, role: Role) -> None:
        """Change the role within a tenant; nobody becomes, or ceases to be, a SuperAdmin."""
        _check(self.get(user).tenant, role)
        self._change(user, {"role": Role(role)}, keys="role changed")

    def superadmins(self) -> list[User]:
        """Return the SuperAdmins, by address."""
        asked = select(*_USER).where(u.c.tenant_id.is_(None)).order_by(u.c.email)
        with self._reach.reading() as connection:
            return [_user(row) for row in connection.execute(asked)]

    def set_state(self, user: str, state: UserState) -> None:
        """Enable or disable, as ``People`` does. Raises ``Conflict`` for the last SuperAdmin who can come in.

        Of two calls at once that would leave none, one is refused: each holds the lock while it looks and writes.
        """
        with self._reach.writing() as connection:
            self._reach.database.lock(connection, "superadmins")
            others = select(u.c.id).where(
                u.c.tenant_id.is_(None), u.c.id != user, u.c.state == UserState.ACTIVE, u.c.must_change.is_(False)
            )
            last = self.get(user).tenant is None and connection.execute(others.limit(1)).first() is None
            if last and state is not UserState.ACTIVE:
                raise Conflict(
                    "This is the last SuperAdmin who can sign in.",
                    hint="Make another one first, and have them choose their password.",
                )
            super().set_state(user, state)

    def _mine(self) -> ColumnElement[bool]:
        return true()


def _check(tenant: str | None, role: Role) -> None:
    if (role is Role.SUPERADMIN) != (tenant is None):
        raise Denied("Only a SuperAdmin belongs to no tenant, and no SuperAdmin belongs to one.")


def _fields(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    fields = {name: getattr(row, "tenant_id" if name == "tenant" else name) for name in User.__slots__}
    made = {"role": Role(row.role), "state": UserState(row.state), "kind": UserKind(row.kind)}
    return {**fields, **made, "addresses": tuple(unpack(row.addresses))}


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(**_fields(row))


def _account(row: Row[*tuple[Any, ...]]) -> Account:
    return Account(**_fields(row), password=row.password)


def _missing() -> Missing:
    return Missing("There is no such user.")
