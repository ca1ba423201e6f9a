"""The policy of a tenant: what it asks of its people, and where each value comes from."""

from __future__ import annotations

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.guard.desk import Desk
from sluicegate.guard.grants import SSO
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.tenancy import Effective, Policy, Setting, policy_of


class Told(Effective):
    """What holds in the tenant, and who says so."""

    items: tuple[Setting, ...]
    """Each setting with where its value comes from and what the tenant may set."""


def show(_ask: Nothing, desk: Desk) -> Told:
    """Show what your tenant asks of its people, and where each value comes from."""
    return _told(policy_of(desk.services.system.tenants().get(desk.scope.tenant)), desk)


def set_(ask: Policy, desk: Desk) -> Told:
    """Set what your tenant asks of its people, all of it; everybody's access token ends, so that it holds at once."""
    bounds, tenants = desk.services.rules.bounds, desk.services.system.tenants()
    bounds.check(ask)
    desk.services.rules.keep_in(desk.who, desk.peer, ask.addresses)
    if ask.sso_required:
        _check_sso(desk)
    try:
        before = policy_of(tenants.get(desk.scope.tenant))
    except Corrupt:  # it is being mended
        before = None
    if before != ask:
        void = before is None or bounds.effective(before) != bounds.effective(ask)
        tenants.set_policy(desk.scope.tenant, ask.model_dump(mode="json", exclude_defaults=True), void=void)
        desk.services.rules.forget(desk.scope.tenant)  # here at once; the mark tells the other nodes
    return _told(ask, desk)


def _told(policy: Policy, desk: Desk) -> Told:
    bounds = desk.services.rules.bounds
    return Told(**bounds.effective(policy).model_dump(), items=bounds.settings(policy))


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
    Operation("policy.get", Permission.SELF, Http("GET", "/policy"), Nothing, Told, show, audited=False),
    Operation(
        "policy.set",
        Permission.USER_MANAGE,
        Http("PUT", "/policy"),
        Policy,
        Told,
        set_,
        audited=True,
        person=True,
        fresh=True,
    ),
)
