"""What a tenant asks of its people: its policy, set by its administrators within what the installation allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict, ValidationError

from sluicegate.base.errors import Corrupt
from sluicegate.base.model import Model

if TYPE_CHECKING:
    from sluicegate.store.scope import Tenant


class Policy(Model):
    """What a tenant asks of its people."""

    model_config = ConfigDict(strict=True)

    factor_required: bool = False
    """Everybody who signs in with a password needs a second factor; who has none sets one up first."""


def policy_of(tenant: Tenant) -> Policy:
    """Return the policy of a tenant. Raises ``Corrupt`` when what is stored is none: nothing is guessed."""
    try:
        return Policy.model_validate(dict(tenant.policy))
    except ValidationError:
        raise Corrupt("The tenant's policy cannot be read.", where=f"tenant {tenant.name}") from None
