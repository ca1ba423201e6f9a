"""What a tenant asks of its people: its policy, set by its administrators within what the installation allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field, ValidationError

from sluicegate.base.errors import Corrupt
from sluicegate.base.model import Model
from sluicegate.base.networks import Network

if TYPE_CHECKING:
    from sluicegate.store.scope import Tenant


class Policy(Model):
    """What a tenant asks of its people."""

    model_config = ConfigDict(strict=True)

    factor_required: bool = False
    """Everybody who signs in with a password needs a second factor; who has none sets one up first."""
    addresses: tuple[Network, ...] = Field(default=(), max_length=100, strict=False)
    """Networks from which the tenant's people and keys may come; from anywhere when empty."""
    key_days: int | None = Field(default=None, ge=1, le=3650)
    """Days that an API key lives at the most; the installation's limit when left out."""
    sso_required: bool = False
    """The tenant's people come by single sign-on and by no password. It holds neither API keys nor SuperAdmins."""
    key_proof: bool = False
    """Whether an API key is exchanged only together with a DPoP proof (RFC 9449)."""


def policy_of(tenant: Tenant) -> Policy:
    """Return the policy of a tenant. Raises ``Corrupt`` when what is stored is none: nothing is guessed."""
    try:
        return Policy.model_validate(dict(tenant.policy))
    except ValidationError:
        raise Corrupt("The tenant's policy cannot be read.", where=f"tenant {tenant.name}") from None
