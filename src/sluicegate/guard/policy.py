"""Who may do what: one table, reviewed like a price list. Six roles, exactly one per user."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.base.permission import Permission as P
from sluicegate.base.principal import Principal, Role

_VIEW = {P.FLOW_READ, P.RUN_READ, P.SELF}
_OPERATE = _VIEW | {P.CONNECTION_READ, P.DATA_READ, P.RUN_CONTROL}
_EDIT = _OPERATE | {P.DEFINITION_WRITE, P.SECRET_WRITE}
_ADMINISTER = _EDIT | {P.AUDIT_READ, P.USER_MANAGE}

GRANTS: Mapping[Role, frozenset[P]] = {
    Role.SUPERADMIN: frozenset((_ADMINISTER | {P.TENANT_MANAGE}) - {P.DATA_READ}),  # data only by grant of the tenant
    Role.ADMINISTRATOR: frozenset(_ADMINISTER),
    Role.EDITOR: frozenset(_EDIT),
    Role.OPERATOR: frozenset(_OPERATE),
    Role.VIEWER: frozenset(_VIEW),
    Role.API_USER: frozenset({P.SELF}),
}

RANK: Mapping[Role, int] = {
    Role.API_USER: 0, Role.VIEWER: 1, Role.OPERATOR: 2, Role.EDITOR: 3, Role.ADMINISTRATOR: 4, Role.SUPERADMIN: 5,
}  # fmt: skip


def allowed(who: Principal, what: P) -> bool:
    """Tell whether ``who`` may do ``what`` in the tenant they are in: role, then scopes, which only narrow."""
    return what in GRANTS[who.role] and (who.scopes is None or what in who.scopes)


def permissions(who: Principal) -> tuple[P, ...]:
    """Return all that ``who`` may do, sorted."""
    return tuple(sorted(each for each in GRANTS[who.role] if allowed(who, each)))


def may_give(who: Principal, role: Role) -> bool:
    """Tell whether ``who`` may give ``role`` to someone: never one above their own."""
    return RANK[role] <= RANK[who.role]
