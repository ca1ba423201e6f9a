"""Where secrets are kept: vault key → tenant key → record key → field, 512 bits each; the root key opens the keyring.

The API can put a secret and never reads one back. Only ``find`` decrypts; only the worker asks, for one run. Each key
is wrapped by the one above it, so replacing one means wrapping what is right below it anew: no secret is opened for it.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Corrupt, Missing
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope, opaque
from sluicegate.crypto.keys import Key, derive, new_key
from sluicegate.crypto.signing import Signer
from sluicegate.kit.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.guard.audit import Audit
    from sluicegate.guard.keyring import Keyring
    from sluicegate.store.scope import Scope
    from sluicegate.store.secrets import Rewrapped, StoredKey, StoredSecret

SECRET_MAX = 64 * 1024
RESERVED = "sluicegate-"
"""Secrets of the product itself: users neither see nor set them."""
MASKING: Final = RESERVED + "mask-"
"""Masking keys lie under this and their name: no connection and no seal can name one, and nobody sees one."""
BATCH: Final = 500
"""Secrets that are put under another key in one transaction."""
_FIELD, _LINK = "value", "link"
_SUITES: Final = {"S1": envelope.S1, "S2": envelope.S2}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tenant's keys stand."""

    key: int
    """Version of the newest key; 0 before there is one."""
    made: float
    under: dict[int, int]
    """Secrets by the version of the key they are under."""


@dataclass(frozen=True, slots=True)
class Link:
    """A secret that is kept elsewhere."""

    reference: Reference
    source: str
    """Digest of the connection that it comes from, as it was when it was linked; empty for what is built in."""
    version: int = 0


