"""Quarantined rows at rest: sealed for a key of the tenant's own that the vault keeps, and gone after their days."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Missing
from sluicegate.base.secret import Secret
from sluicegate.guard.vault import RESERVED

if TYPE_CHECKING:
    from sluicegate.guard.vault import Vault
    from sluicegate.store.scope import Scope

KEY = RESERVED + "quarantine"
"""Name of the key pair in the tenant's vault."""
_DAY = 86400


class Quarantine:
    """The quarantines of all tenants of this node."""

    def __init__(self, folder: Path, days: Callable[[str], float], vault: Vault) -> None:
        """Keep rows in ``folder`` for ``days``, which tells them by tenant."""
        self._base, self._days, self._vault = folder, days, vault

    def folder(self, scope: Scope) -> Path:
        """Return the tenant's folder; it exists then."""
        folder = self._base / scope.tenant
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def recipient(self, scope: Scope) -> str:
        """Return what rows of this tenant are sealed for; the first time, a key pair is made."""
        from sluicegate.crypto import seal

        try:
            _, recipient = self._keys(scope, "quarantine")
        except Missing:
            made, recipient = seal.new_identity()
            self._vault.put(scope, KEY, Secret(json.dumps([made.reveal(), recipient])))
        return recipient

    def read(self, scope: Scope, run: str, limit: int) -> dict[str, Any]:
        """Return the first ``limit`` rows that a run has quarantined, and how many there are."""
        from sluicegate.crypto import seal

        file = self.folder(scope) / f"{run}.ndjson.age"
        if not file.exists():
            return {"items": [], "total": 0}
        identity, _ = self._keys(scope, f"rejects of {run}")
        items: list[dict[str, Any]] = []
        total = 0
        with file.open("rb") as sealed, seal.open_sealed(identity, sealed) as plain:
            for line in plain:
                total += 1
                if len(items) < limit:
                    items.append(json.loads(line))
        return {"items": items, "total": total}

    def lines(self, scope: Scope, run: str) -> Generator[bytes]:
        """Yield all rows that a run has quarantined, a line of JSON each, as they are unsealed."""
        from sluicegate.crypto import seal

        file = self.folder(scope) / f"{run}.ndjson.age"
        if not file.exists():
            return
        identity, _ = self._keys(scope, f"rejects of {run}")
        with file.open("rb") as sealed, seal.open_sealed(identity, sealed) as plain:
            yield from plain

    def sweep(self) -> None:
        """Remove drafts that a crash has left, and rows past their days."""
        sweep_drafts(self._base)
        for folder in sorted(self._base.iterdir()) if self._base.is_dir() else ():
            oldest = time.time() - self._days(folder.name) * _DAY
            for file in folder.glob("*.ndjson.age"):
                if file.stat().st_mtime < oldest:
                    file.unlink(missing_ok=True)

    def _keys(self, scope: Scope, purpose: str) -> tuple[Secret, str]:
        identity, recipient = json.loads(self._vault.use(scope, KEY, purpose=purpose).reveal())
        return Secret(identity), str(recipient)


def sweep_drafts(base: Path) -> None:
    """Remove what a crash has left half-written in the tenants' folders beneath ``base``."""
    from sluicegate.kit.paths import Root

    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        with Root(folder) as root:
            root.sweep()
