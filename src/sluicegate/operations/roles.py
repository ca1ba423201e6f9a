"""Another role for somebody. Nobody changes their own, that of somebody above them, or gives one above their own."""

from __future__ import annotations

from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.model import Id, Model
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Operation


class RoleAsk(Model):
    """Who, and what they are from now on."""

    id: Id
    """Id of the user."""
    role: Role
    """One of the six roles."""


class RoleSet(Model):
    """What somebody was, and what they are now."""

    id: str
    email: str
    before: str
    role: str


def set_role(ask: RoleAsk, desk: Desk) -> RoleSet:
    """Give a user another role: their tokens and API keys end at once, runs of theirs look before each segment."""
    if ask.id == desk.who.id:
        raise Denied("Nobody changes their own role.")
    people = desk.scope.people()
    with desk.scope.transaction():
        user = people.get(ask.id)
        if not policy.may_give(desk.who, Role(user.role)):
            raise Denied("Nobody changes the role of somebody above them.")
        if not policy.may_give(desk.who, ask.role):
            raise Denied("Nobody gives a role above their own.", where="role")
        if ask.role is Role.SUPERADMIN:
            raise Invalid("a SuperAdmin belongs to no tenant and is not made here", where="role")
        if user.kind == "service" and policy.RANK[ask.role] >= policy.RANK[desk.who.role]:
            raise Denied("A service user has a role below that of its maker.", where="role")
        if ask.role != user.role:
            people.set_role(ask.id, ask.role)
    return RoleSet(id=user.id, email=user.email, before=user.role, role=ask.role.value)


OPERATIONS = (
    Operation(
        "user.role",
        Permission.USER_MANAGE,
        Http("PUT", "/users/{id}/role"),
        RoleAsk,
        RoleSet,
        set_role,
        audited=True,
        person=True,
        fresh=True,
    ),
)