class Vault:
    """Encrypts on the way in, decrypts for a use that is on record."""

    def __init__(self, ring: Keyring, audit: Audit, suite: str = "S1") -> None:
        """Hold the ring, and derive what makes fingerprints and signs certificates. ``suite`` is for what is new."""
        self._ring, self._audit, self._suite = ring, audit, _SUITES[suite]
        self._prints = derive(ring.main, "vault-fingerprint")
        self._signer = Signer(derive(ring.main, "vault-certificate"))
        self._held: dict[tuple[str, StoredKey], Key] = {}
        self._told: set[tuple[str, Rewrapped]] = set()
        self._lock = threading.Lock()

    def put(self, scope: Scope, name: str, value: Secret) -> int:
        """Keep ``value`` under ``name`` and return its version. The value before is gone."""
        return self._put(scope, name, _FIELD, value.reveal())

    def link(self, scope: Scope, name: str, link: Link) -> int:
        """Keep under ``name`` where the secret is kept, and return its version. The value before is gone.

        It is sealed as values are: whoever can write to the store alone leads no secret elsewhere.
        """
        told = json.dumps([str(link.reference), link.source])
        return self._put(scope, name, _LINK, told, str(link.reference))

    def _put(self, scope: Scope, name: str, field: str, plain: str, reference: str = "") -> int:
        secrets = scope.secrets()
        with scope.transaction():
            version = secrets.next_version(name)  # from here on nobody else sets a secret, or replaces a key
            under, above = self._newest(scope)
            record, aad = new_key(), self._aad(scope, name, version)
            wrapped = envelope.wrap(above, record, (*aad, str(under)), self._suite)
            sealed = envelope.encrypt(record, plain.encode(), (*aad, field), self._suite)
            print_ = self._fingerprint(scope, name, version, wrapped + sealed)
            return secrets.put(name, wrapped, sealed, print_, key=under, version=version, reference=reference)

    def use(self, scope: Scope, name: str, *, purpose: str) -> Secret:
        """Return a secret that is kept here for a use, as ``find``; ``Corrupt`` when it is kept elsewhere."""
        found = self.find(scope, name, purpose=purpose)
        if isinstance(found, Link):
            raise Corrupt
        return found

    def find(self, scope: Scope, name: str, *, purpose: str) -> Secret | Link:
        """Return the secret, or where it is kept, for a use, on record before it is decrypted.

        Raises ``Missing`` or ``Corrupt``.
        """
        stored = scope.secrets().get(name)
        about = {"name": name, "purpose": purpose} | ({"source": stored.reference} if stored.reference else {})
        self._audit.event("secret.use", scope.who, None, "ok", about, tenant=scope.tenant)
        stored, plain = self._open(scope, stored)
        if not stored.reference:
            return Secret(plain)
        reference, source = json.loads(plain)
        if reference != stored.reference:  # what is on record is where it goes
            raise Corrupt
        return Link(Reference.parse(reference), source, stored.version)

    def put_once(self, scope: Scope, name: str, make: Callable[[], Secret]) -> None:
        """Keep what ``make`` gives, unless there is something under ``name``: of many callers one makes it."""
        with scope.transaction():
            scope.secrets().hold()
            try:
                scope.secrets().get(name)
            except Missing:
                self.put(scope, name, make())

    def own_key(self, scope: Scope, name: str) -> Key:
        """Return a key of the product's own; it opens nothing that users have put, so its uses are not on record.

        Raises ``Missing`` or ``Corrupt``, and ``ValueError`` for a name that users may set.
        """
        if not name.startswith(RESERVED):
            raise ValueError(name)
        return Key(base64.b64decode(self._open(scope, scope.secrets().get(name))[1]))

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

    # -- keys are replaced ---------------------------------------------------------------------------------------------

    @property
    def public(self) -> str:
        """The key that certificates are checked with, PEM."""
        return self._signer.public

    def standing(self, scope: Scope) -> Standing:
        """Return how the tenant's keys stand."""
        keys = scope.secrets().tenant_keys()
        newest = keys[-1] if keys else None
        return Standing(newest.version if newest else 0, newest.made if newest else 0.0, scope.secrets().under())

    def renew(self, scope: Scope) -> int:
        """Make a new key for the tenant and return its version. Raises ``Conflict`` while one is still being left."""
        secrets = scope.secrets()
        with scope.transaction():
            secrets.hold()
            version, _ = self._newest(scope)
            if len(secrets.tenant_keys()) > 1:
                raise Conflict(
                    "Secrets are still on their way from the key before.",
                    hint="Wait; one that does not verify must be set anew (audit trail: vault.rewrap).",
                )
            self._add(scope, version + 1)
        return version + 1

    def rewrap(self, scope: Scope, most: int = BATCH, after: str = "") -> str | None:
        """Put up to ``most`` secrets, by name from ``after`` on, under the tenant's newest key.

        Return the last name that was looked at, ``None`` when there is no more. Record keys are unwrapped and wrapped;
        no secret is opened. It may be cut off anywhere and begun again. A secret that does not verify stays as it is,
        on record, and so does the key that it says it is under.
        """
        secrets = scope.secrets()
        keys = secrets.tenant_keys()
        if len(keys) < 2:  # noqa: PLR2004 - one key: there is nothing to leave
            return None
        newest = keys[-1].version
        own = self._key(scope, keys[-1])
        moves = {
            each.version: envelope.Rewrap(self._key(scope, each), own, str(each.version), str(newest), self._suite)
            for each in keys[:-1]
        }
        found, made = secrets.elsewhere(newest, most, after), []
        for each in found:
            try:
                move = moves.get(each.key, _move_nothing)
                made.append(each._replace(wrapped=move(each.wrapped, self._aad(scope, each.name, each.version))))
            except Corrupt:
                if (scope.tenant, each) not in self._told:
                    self._told.add((scope.tenant, each))
                    told = {"name": each.name, "version": each.version, "key": each.key}
                    self._audit.event("vault.rewrap", scope.who, None, "corrupt", told, tenant=scope.tenant)
        if made:
            secrets.rewrap(made, newest)
        return found[-1].name if found else None

    def retire(self, scope: Scope) -> list[dict[str, Any]]:
        """Destroy the tenant's keys that nothing is under any more, and return a signed certificate of each."""
        secrets, made = scope.secrets(), []
        under = secrets.under()
        for each in [key for key in secrets.tenant_keys()[:-1] if key.version not in under]:
            told = {
                "kind": "key-destruction", "tenant": scope.tenant, "key": each.version,
                "made": clock.iso(each.made) if each.made else None,
                "destroyed": clock.iso(clock.system()), "print": opaque.digest(self._prints, each.wrapped.hex()).hex(),
            }  # fmt: skip
            with scope.transaction():
                if not secrets.drop_tenant_key(each.version):
                    continue
                signed = self.certify(told)
                self._audit.event("vault.retire", scope.who, None, "ok", signed, tenant=scope.tenant)
            with self._lock:
                self._held.pop((scope.tenant, each), None)
            made.append(signed)
        return made

    def shred(self, scope: Scope) -> dict[str, Any]:
        """Destroy all keys and secrets of a tenant and return a signed certificate.

        What older copies of the store hold opens no more once the root key is replaced, too (``Sealing.renew``).
        """
        secrets = scope.secrets()
        with scope.transaction():
            secrets.hold()
            keys, names = secrets.tenant_keys(), [each.name for each in secrets.list()]
            for name in names:
                secrets.delete(name)
            for each in keys:
                secrets.drop_tenant_key(each.version)
            self._ring.shred(scope.tenant)
            told = {
                "kind": "tenant-shredding", "tenant": scope.tenant, "keys": [each.version for each in keys],
                "secrets": len(names), "destroyed": clock.iso(clock.system()),
            }  # fmt: skip
            signed = self.certify(told)
            self._audit.event("vault.shred", scope.who, None, "ok", signed, tenant=scope.tenant)
        self.forget()
        return signed

    def forget(self) -> None:
        """Forget keys of tenants that have none on the ring: they were shredded, here or by another server."""
        with self._lock:
            for kept in [each for each in self._held if each[0] not in self._ring.tenants]:
                del self._held[kept]

    def certify(self, told: dict[str, Any]) -> dict[str, Any]:
        """Return ``told`` with the installation's signature."""
        return {**told, "signature": self._signer.sign(canonical(told))}

    def raise_up(self, scope: Scope) -> None:
        """Put the tenant's keys under the newest vault key."""
        if all(each.above == self._ring.newest for each in scope.secrets().tenant_keys()):
            return
        with scope.transaction(), self._ring.held(scope.tenant) as newest:
            for each in scope.secrets().tenant_keys():
                if each.above < newest:
                    wrapped = self._wrapped(scope, each.version, self._key(scope, each), newest)
                    scope.secrets().rewrap_tenant_key(each.version, wrapped, above=newest)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _open(self, scope: Scope, stored: StoredSecret) -> tuple[StoredSecret, str]:
        """Return a secret as it is now, and what is in it."""
        try:
            record = self._record(scope, stored)
        except Missing:  # it was put under a newer key this moment, and the old one is gone
            stored = scope.secrets().get(stored.name)
            try:
                record = self._record(scope, stored)
            except Missing:
                raise Corrupt from None
        aad = (*self._aad(scope, stored.name, stored.version), _LINK if stored.reference else _FIELD)
        return stored, envelope.decrypt(record, stored.ciphertext, aad).decode()

    def _record(self, scope: Scope, stored: StoredSecret) -> Key:
        """Return a secret's record key. Raises ``Missing`` when the key above it is no longer there."""
        found = next((each for each in scope.secrets().tenant_keys() if each.version == stored.key), None)
        if found is None:
            raise Missing("There is no such key.")
        aad = self._aad(scope, stored.name, stored.version)
        return envelope.unwrap(self._key(scope, found), stored.wrapped, (*aad, str(stored.key)))

    def _newest(self, scope: Scope) -> tuple[int, Key]:
        """Return the tenant's newest key; the first one is made when there is none. Only within a transaction."""
        keys = scope.secrets().tenant_keys()
        if not keys:
            self._add(scope, 1)
            keys = scope.secrets().tenant_keys()
        return keys[-1].version, self._key(scope, keys[-1])

    def _add(self, scope: Scope, version: int) -> None:
        with self._ring.held(scope.tenant) as above:
            scope.secrets().put_tenant_key(version, self._wrapped(scope, version, new_key(), above), above=above)

    def _wrapped(self, scope: Scope, version: int, key: Key, above: int) -> bytes:
        return envelope.wrap(
            self._ring.vault(above, scope.tenant), key, self._key_aad(scope, version, above), self._suite
        )

    def _key(self, scope: Scope, stored: StoredKey) -> Key:
        """Return a key of the tenant; it is kept by all that the store says of it, so that no other is taken for it."""
        held = self._held.get((scope.tenant, stored))
        if held is None:
            aad = self._key_aad(scope, stored.version, stored.above)
            held = envelope.unwrap(self._ring.vault(stored.above, scope.tenant), stored.wrapped, aad)
            with self._lock:
                for old in [
                    each for each in self._held if each[0] == scope.tenant and each[1].version == stored.version
                ]:
                    del self._held[old]
                self._held[scope.tenant, stored] = held
        return held

    def _fingerprint(self, scope: Scope, name: str, version: int, sealed: bytes) -> str:
        """Return a short keyed print of a record: another one each time it is set.

        It is taken of what is sealed, whose record key and random part are its salt, never of the secret: an equal
        secret under another name must not look equal, or whoever may set secrets could try guesses.
        """
        told = "\n".join((name, str(version), sealed.hex()))
        return opaque.digest(derive(self._prints, scope.tenant), told).hex()[:16]

    @staticmethod
    def _key_aad(scope: Scope, version: int, above: int) -> tuple[str, ...]:
        return ("tenant-key", scope.tenant, str(version), str(above))

    @staticmethod
    def _aad(scope: Scope, name: str, version: int) -> tuple[str, ...]:
        return ("secret", scope.tenant, name, str(version))


def _move_nothing(_blob: bytes, _aad: tuple[str, ...]) -> bytes:
    """Stand for a key that is not there: what says that it is under it does not verify."""
    raise Corrupt


def canonical(told: dict[str, Any]) -> bytes:
    """Return what a certificate's signature covers: its other fields as JSON, sorted, without blanks."""
    bare = {key: value for key, value in told.items() if key != "signature"}
    return json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()
