"""The installation itself: health, schemas, the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from sluicegate import __version__
from sluicegate.base.model import Model, Number
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Role
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation

if TYPE_CHECKING:
    from sluicegate.store.ledger import Ledger


class Health(Model):
    """Whether it works. Says nothing that helps an attacker."""

    status: str
    bootstrap: bool
    """True while there is no user at all."""
    jail: str
    """``full``, ``fallback`` (weaker, by setting) or ``none`` (flows with expressions refuse)."""
    mail: str
    """``off`` when no relay is set up, ``ok``, or ``failing`` when the last mail could not be sent."""


class About(Model):
    """What is installed."""

    version: str
    engine: dict[str, Any]


class RotateAsk(Model):
    """How."""

    at_once: bool = Field(default=False, strict=True)
    """End every access token now, as after a theft; otherwise those that are out hold until they end."""


class Rotated(Model):
    """The key that signs from now on."""

    kid: str


class AuditAsk(Model):
    """Which records."""

    limit: int = Field(default=100, ge=1, le=500)
    """At most this many, the newest first."""
    before: Number | None = None
    """Only records before this number (paging)."""
    action: str | None = Field(default=None, max_length=100)
    """Only this action, such as ``run.start``."""


class AuditRecord(Model):
    """One record."""

    seq: int
    at: str
    action: str
    result: str
    who: str | None = None
    role: str | None = None
    via: str | None = None
    support: str | None = None
    """The support access by which a SuperAdmin saw it."""
    address: str | None = None
    client: str | None = None
    request: str | None = None
    about: dict[str, Any] = Field(default={})


class AuditRecords(Model):
    """Records, the newest first."""

    items: tuple[AuditRecord, ...]


def health(_ask: Nothing, desk: Desk) -> Health:
    """Say whether the server works."""
    return Health(
        status="ok",
        bootstrap=desk.services.login.bootstrapping,
        jail=desk.services.engine.health()["jail"],
        mail=desk.services.mail.state,
    )


def about(_ask: Nothing, desk: Desk) -> About:
    """Say what is installed and how it runs."""
    return About(version=__version__, engine=dict(desk.services.engine.health()))


def rotate(ask: RotateAsk, desk: Desk) -> Rotated:
    """Replace the key that signs access tokens, while everybody works."""
    return Rotated(kid=desk.services.tokens.rotate(at_once=ask.at_once))


def audit(ask: AuditAsk, desk: Desk) -> AuditRecords:
    """List the audit trail of the tenant; a SuperAdmin in none sees the installation's own."""
    found = trail_of(desk).list(ask.limit, ask.before, action=ask.action)
    return AuditRecords(items=tuple(AuditRecord(seq=each.seq, **each.body) for each in found))


def trail_of(desk: Desk) -> Ledger:
    """Return the audit trail of the tenant, or the installation's own for a SuperAdmin in none."""
    whole = desk.inside is None and desk.who.role is Role.SUPERADMIN
    return desk.services.system.ledger() if whole else desk.scope.ledger()


OPERATIONS = (
    Operation(
        "system.health",
        Public("load balancers and the sign-in page ask before there is a token"),
        Http("GET", "/health"),
        Nothing,
        Health,
        health,
        audited=False,
        tenant=False,
    ),
    Operation(
        "system.about", Permission.SELF, Http("GET", "/about"), Nothing, About, about, audited=False, tenant=False
    ),
    Operation(
        "system.rotate",
        Permission.TENANT_MANAGE,
        Http("POST", "/system/rotate"),
        RotateAsk,
        Rotated,
        rotate,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "audit.list",
        Permission.AUDIT_READ,
        Http("GET", "/audit"),
        AuditAsk,
        AuditRecords,
        audit,
        audited=False,
        tenant=False,
    ),
)
