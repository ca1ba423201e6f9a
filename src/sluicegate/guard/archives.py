"""What the installation signs of archives: warrants for the tasks that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.crypto import manifest
from sluicegate.crypto.keys import Key, derive
from sluicegate.crypto.signing import Signer
from sluicegate.guard.vault import RESERVED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.base.secret import Secret

WARRANT = RESERVED + "warrant"
"""Under which name a task finds its warrant among its secrets."""


class Archives:
    """Signs warrants."""

    def __init__(self, root: Key) -> None:
        """Derive the keys."""
        self._signer = Signer(derive(root, "archive-manifest"))
        self._content = derive(root, "archive-content")

    @property
    def public(self) -> str:
        """The key that manifests are checked with, PEM."""
        return self._signer.public

    def warrant(self, tenant: str, claims: Mapping[str, Any]) -> Secret:
        """Return a warrant for a task of a tenant that speaks of what ``claims`` say and of nothing else."""
        return manifest.issue(self._signer, derive(self._content, tenant), {"tenant": tenant, **claims})
