"""Tenants that are closed for a while, and the SuperAdmins who stand above all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Denied, Invalid, Missing
from sluicegate.base.model import Email, Id, Line, Model, Name
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.operations import factors

if TYPE_CHECKING:
    from sluicegate.store.people import User


class TenantOf(Model):
    """One tenant."""

    id: Id
    """Id of the tenant."""


class ShredAsk(Model):
    """The tenant whose keys are to be destroyed."""

    id: Id
    """Id of the tenant."""
    name: Name
    """Its name, once more: this cannot be undone."""


class Shredded(Model):
    """Nothing that was sealed for the tenant opens any more."""

    certificate: dict[str, Any]
    """What was destroyed and when, signed; ``vault.get`` has the key to check it with."""
    root: str
    """Name of the root key from now on: copies of the store from before are under another one, which is gone."""


class SuperadminAsk(Model):
    """A new SuperAdmin."""

    email: Email
    """E-mail address."""
    name: Line = ""
    """Full name."""


class SuperadminMade(Model):
    """A SuperAdmin has been made. The password is shown this once."""

    id: str
    email: str
    password: str


class SuperadminOf(Model):
    """One SuperAdmin."""

    id: Id
    """Id of the SuperAdmin."""


class Superadmin(Model):
    """One SuperAdmin, without anything secret."""

    id: str
    email: str
    name: str
    state: str
    created: str
    last_sign_in: str | None
    factor: bool
    """Whether there is a second factor."""


class Superadmins(Model):
    """All SuperAdmins."""

    items: tuple[Superadmin, ...]


def suspend(ask: TenantOf, desk: Desk) -> Nothing:
    """Suspend a tenant: its people, keys and streams end at once, its runs before their next segment."""
    _set_state(ask.id, "suspended", "tenant.suspend", desk)
    return Nothing()


def resume(ask: TenantOf, desk: Desk) -> Nothing:
    """Open a suspended tenant again; its people sign in anew."""
    _set_state(ask.id, "active", "tenant.resume", desk)
    return Nothing()


def shred(ask: ShredAsk, desk: Desk) -> Shredded:
    """Destroy all keys of a suspended tenant: its secrets and sealed files open no more, in old backups neither."""
    from sluicegate.store.scope import TenantState

    services = desk.services
    with services.system.transaction():
        tenant = services.system.tenants().get(ask.id)
        if tenant.name != ask.name:
            raise Invalid("this is not the name of the tenant", where="name")
        if tenant.state is not TenantState.SUSPENDED:
            raise Conflict("The tenant is active.", hint="Suspend it first: sluice tenant suspend ID")
        made = services.vault.shred(services.scope(tenant.id, desk.who))
        services.sealing.owe()  # should it be cut off here, the next start goes on
    return Shredded(certificate=made, root=services.sealing.renew())


def _set_state(tenant: str, state: str, action: str, desk: Desk) -> None:
    from sluicegate.store.scope import TenantState

    services = desk.services
    with services.system.transaction():
        if services.system.tenants().get(tenant).state == state:
            return
        services.system.tenants().set_state(tenant, TenantState(state))
        services.audit.event(action, desk.who, desk.peer, "ok", {"id": tenant}, tenant=tenant)  # its own people see it


def create(ask: SuperadminAsk, desk: Desk) -> SuperadminMade:
    """Create a SuperAdmin with a one-time password, shown once."""
    password, stored = desk.services.login.new_password()
    name = ask.name or ask.email.partition("@")[0]
    made = desk.services.system.accounts().create(ask.email, name, Role.SUPERADMIN, stored, must_change=True)
    return SuperadminMade(id=made.id, email=made.email, password=password.reveal())


def list_(_ask: Nothing, desk: Desk) -> Superadmins:
    """List the SuperAdmins."""
    found = desk.services.system.accounts().superadmins()
    owners = desk.services.system.factors().owners(each.id for each in found)
    return Superadmins(
        items=tuple(
            Superadmin(
                id=each.id,
                email=each.email,
                name=each.name,
                state=each.state,
                created=clock.iso(each.created),
                last_sign_in=clock.iso(each.last_sign_in) if each.last_sign_in else None,
                factor=each.id in owners,
            )
            for each in found
        )
    )


def deactivate(ask: SuperadminOf, desk: Desk) -> Nothing:
    """Deactivate a SuperAdmin; never the last who can sign in."""
    from sluicegate.store.people import UserState

    if ask.id == desk.who.id:
        raise Denied("Nobody deactivates themselves.")
    _one(ask.id, desk)
    desk.services.system.accounts().set_state(ask.id, UserState.DISABLED)
    desk.services.system.grants().kill_user(ask.id)
    return Nothing()


def activate(ask: SuperadminOf, desk: Desk) -> Nothing:
    """Let a SuperAdmin who was deactivated sign in again."""
    from sluicegate.store.people import UserState

    _one(ask.id, desk)
    desk.services.system.accounts().set_state(ask.id, UserState.ACTIVE)
    return Nothing()


def reset(ask: SuperadminOf, desk: Desk) -> Nothing:
    """Take all second factors of a SuperAdmin away who has lost them, and end their sign-ins."""
    if ask.id == desk.who.id:
        raise Denied("Nobody resets themselves.", hint="Remove a factor with: sluice factor remove")
    factors.clear(_one(ask.id, desk), desk)
    return Nothing()


def _one(user: str, desk: Desk) -> User:
    found = desk.services.system.accounts().get(user)
    if found.tenant is not None:
        raise Missing("There is no such user.")
    return found


OPERATIONS = (
    Operation(
        "tenant.suspend",
        Permission.TENANT_MANAGE,
        Http("POST", "/tenants/{id}/suspend"),
        TenantOf,
        Nothing,
        suspend,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "tenant.resume",
        Permission.TENANT_MANAGE,
        Http("POST", "/tenants/{id}/resume"),
        TenantOf,
        Nothing,
        resume,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "tenant.shred",
        Permission.TENANT_MANAGE,
        Http("POST", "/tenants/{id}/shred"),
        ShredAsk,
        Shredded,
        shred,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "superadmin.create",
        Permission.TENANT_MANAGE,
        Http("POST", "/superadmins", 201),
        SuperadminAsk,
        SuperadminMade,
        create,
        audited=True,
        tenant=False,
        fresh=True,
        hashes=True,
    ),
    Operation(
        "superadmin.list",
        Permission.TENANT_MANAGE,
        Http("GET", "/superadmins"),
        Nothing,
        Superadmins,
        list_,
        audited=False,
        tenant=False,
    ),
    Operation(
        "superadmin.deactivate",
        Permission.TENANT_MANAGE,
        Http("POST", "/superadmins/{id}/deactivate"),
        SuperadminOf,
        Nothing,
        deactivate,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "superadmin.activate",
        Permission.TENANT_MANAGE,
        Http("POST", "/superadmins/{id}/activate"),
        SuperadminOf,
        Nothing,
        activate,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "superadmin.reset",
        Permission.TENANT_MANAGE,
        Http("POST", "/superadmins/{id}/factors/reset"),
        SuperadminOf,
        Nothing,
        reset,
        audited=True,
        tenant=False,
        person=True,
        fresh=True,
    ),
)
