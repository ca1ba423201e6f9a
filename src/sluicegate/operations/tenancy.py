"""The policy of a tenant: what it asks of its people."""

from __future__ import annotations

from sluicegate.base.errors import Invalid
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.guard.desk import Desk
from sluicegate.guard.login import SSO
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.tenancy import Policy, policy_of


def show(_ask: Nothing, desk: Desk) -> Policy:
    """Show what your tenant asks of its people."""
    return policy_of(desk.services.system.tenants().get(desk.scope.tenant))


def set_(ask: Policy, desk: Desk) -> Policy:
    """Set what your tenant asks of its people; everybody's access token ends, so that it holds at once."""
    desk.services.rules.keep_in(desk.who, desk.peer, ask.addresses)
    if ask.sso_required:
        _check_sso(desk)
    tenants = desk.services.system.tenants()
    if policy_of(tenants.get(desk.scope.tenant)) != ask:
        tenants.set_policy(desk.scope.tenant, ask.model_dump(mode="json"))
        desk.services.rules.forget(desk.scope.tenant)  # here at once; the mark tells the other nodes
    return ask


def _check_sso(desk: Desk) -> None:
    """Refuse to shut a tenant's people out: single sign-on must be there, and have let in the one who says so."""
    services, who = desk.services, desk.who
    if services.system.sso().provider(desk.scope.tenant) is None:
        raise Invalid("no single sign-on is set up here", where="sso_required", hint="Run: sluice sso set")
    came = services.system.grants().factors(who.grant)
    if who.role is not Role.SUPERADMIN and not came.startswith(SSO):
        raise Invalid(
            "this would lock you out if single sign-on did not work: you came by a password",
            where="sso_required",
            hint="Sign in by single sign-on, as an Administrator, and say so then.",
        )


OPERATIONS = (
    Operation("policy.get", Permission.SELF, Http("GET", "/policy"), Nothing, Policy, show, audited=False),
    Operation(
        "policy.set", Permission.USER_MANAGE, Http("PUT", "/policy"), Policy, Policy, set_, audited=True, fresh=True
    ),
)
