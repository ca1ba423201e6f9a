"""What an administrator decides for the tenant, and from where a user may come."""

from __future__ import annotations

from pydantic import Field

from sluicegate.base.errors import Denied
from sluicegate.base.model import Id, Model
from sluicegate.base.networks import Network
from sluicegate.base.permission import Permission
from sluicegate.base.tenancy import TenantPolicy
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation


class AddressesAsk(Model):
    """From where a user may come."""

    id: Id
    """Id of the user."""
    addresses: tuple[Network, ...] = Field(default=(), max_length=100)
    """Networks; anywhere when empty."""


def get_policy(_ask: Nothing, desk: Desk) -> TenantPolicy:
    """Show the rules of the tenant."""
    return TenantPolicy.model_validate(desk.scope.policies().get())


def set_policy(ask: TenantPolicy, desk: Desk) -> TenantPolicy:
    """Replace the rules of the tenant: from where its people and keys may come, and what keys may be."""
    desk.services.rules.keep_in(desk.who, desk.peer, ask.addresses)
    desk.scope.policies().put(ask.model_dump(mode="json", exclude_defaults=True))
    desk.services.rules.forget(desk.scope.tenant)  # here at once; the mark tells the other nodes
    return ask


def set_addresses(ask: AddressesAsk, desk: Desk) -> Nothing:
    """Set the networks that a user may come from; none for anywhere."""
    from sluicegate.base.principal import Role

    user = desk.scope.people().get(ask.id)
    if not policy.may_give(desk.who, Role(user.role)):
        raise Denied("Nobody changes a role above their own.")
    if ask.id == desk.who.id:
        desk.services.rules.keep_in(desk.who, desk.peer, ask.addresses)
    desk.scope.people().set_addresses(ask.id, tuple(dict.fromkeys(ask.addresses)))
    desk.services.rules.forget(ask.id)
    return Nothing()


OPERATIONS = (
    Operation(
        "policy.get", Permission.USER_MANAGE, Http("GET", "/policy"), Nothing, TenantPolicy, get_policy, audited=False
    ),
    Operation(
        "policy.set",
        Permission.USER_MANAGE,
        Http("PUT", "/policy"),
        TenantPolicy,
        TenantPolicy,
        set_policy,
        audited=True,
    ),
    Operation(
        "user.addresses",
        Permission.USER_MANAGE,
        Http("PUT", "/users/{id}/addresses"),
        AddressesAsk,
        Nothing,
        set_addresses,
        audited=True,
    ),
)
