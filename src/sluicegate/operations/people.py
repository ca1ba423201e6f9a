"""Tenants and users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.model import Email, Id, Line, Model, Name
from sluicegate.base.networks import Network
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation

if TYPE_CHECKING:
    from sluicegate.store.outbox import Post


class TenantAsk(Model):
    """A new tenant."""

    name: Name
    """Name of the tenant."""


class Tenant(Model):
    """One tenant."""

    id: str
    name: str
    state: str
    created: str


class Tenants(Model):
    """All tenants."""

    items: tuple[Tenant, ...]


class UserAsk(Model):
    """A new user."""

    email: Email
    """E-mail address."""
    name: Line = ""
    """Full name."""
    role: Role
    """One of the six roles."""


class UserMade(Model):
    """A user has been made. The password is shown this once."""

    id: str
    email: str
    role: str
    password: str


class UserOf(Model):
    """One user."""

    id: Id
    """Id of the user."""


class AddressesAsk(Model):
    """From where a user may come."""

    id: Id
    """Id of the user."""
    addresses: tuple[Network, ...] = Field(default=(), max_length=100)
    """Networks; anywhere when empty."""


class User(Model):
    """One user, without anything secret."""

    id: str
    email: str
    name: str
    role: str
    state: str
    """``active``, ``invited`` (has yet to come), or ``disabled``."""
    created: str
    last_sign_in: str | None
    factor: bool
    """Whether there is a second factor."""
    sso: bool
    """Whether they have come by single sign-on."""
    kind: str
    """``person``, or ``service``: a program that has nothing but API keys."""
    addresses: tuple[str, ...]
    """Networks they may come from; anywhere when empty."""
    link_expires: str | None
    """Until when somebody who is invited may come."""
    mail: str
    """What became of the newest link sent to them: ``waiting``, ``sent``, or why it was not; empty without one."""


class Users(Model):
    """All users of the tenant."""

    items: tuple[User, ...]


def create_tenant(ask: TenantAsk, desk: Desk) -> Tenant:
    """Create a tenant."""
    made = desk.services.system.tenants().create(ask.name)
    return Tenant(id=made.id, name=made.name, state=made.state, created=clock.iso(made.created))


def list_tenants(_ask: Nothing, desk: Desk) -> Tenants:
    """List all tenants."""
    found = desk.services.system.tenants().list()
    return Tenants(
        items=tuple(
            Tenant(id=each.id, name=each.name, state=each.state, created=clock.iso(each.created)) for each in found
        )
    )


def create_user(ask: UserAsk, desk: Desk) -> UserMade:
    """Create a user with a one-time password, shown once."""
    if not policy.may_give(desk.who, ask.role):
        raise Denied("Nobody gives a role above their own.", where="role")
    if ask.role is Role.SUPERADMIN:
        raise Invalid("a SuperAdmin belongs to no tenant and is not made here", where="role")
    password, stored = desk.services.login.new_password()
    made = desk.scope.people().create(
        ask.email, ask.name or ask.email.partition("@")[0], ask.role, stored, must_change=True
    )
    return UserMade(id=made.id, email=made.email, role=ask.role.value, password=password.reveal())


def list_users(_ask: Nothing, desk: Desk) -> Users:
    """List the users of the tenant."""
    found = desk.scope.people().list()
    owners = desk.services.system.factors().owners(each.id for each in found)
    shown = desk.services.system.sso().known(desk.scope.tenant)
    links = desk.services.system.links().waiting((each.id for each in found if each.state == "invited"), "invitation")
    mails = desk.scope.outbox().newest(("invitation", "reset"))
    return Users(
        items=tuple(
            User(
                id=each.id,
                email=each.email,
                name=each.name,
                role=each.role,
                state=each.state,
                created=clock.iso(each.created),
                last_sign_in=clock.iso(each.last_sign_in) if each.last_sign_in else None,
                factor=each.id in owners,
                sso=each.id in shown,
                kind=each.kind,
                addresses=each.addresses,
                link_expires=clock.iso(links[each.id]) if each.id in links else None,
                mail=_told(mails.get(each.id)),
            )
            for each in found
        )
    )


def _told(post: Post | None) -> str:
    if post is None:
        return ""
    return f"{post.state.value}: {post.why}" if post.why else post.state.value


def deactivate_user(ask: UserOf, desk: Desk) -> Nothing:
    """Deactivate a user: no sign-in, no refresh; their runs stop at the next step."""
    if ask.id == desk.who.id:
        raise Denied("Nobody deactivates themselves.")
    from sluicegate.store.people import UserState

    user = desk.scope.people().get(ask.id)
    if not policy.may_give(desk.who, Role(user.role)):
        raise Denied("Nobody deactivates a role above their own.")
    system = desk.services.system
    with system.transaction():
        desk.scope.people().set_state(ask.id, UserState.DISABLED)
        system.grants().kill_user(ask.id)
        system.links().end(ask.id, "invitation")
    return Nothing()


def reactivate_user(ask: UserOf, desk: Desk) -> Nothing:
    """Let a deactivated user sign in again; who has never come needs a new invitation."""
    from sluicegate.store.people import UserState

    user = desk.services.system.accounts().account(desk.scope.people().get(ask.id).id)
    if not policy.may_give(desk.who, user.role):
        raise Denied("Nobody reactivates a role above their own.")
    if user.state is UserState.DISABLED:
        came = bool(user.password) or user.kind == "service" or user.last_sign_in is not None
        desk.scope.people().set_state(ask.id, UserState.ACTIVE if came else UserState.INVITED)
    return Nothing()


def set_addresses(ask: AddressesAsk, desk: Desk) -> Nothing:
    """Set the networks that a user may come from; none for anywhere."""
    user = desk.scope.people().get(ask.id)
    if not policy.may_give(desk.who, Role(user.role)):
        raise Denied("Nobody changes somebody above them.")
    if ask.id == desk.who.id:
        desk.services.rules.keep_in(desk.who, desk.peer, ask.addresses)
    desk.scope.people().set_addresses(ask.id, tuple(dict.fromkeys(ask.addresses)))
    desk.services.rules.forget(ask.id)
    return Nothing()


OPERATIONS = (
    Operation(
        "tenant.create",
        Permission.TENANT_MANAGE,
        Http("POST", "/tenants", 201),
        TenantAsk,
        Tenant,
        create_tenant,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "tenant.list",
        Permission.TENANT_MANAGE,
        Http("GET", "/tenants"),
        Nothing,
        Tenants,
        list_tenants,
        audited=False,
        tenant=False,
    ),
    Operation(
        "user.create",
        Permission.USER_MANAGE,
        Http("POST", "/users", 201),
        UserAsk,
        UserMade,
        create_user,
        audited=True,
        person=True,
        fresh=True,
        hashes=True,
    ),
    Operation("user.list", Permission.USER_MANAGE, Http("GET", "/users"), Nothing, Users, list_users, audited=False),
    Operation(
        "user.deactivate",
        Permission.USER_MANAGE,
        Http("POST", "/users/{id}/deactivate"),
        UserOf,
        Nothing,
        deactivate_user,
        audited=True,
        fresh=True,
    ),
    Operation(
        "user.reactivate",
        Permission.USER_MANAGE,
        Http("POST", "/users/{id}/reactivate"),
        UserOf,
        Nothing,
        reactivate_user,
        audited=True,
        person=True,
        fresh=True,
    ),
    Operation(
        "user.addresses",
        Permission.USER_MANAGE,
        Http("PUT", "/users/{id}/addresses"),
        AddressesAsk,
        Nothing,
        set_addresses,
        audited=True,
        fresh=True,
    ),
)
