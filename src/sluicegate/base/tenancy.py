"""What an administrator decides for a whole tenant."""

from pydantic import Field

from sluicegate.base.model import Model
from sluicegate.base.networks import Network


class TenantPolicy(Model):
    """The rules of one tenant. They only narrow what the installation's settings allow."""

    addresses: tuple[Network, ...] = Field(default=(), max_length=100)
    """Networks from which the tenant's people and keys may come; from anywhere when empty."""
    key_days: int | None = Field(default=None, ge=1, le=3650)
    """Days that an API key lives at the most; the installation's limit when left out."""
    key_proof: bool = False
    """Whether an API key is exchanged only together with a DPoP proof (RFC 9449)."""
