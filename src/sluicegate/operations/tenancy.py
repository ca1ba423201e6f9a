"""The policy of a tenant: what it asks of its people, and where each value comes from."""

from __future__ import annotations

from pydantic import Field

from sluicegate.base.errors import Conflict, Corrupt, Invalid
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.guard.desk import Desk
from sluicegate.guard.grants import SSO
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.tenancy import Effective, Policy, Setting, policy_of, revision


class Told(Effective):
    """What holds in the tenant, and who says so."""

    items: tuple[Setting, ...]
    """Each setting with where its value comes from and what the tenant may set."""
    revision: str
    """Tells this policy from every other: give it with a new one, so that nobody's change in between is lost."""


class NewPolicy(Policy):
    """All that the tenant asks of its people from now on."""

    revision: str | None = Field(default=None, max_length=100)
    """The revision that was read before; a policy that has another by now stays as it is."""


def show(_ask: Nothing, desk: Desk) -> Told:
    """Show what your tenant asks of its people, and where each value comes from."""
    return _told(desk)


def set_(ask: NewPolicy, desk: Desk) -> Told:
    """Set what your tenant asks of its people, all of it; everybody's access token ends, so that it holds at once."""
    bounds, tenants = desk.services.rules.bounds, desk.services.system.tenants()
    bounds.check(ask)
    desk.services.rules.keep_in(desk.who, desk.peer, ask.addresses)
    if ask.sso_required:
        _check_sso(desk)
    tenant = tenants.get(desk.scope.tenant)
    if ask.revision is not None and ask.revision != revision(tenant):
        raise Conflict(
            "The policy is not the one that you have read any more.",
            where="revision",
            hint="Read it again, and set what you still want.",
        )
    wanted = Policy(**ask.model_dump(exclude={"revision"}))
    try:
        before = policy_of(tenant)
    except Corrupt:  # it is being mended
        before = None
    if before != wanted:
        void = before is None or bounds.effective(before) != bounds.effective(wanted)
        stored = wanted.model_dump(mode="json", exclude_defaults=True)
        tenants.set_policy(tenant.id, stored, void=void, was=tenant.policy)
        desk.services.rules.forget(tenant.id)  # here at once; the mark tells the other nodes
    return _told(desk)


def _told(desk: Desk) -> Told:
    tenant, bounds = desk.services.system.tenants().get(desk.scope.tenant), desk.services.rules.bounds
    policy = policy_of(tenant)
    return Told(**bounds.effective(policy).model_dump(), items=bounds.settings(policy), revision=revision(tenant))


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
        NewPolicy,
        Told,
        set_,
        audited=True,
        person=True,
        fresh=True,
    ),
)
