"""Settings of the seals: what the root key of an installation is sealed by."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model
from sluicegate.base.secret import SecretText

SealKind = Literal["file", "passphrase", "shamir", "transit", "aws-kms"]
_URL = r"^(https://[^\s/?#@]+)?$"


class Passphrase(Model):
    """Cost of Argon2id for a passphrase that seals the root key, kept with it; for what is sealed from now on."""

    memory: int = Field(default=256 * 1024, ge=19456, le=1024 * 1024)
    """KiB."""
    rounds: int = Field(default=4, ge=2, le=16)
    """Passes."""


class Shamir(Model):
    """Shares that people hold; for what is sealed from now on."""

    shares: int = Field(default=5, ge=2, le=32)
    """Shares that are made."""
    threshold: int = Field(default=3, ge=2, le=32)
    """Shares that open together."""

    @model_validator(mode="after")
    def _check(self) -> Shamir:
        if self.threshold > self.shares:
            raise Misfit("threshold is at most as many as shares")
        return self


class Transit(Model):
    """OpenBao or Vault, whose transit engine seals the root key."""

    url: str = Field(default="", max_length=254, pattern=_URL)
    """Address (``https://host:8200``). Being named here grants the way to it."""
    ca: Path | None = None
    """Certificates (PEM) to trust for it instead of the system's."""
    mount: str = Field(default="transit", max_length=128, pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")
    """Where the engine is mounted."""
    key: str = Field(default="sluicegate", max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")
    """Name of the key there: one for this installation alone."""
    namespace: str = Field(default="", max_length=254, pattern=r"^[A-Za-z0-9_./-]*$")
    """Namespace, when there are any."""
    token: SecretText = Field(default_factory=lambda: SecretText(""))
    """Token that may encrypt and decrypt with the key, and nothing else; better ``{file = "/path"}``."""


class Kms(Model):
    """The key of AWS KMS that seals the root key."""

    region: str = Field(default="", max_length=64, pattern=r"^[a-z0-9-]*$")
    """Region."""
    key: str = Field(default="", max_length=254, pattern=r"^[A-Za-z0-9:/_-]*$")
    """Id, ARN or alias (``alias/name``) of a symmetric key: one for this installation alone."""
    endpoint: str = Field(default="", max_length=254, pattern=_URL)
    """Another address than the region's, such as a VPC endpoint. Being named here grants the way to it."""
    ca: Path | None = None
    """Certificates (PEM) to trust for it instead of the system's."""
    access_key: str = Field(default="", max_length=128, pattern=r"^[A-Za-z0-9]*$")
    """Access key id of a user that may encrypt and decrypt with the key, and nothing else."""
    secret_key: SecretText = Field(default_factory=lambda: SecretText(""))
    """Its secret; better ``{file = "/path"}``."""
    session_token: SecretText = Field(default_factory=lambda: SecretText(""))
    """Token that goes with temporary credentials; better ``{file = "/path"}``."""
