"""Settings of what a tenant may take from the server's own machine as secrets."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model

_OWN, _SECRETS = "SLUICE_", "SLUICE_SECRET_"


class Source(Model):
    """What one tenant may take as secrets from this machine: nothing, until the operator says so."""

    tenant: str = Field(min_length=1, max_length=254)
    """Name of the tenant. Nobody else's secrets come from here."""
    prefix: str = Field(default="", max_length=128, pattern=r"^([A-Z][A-Z0-9_]*_)?$")
    """Variables of the server's environment that begin with this (``SLUICE_SECRET_ACME_``): ``environment:NAME``."""
    folder: Path | None = None
    """Files beneath this folder (``/run/secrets/acme``): ``file:NAME``."""

    @model_validator(mode="after")
    def _check(self) -> Source:
        if not self.prefix and self.folder is None:
            raise Misfit("give prefix, folder or both")
        if self.prefix.startswith(_OWN) and not (self.prefix.startswith(_SECRETS) and self.prefix != _SECRETS):
            raise Misfit(f"variables that begin with {_OWN} are the product's own, but for {_SECRETS}NAME_")
        if self.folder is not None and (not self.folder.is_absolute() or ".." in self.folder.parts):
            raise Misfit("folder must be an absolute path without ..")
        return self


def check_apart(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """Return ``sources``. Raises ``Misfit`` when two of them overlap: one tenant would have another's secrets."""
    for number, one in enumerate(sources):
        for other in sources[number + 1 :]:
            if one.tenant == other.tenant:
                raise Misfit(f"the tenant {one.tenant!r} stands there twice")
            if one.prefix and other.prefix and _overlap(one.prefix, other.prefix):
                raise Misfit(f"the prefixes of {one.tenant!r} and {other.tenant!r} overlap")
            if one.folder and other.folder and _nested(one.folder, other.folder):
                raise Misfit(f"the folders of {one.tenant!r} and {other.tenant!r} lie in one another")
    return sources


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _nested(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)
