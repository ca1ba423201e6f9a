"""The policy of a tenant: what it asks of its people."""

from __future__ import annotations

from sluicegate.base.permission import Permission
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.tenancy import Policy, policy_of


def show(_ask: Nothing, desk: Desk) -> Policy:
    """Show what your tenant asks of its people."""
    return policy_of(desk.services.system.tenants().get(desk.scope.tenant))


def set_(ask: Policy, desk: Desk) -> Policy:
    """Set what your tenant asks of its people; everybody's access token ends, so that it holds at once."""
    desk.services.rules.keep_in(desk.who, desk.peer, ask.addresses)
    tenants = desk.services.system.tenants()
    if policy_of(tenants.get(desk.scope.tenant)) != ask:
        tenants.set_policy(desk.scope.tenant, ask.model_dump(mode="json"))
        desk.services.rules.forget(desk.scope.tenant)  # here at once; the mark tells the other nodes
    return ask


OPERATIONS = (
    Operation("policy.get", Permission.SELF, Http("GET", "/policy"), Nothing, Policy, show, audited=False),
    Operation(
        "policy.set", Permission.USER_MANAGE, Http("PUT", "/policy"), Policy, Policy, set_, audited=True, fresh=True
    ),
)
