"""The vault's keys: how they stand, and replacing them."""

from __future__ import annotations

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.model import Model
from sluicegate.base.permission import Permission
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation


class VaultStanding(Model):
    """How the keys of the tenant stand."""

    key: int
    """Version of the newest key; 0 before the first secret."""
    made: str | None
    secrets: int
    """Secrets under the newest key, the product's own among them."""
    waiting: int
    """Secrets that are still under an older key."""
    public: str
    """Checks the signatures of destruction certificates (Ed25519, PEM)."""


class RekeyAsk(Model):
    """How."""

    shut_backups: bool = Field(default=False, strict=True)
    """Replace the root key, too, once the old key is destroyed: no older copy of the store opens any more."""


class Renewed(Model):
    """A key that is used from now on. What is under the one before follows, and that one is destroyed."""

    key: int
    """Its version."""


def show(_ask: Nothing, desk: Desk) -> VaultStanding:
    """Show how the keys of your tenant's secrets stand."""
    found = desk.services.vault.standing(desk.scope)
    return VaultStanding(
        key=found.key,
        made=clock.iso(found.made) if found.made else None,
        secrets=found.under.get(found.key, 0),
        waiting=sum(count for key, count in found.under.items() if key != found.key),
        public=desk.services.vault.public,
    )


def rotate(_ask: Nothing, desk: Desk) -> Renewed:
    """Replace the key of your tenant's secrets, while everybody works; the one before is destroyed, on record."""
    return Renewed(key=desk.services.rotation.renew_tenant(desk.scope))


def rekey(ask: RekeyAsk, desk: Desk) -> Renewed:
    """Replace the key above the tenants' keys, while everybody works; the one before is destroyed, on record."""
    services = desk.services
    if not ask.shut_backups:
        return Renewed(key=services.rotation.renew_installation())
    return Renewed(key=services.rotation.renew_installation(lambda: services.sealing.owe(later=True)))


OPERATIONS = (
    Operation("vault.get", Permission.USER_MANAGE, Http("GET", "/vault"), Nothing, VaultStanding, show, audited=False),
    Operation(
        "vault.rotate",
        Permission.USER_MANAGE,
        Http("POST", "/vault/rotate"),
        Nothing,
        Renewed,
        rotate,
        audited=True,
        fresh=True,
    ),
    Operation(
        "system.rekey",
        Permission.TENANT_MANAGE,
        Http("POST", "/system/rekey"),
        RekeyAsk,
        Renewed,
        rekey,
        audited=True,
        tenant=False,
        fresh=True,
    ),
)
