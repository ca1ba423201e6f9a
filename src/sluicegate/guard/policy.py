"""Who may do what: one table, reviewed like a price list. Six roles, exactly one per user."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.base.permission import Permission
from sluicegate.base.principal import Principal, Role

_VIEW = {Permission.FLOW_READ, Permission.RUN_READ, Permission.SELF}
_OPERATE = _VIEW | {Permission.CONNECTION_READ, Permission.DATA_READ, Permission.RUN_CONTROL}
_EDIT = _OPERATE | {Permission.DEFINITION_WRITE, Permission.SECRET_WRITE}
_ADMINISTER = _EDIT | {Permission.AUDIT_READ, Permission.SECRET_LINK, Permission.USER_MANAGE}

GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.SUPERADMIN: frozenset(
        (_ADMINISTER | {Permission.TENANT_MANAGE}) - {Permission.DATA_READ}
    ),  # data only by grant of the tenant, which no SuperAdmin gives
    Role.ADMINISTRATOR: frozenset(_ADMINISTER | {Permission.DATA_REVEAL, Permission.SUPPORT_GRANT}),
    Role.EDITOR: frozenset(_EDIT),
    Role.OPERATOR: frozenset(_OPERATE),
    Role.VIEWER: frozenset(_VIEW),
    Role.API_USER: frozenset({Permission.SELF}),
}

_LADDER = (Role.API_USER, Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMINISTRATOR, Role.SUPERADMIN)
RANK: Mapping[Role, int] = {role: rank for rank, role in enumerate(_LADDER)}

LENDABLE = frozenset({Permission.DATA_READ})
"""What a tenant can lend a SuperAdmin by a support access. They have all else already, or nobody lends it."""


def allowed(who: Principal, what: Permission) -> bool:
    """Tell whether ``who`` may do ``what`` in the tenant they are in: role, what is lent, then scopes, which narrow."""
    has = what in GRANTS[who.role] or (who.role is Role.SUPERADMIN and what in who.lent & LENDABLE)
    return has and (who.scopes is None or what in who.scopes)


def permissions(who: Principal) -> tuple[Permission, ...]:
    """Return all that ``who`` may do, sorted."""
    return tuple(sorted(each for each in Permission if allowed(who, each)))


def may_give(who: Principal, role: Role) -> bool:
    """Tell whether ``who`` may give ``role`` to someone, or touch who has it: never one above their own."""
    return RANK[role] <= RANK[who.role]
