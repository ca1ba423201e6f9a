"""Support access: a tenant lets a SuperAdmin see its rows for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.model import DisplayName, Email, Id, Model
from sluicegate.base.permission import Permission
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation

if TYPE_CHECKING:
    from sluicegate.store.support import Access as Stored


class GrantAsk(Model):
    """A support access to give."""

    reason: DisplayName
    """What it is for; it stands in the audit trail."""
    email: Email | None = None
    """E-mail address of the SuperAdmin; any of them when left out."""
    hours: int | None = Field(default=None, ge=1, le=24)
    """Hours that it lasts; four, or what the policy allows, when left out."""
    scopes: tuple[Permission, ...] = Field(default=(Permission.DATA_READ,), min_length=1, max_length=8)
    """What it lets them do: ``data:read`` (previews, items, rejected rows, the words of errors)."""


class AccessOf(Model):
    """One support access."""

    id: Id
    """Id of the support access."""


class Access(Model):
    """One support access."""

    id: str
    email: str
    """Whom it is for; empty for any SuperAdmin."""
    state: str
    """``active``, ``expired`` or ``revoked``."""
    reason: str
    scopes: tuple[str, ...]
    created: str
    created_by: str
    expires: str
    ended: str | None


class Accesses(Model):
    """Support accesses, the newest first."""

    items: tuple[Access, ...]


def grant(ask: GrantAsk, desk: Desk) -> Access:
    """Let a SuperAdmin see your tenant's rows for a while."""
    made = desk.services.support.grant(desk.scope, ask.email, frozenset(ask.scopes), ask.reason, ask.hours)
    return _shown(made)


def list_(_ask: Nothing, desk: Desk) -> Accesses:
    """List the support accesses that your tenant has given."""
    return Accesses(items=tuple(_shown(each) for each in desk.scope.support().list()))


def revoke(ask: AccessOf, desk: Desk) -> Nothing:
    """End a support access, at once."""
    desk.services.support.revoke(desk.scope, ask.id)
    return Nothing()


def _shown(access: Stored) -> Access:
    state = "active" if access.holds(clock.system()) else "expired" if access.ended is None else "revoked"
    return Access(
        id=access.id,
        email=access.email,
        state=state,
        reason=access.reason,
        scopes=tuple(sorted(access.scopes)),
        created=clock.iso(access.created),
        created_by=access.created_by,
        expires=clock.iso(access.expires),
        ended=clock.iso(access.ended) if access.ended is not None else None,
    )


OPERATIONS = (
    Operation(
        "support.grant",
        Permission.SUPPORT_GRANT,
        Http("POST", "/support", 201),
        GrantAsk,
        Access,
        grant,
        audited=True,
        person=True,
        fresh=True,
    ),
    Operation("support.list", Permission.USER_MANAGE, Http("GET", "/support"), Nothing, Accesses, list_, audited=False),
    Operation(
        "support.revoke",
        Permission.USER_MANAGE,
        Http("DELETE", "/support/{id}"),
        AccessOf,
        Nothing,
        revoke,
        audited=True,
    ),
)
