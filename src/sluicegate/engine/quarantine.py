"""Quarantined rows at rest: sealed for keys of the tenant's own that the vault keeps, and gone after their days."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluicegate.base.errors import Missing
from sluicegate.base.secret import Secret
from sluicegate.guard import keeping

if TYPE_CHECKING:
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.vault import Vault
    from sluicegate.store.scope import Scope

WHAT: Final = "quarantine"
"""What the key pairs in the tenant's vault are called by."""
_ENDING: Final = ".ndjson.age"


class Quarantine:
    """The quarantines of all tenants of this node."""

    def __init__(self, folder: Path, vault: Vault, audit: Audit) -> None:
        """Keep rows in ``folder``."""
        self._base, self._vault, self._audit = folder, vault, audit

    def folder(self, scope: Scope) -> Path:
        """Return the tenant's folder; it exists then."""
        folder = self._base / scope.tenant
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def recipient(self, scope: Scope, run: str) -> str:
        """Return what rows of this run are sealed for: a key pair of its week, made the first time."""
        purpose = f"quarantine of {run}"
        try:
            return self._keys(scope, run, purpose)[1]
        except Missing:
            self._vault.put_once(scope, keeping.key_of(WHAT, run), _new)
            return self._keys(scope, run, purpose)[1]

    def read(self, scope: Scope, run: str, limit: int) -> dict[str, Any]:
        """Return the first ``limit`` rows that a run has quarantined, and how many there are."""
        from sluicegate.crypto import seal

        file = self._file(scope, run)
        if not file.exists():
            return {"items": [], "total": 0}
        identity, _ = self._keys(scope, run, f"rejects of {run}")
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

        file = self._file(scope, run)
        if not file.exists():
            return
        identity, _ = self._keys(scope, run, f"rejects of {run}")
        with file.open("rb") as sealed, seal.open_sealed(identity, sealed) as plain:
            yield from plain

    def sweep(self, tenant: str, days: float, now: float) -> None:
        """Remove a tenant's drafts that a crash has left, and rows past their days.

        What a clock that was wrong has dated into the future counts from ``now``: it is kept no longer than the rest.
        """
        folder = self._base / tenant
        if not folder.is_dir():
            return
        _sweep(folder)
        for file in folder.glob(f"*{_ENDING}"):
            kept = file.stat().st_mtime
            if kept < now - days * keeping.DAY:
                file.unlink(missing_ok=True)
            elif kept > now + keeping.DAY:
                os.utime(file, (now, now))

    def destroy(self, scope: Scope, days: float, now: float) -> None:
        """Destroy the keys of weeks past their days, on record. A copy of what was under one opens no more.

        A run may end in the week after it was made, so its key has a week more.
        """
        held = set()
        for file in self.folder(scope).glob(f"*{_ENDING}"):
            with suppress(ValueError):  # no run's
                held.add(keeping.week(file.name.removesuffix(_ENDING)))
        keeping.destroy(scope, WHAT, now - (days + 7) * keeping.DAY, self._audit, held)

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants that have a folder."""
        return tuple(sorted(each.name for each in self._base.iterdir())) if self._base.is_dir() else ()

    def _file(self, scope: Scope, run: str) -> Path:
        return self.folder(scope) / f"{run}{_ENDING}"

    def _keys(self, scope: Scope, run: str, purpose: str) -> tuple[Secret, str]:
        kept = self._vault.use(scope, keeping.key_of(WHAT, run), purpose=purpose)
        identity, recipient = json.loads(kept.reveal())
        return Secret(identity), str(recipient)


def _new() -> Secret:
    from sluicegate.crypto import seal

    made, recipient = seal.new_identity()
    return Secret(json.dumps([made.reveal(), recipient]))


def _sweep(folder: Path) -> None:
    from sluicegate.kit.paths import Root

    with Root(folder) as root:
        root.sweep()


def sweep_drafts(base: Path) -> None:
    """Remove what a crash has left half-written in the tenants' folders beneath ``base``."""
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        _sweep(folder)
