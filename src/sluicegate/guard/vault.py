"""Where secrets are kept: root key → tenant key → record key → field, 512 bits each.

The API can put a secret and never reads one back. Only ``use`` decrypts; only the worker asks, for one run.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sluicegate.base.errors import Denied, Missing
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope, opaque
from sluicegate.crypto.keys import Key, derive, new_key

if TYPE_CHECKING:
    from sluicegate.guard.audit import Audit
    from sluicegate.store.scope import Scope

SECRET_MAX = 64 * 1024
RESERVED = "sluicegate-"
"""Secrets of the product itself: users neither see nor set them."""
_SUITE = "S1"
_FIELD = "value"


class Vault:
    """Encrypts on the way in, decrypts for a use that is on record."""

    def __init__(self, root: Key, audit: Audit) -> None:
        """Hold the key that wraps tenant keys and the one that makes fingerprints."""
        self._root = derive(root, "vault")
        self._prints = derive(root, "vault-fingerprint")
        self._audit = audit
        self._tenants: dict[str, tuple[int, Key]] = {}
        self._lock = threading.Lock()

    def put(self, scope: Scope, name: str, value: Secret) -> int:
        """Keep ``value`` under ``name`` and return its version. The value before is gone."""
        kek_version, kek = self._tenant_key(scope)
        secrets = scope.secrets()
        version = secrets.next_version(name)
        record = new_key()
        wrapped = envelope.wrap(kek, record, self._aad(scope, name, version, kek_version))
        sealed = envelope.encrypt(
            record, value.reveal().encode(), (*self._aad(scope, name, version, kek_version), _FIELD)
        )
        print_ = self._fingerprint(scope, name, version, wrapped + sealed)
        return secrets.put(name, wrapped, sealed, print_, version=version)

    def use(self, scope: Scope, name: str, *, purpose: str) -> Secret:
        """Return the secret for a use, on record before it is decrypted. Raises ``Missing`` or ``Corrupt``."""
        stored = scope.secrets().get(name)
        self._audit.event("secret.use", scope.who, None, "ok", {"name": name, "purpose": purpose}, tenant=scope.tenant)
        kek_version, kek = self._tenant_key(scope)
        aad = self._aad(scope, name, stored.version, kek_version)
        record = envelope.unwrap(kek, stored.wrapped, aad)
        return Secret(envelope.decrypt(record, stored.ciphertext, (*aad, _FIELD)).decode())

    def _fingerprint(self, scope: Scope, name: str, version: int, sealed: bytes) -> str:
        """Return a short keyed print of a record: another one each time it is set.

        It is taken of what is sealed, whose record key and random part are its salt, never of the secret: an equal
        secret under another name must not look equal, or whoever may set secrets could try guesses.
        """
        told = "\n".join((name, str(version), sealed.hex()))
        return opaque.digest(derive(self._prints, scope.tenant), told).hex()[:16]

    def clear(self, scope: Scope, names: frozenset[str]) -> tuple[str, ...]:
        """Delete secrets because the connection that names them leads elsewhere now (SEC-V08). Return those deleted."""
        gone = []
        for name in sorted(names):
            try:
                scope.secrets().delete(name)
            except Missing:
                continue
            self._audit.event("secret.clear", scope.who, None, "ok", {"name": name}, tenant=scope.tenant)
            gone.append(name)
        return tuple(gone)

    def _tenant_key(self, scope: Scope) -> tuple[int, Key]:
        held = self._tenants.get(scope.tenant)
        if held is not None:
            return held
        with self._lock:
            stored = scope.secrets().tenant_key()
            if stored is None:
                scope.secrets().put_tenant_key(
                    1, envelope.wrap(self._root, new_key(), self._tenant_aad(scope.tenant, 1))
                )
                stored = scope.secrets().tenant_key()
            if stored is None:
                raise Denied("The tenant's key cannot be made.")
            version, wrapped = stored
            held = (version, envelope.unwrap(self._root, wrapped, self._tenant_aad(scope.tenant, version)))
            self._tenants[scope.tenant] = held
        return held

    @staticmethod
    def _tenant_aad(tenant: str, version: int) -> tuple[str, ...]:
        return (_SUITE, "tenant-key", tenant, str(version))

    @staticmethod
    def _aad(scope: Scope, name: str, version: int, kek: int) -> tuple[str, ...]:
        return (_SUITE, "secret", scope.tenant, name, str(version), str(kek))
