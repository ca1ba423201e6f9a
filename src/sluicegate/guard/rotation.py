"""Keys of the vault are replaced in the background while everybody works; what is cut off goes on at the next start."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import SluiceError
from sluicegate.base.principal import Principal, Role, Via

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.guard.audit import Audit
    from sluicegate.guard.keyring import Keyring
    from sluicegate.guard.vault import Vault
    from sluicegate.store.scope import Scope, System

EVERY: Final = 600.0
"""Seconds between two looks whether another node has left something undone."""
_log = logging.getLogger(__name__)


class Rotation:
    """Brings what is wrapped by an old key under the newest one, and destroys the old one."""

    def __init__(self, vault: Vault, ring: Keyring, system: System, audit: Audit) -> None:
        """Do nothing before ``open``."""
        self._vault, self._ring, self._system, self._audit = vault, ring, system, audit
        self._due, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.on_done: Callable[[], None] = lambda: None
        """Called when all that was due has been done."""

    def renew_tenant(self, scope: Scope) -> int:
        """Make a new key for a tenant and return its version; the rest follows. Raises ``Conflict``."""
        made = self._vault.renew(scope)
        self._due.set()
        return made

    def renew_installation(self, also: Callable[[], object] = lambda: None) -> int:
        """Make a new vault key and return its version; the tenants' keys follow. ``also`` as ``Keyring.add``."""
        made = self._ring.add(also)
        self._due.set()
        return made

    def open(self) -> None:
        """Take up what is undone, and what comes, until ``close``."""
        self._stop.clear()
        self._due.set()
        self._thread = threading.Thread(target=self._follow, name="rotation", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End after the batch that is under way."""
        self._stop.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join(10)

    def sweep(self) -> None:
        """Do all that is due now. Raises what went wrong last; one tenant's trouble holds up no other's."""
        trouble: SluiceError | None = None
        for tenant in self._system.tenants().list():
            try:
                self._tend(self._scope(tenant.id))
            except SluiceError as fault:
                trouble = fault
            if self._stop.is_set():
                return
        if len(self._ring.versions) > 1:
            self._ring.drop(self._used, self._certify)
        if trouble is not None:
            raise trouble

    def _tend(self, scope: Scope) -> None:
        last: str | None = ""
        while last is not None and not self._stop.is_set():
            last = self._vault.rewrap(scope, after=last)
        if not self._stop.is_set():
            self._vault.retire(scope)
            self._vault.raise_up(scope)

    def _certify(self, version: int) -> None:
        told = {
            "kind": "vault-key-destruction", "vault_key": version, "replaced_by": self._ring.newest,
            "destroyed": clock.iso(clock.system()),
        }  # fmt: skip
        self._audit.event("vault.retire", None, None, "ok", self._vault.certify(told))

    def _used(self) -> frozenset[int]:
        """Return the versions of the vault keys that a tenant's key is under."""
        return frozenset(
            each.above
            for tenant in self._system.tenants().list()
            for each in self._scope(tenant.id).secrets().tenant_keys()
        )

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._due.wait(EVERY)
            if self._stop.is_set():
                return
            self._due.clear()
            try:
                self.sweep()
                self.on_done()
            except Exception as fault:  # noqa: BLE001 - a thread that ends would leave keys as they are, unnoticed
                _log.error("keys of the vault could not be replaced; it is tried again: %s", type(fault).__name__)
                self._stop.wait(5)
                self._due.set()

    def _scope(self, tenant: str) -> Scope:
        from sluicegate.store.scope import Scope as Opened

        return Opened(self._system.database, tenant, Principal("system", tenant, Role.API_USER, Via.SYSTEM))
