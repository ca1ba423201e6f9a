"""The keys from which all others of an installation come, sealed by the root key.

The root key opens this ring and does nothing else. ``main`` is what keys for one purpose are derived from; vault keys
wrap the tenants' keys, and are replaced one after another. Each tenant has a key of its own here, too: a tenant's keys
are wrapped by what comes of both. So a tenant whose key is taken off the ring is gone from every copy of the store,
once no root key is left that opens an older ring (``shred``, then ``reseal``).
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from sluicegate.base.errors import Corrupt, Invalid, Missing, SluiceError, Unavailable
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import Key, derive, join, new_key
from sluicegate.guard.seals.seal import name_of, opener_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sluicegate.store.scope import System

_BLOB: Final = "keyring"
ROOT: Final = "keyring-root"
"""Blob that names the root key which the ring is under; the name tells nothing of the key."""


@dataclass(frozen=True, slots=True)
class _Ring:
    """What is on the ring."""

    main: Key
    vault: Mapping[int, Key]
    tenants: Mapping[str, Key] = field(default_factory=dict)
    plain: int = 0
    """Vault keys up to this version wrap without the tenant's own; what is under them moves to a newer one."""


class Keyring:
    """``main``, the vault keys by their version, and a key of each tenant's own."""

    def __init__(self, root: Key, system: System) -> None:
        """Open the ring, or make it. Raises ``Invalid`` when this root key does not open it."""
        self._take(root)
        self._system = system
        self._lock = threading.Lock()
        self._coming: Key | None = None
        self._open = False
        self.on_moved: Callable[[str], Key | None] = lambda _name: None
        """Asked for the root key of this name when the store has been put under it by another node."""
        self._joined: dict[tuple[int, str], Key] = {}
        if system.blobs().get(_BLOB) is None:
            if system.tenants().list() or system.accounts().list() or system.ledger().head()[0]:
                raise Invalid(
                    "the store holds data and no keyring, so nothing in it can be opened",
                    hint="Restore the store from its backup; none is made anew over what is there.",
                )
            with system.writing():
                if system.blobs().put_if_absent(_BLOB, _sealed(self._seal, _Ring(new_key(), {1: new_key()}))):
                    system.blobs().put(ROOT, self.root.encode())
        self._ring = self._read()
        self._open = True
        if self._ring.plain >= self.newest:
            self.add()

    def _take(self, root: Key) -> None:
        self._seal, self.opener, self.root = derive(root, "keyring"), opener_of(root), name_of(root)

    @property
    def main(self) -> Key:
        """What keys for one purpose are derived from."""
        return self._ring.main

    @property
    def newest(self) -> int:
        """The version of the vault key that wraps what is new."""
        return max(self._ring.vault)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions of the vault keys that there are."""
        return tuple(sorted(self._ring.vault))

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants that have a key on the ring."""
        return frozenset(self._ring.tenants)

    def vault(self, version: int, tenant: str) -> Key:
        """Return what wraps a tenant's keys. Raises ``Corrupt`` when it is not, or no longer, on the ring."""
        made = self._joined.get((version, tenant))
        if made is not None:
            return made
        if not self._has(version, tenant):
            self.reload()  # another node may have made it
            if not self._has(version, tenant):
                raise Corrupt
        ring = self._ring
        key = ring.vault[version]
        made = key if version <= ring.plain else join(key, ring.tenants[tenant], "tenant-above")
        self._joined[version, tenant] = made
        return made

    def reload(self) -> None:
        """Read the ring again."""
        with self._lock:
            self._ring = self._read()
            self._joined.clear()

    def add(self, also: Callable[[], object] = lambda: None) -> int:
        """Make a new vault key and return its version. ``also`` is done in the same transaction."""
        with self._changing() as ring:
            version = max(ring.vault) + 1
            self._write(replace(ring, vault={**ring.vault, version: new_key()}))
            also()
        self.reload()
        return version

    def drop(
        self, used: Callable[[], frozenset[int]], also: Callable[[int], object] = lambda _version: None
    ) -> tuple[int, ...]:
        """Destroy the vault keys that nothing is under, and return their versions; the newest one stays.

        ``used`` tells what is under which; it is asked while nobody puts anything under a vault key (``held``).
        ``also`` is done for each in the same transaction.
        """
        with self._changing() as ring:
            stays = used() | {max(ring.vault)}
            gone = tuple(sorted(ring.vault.keys() - stays))
            if gone:
                self._write(
                    replace(ring, vault={version: key for version, key in ring.vault.items() if version in stays})
                )
            for version in gone:
                also(version)
        self.reload()
        return gone

    @contextmanager
    def held(self, tenant: str) -> Iterator[int]:
        """Give the newest version, as the store has it: no vault key comes or goes until this transaction ends.

        Another node may have replaced the keys: what is put under one must find it there later. The tenant has a key
        of its own on the ring from here on.
        """
        with self._changing() as ring:
            if tenant not in ring.tenants:
                self._write(replace(ring, tenants={**ring.tenants, tenant: new_key()}))
            self.reload()
            yield self.newest

    def blob(self) -> bytes:
        """Return the ring as the store has it. Raises ``Corrupt`` when there is none."""
        blob = self._system.blobs().get(_BLOB)
        if blob is None:
            raise Corrupt
        return blob

    def shred(self, tenant: str) -> None:
        """Take a tenant's own key off the ring: nothing of its secrets opens any more. Raises ``Missing``."""
        with self._changing() as ring:
            if tenant not in ring.tenants:
                raise Missing("This tenant has no keys.")
            self._write(replace(ring, tenants={name: key for name, key in ring.tenants.items() if name != tenant}))
        self.reload()

    def reseal(self, root: Key, also: Callable[[], object] = lambda: None) -> str:
        """Put the ring under another root key, in the store and here: the one before opens nothing from then on.

        ``also`` is done in the same transaction. When that fails, all is as it was. Returns the name of the one before.
        """
        self._coming = root
        try:
            with self._changing() as ring:
                before = self.root
                self._write(ring, derive(root, "keyring"))
                self._system.blobs().put(ROOT, name_of(root).encode())
                also()
            self._take(root)
        finally:
            self._coming = None
        return before

    @contextmanager
    def _changing(self) -> Iterator[_Ring]:
        with self._system.writing() as connection:
            self._system.database.lock(connection, _BLOB)
            yield self._read()

    def _write(self, ring: _Ring, seal: Key | None = None) -> None:
        self._system.blobs().put(_BLOB, _sealed(seal or self._seal, ring))

    def _has(self, version: int, tenant: str) -> bool:
        ring = self._ring
        return version in ring.vault and (version <= ring.plain or tenant in ring.tenants)

    def _read(self) -> _Ring:
        seal = self._seal
        try:
            plain = envelope.decrypt(seal, self.blob(), (_BLOB,))
        except Corrupt:
            if self._seal is seal and not self._follow() and self._seal is seal:  # else another thread has taken it
                raise self._misfit() from None
            return self._read()
        try:
            return _ring(json.loads(plain))
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise Corrupt from None

    def _follow(self) -> bool:
        """Take the root key that the store is under now, when it is another one and can be had; tell whether it is."""
        named = self._named()
        if named in ("", self.root):
            return False
        coming = self._coming  # of this node itself, a moment before it is taken
        root = coming if coming is not None and name_of(coming) == named else self.on_moved(named)
        if root is None or name_of(root) not in (named, self._named()):  # it may have moved once more meanwhile
            return False
        self._take(root)
        return True

    @property
    def moved(self) -> bool:
        """Whether the store says that it is under another root key."""
        return self._named() not in ("", self.root)

    def _named(self) -> str:
        return (self._system.blobs().get(ROOT) or b"").decode("ascii", "replace")

    def _misfit(self) -> SluiceError:
        fault = misfit(self.root, self._named())
        if not self._open:
            return fault
        return Unavailable("This server has not got the root key that the store is under.", hint=fault.hint)


def misfit(root: str, named: str) -> Invalid:
    """Return what a root key is refused with that does not open a store which says that it is under ``named``."""
    hint = "Put the root key that belongs to it into place."
    if named not in ("", root):
        hint = (
            f"The store is under root key {named[:32]}, and this is {root}. Where several servers share a store: copy"
            " root.key or root.seal from the one where the seal was changed. A store from before a change of the"
            " seal needs the keyring of today: sluice seal adopt."
        )
    return Invalid("the root key does not open this store", hint=hint)


def _sealed(seal: Key, ring: _Ring) -> bytes:
    told = {
        "main": _text(ring.main),
        "vault": {str(version): _text(key) for version, key in ring.vault.items()},
        "tenants": {tenant: _text(key) for tenant, key in ring.tenants.items()},
        "plain": ring.plain,
    }
    return envelope.encrypt(seal, json.dumps(told).encode(), (_BLOB,))


def adopt(root: Key, system: System, ring: bytes) -> None:
    """Put ``ring``, a copy from under this root key, into the place of the store's. ``Invalid`` when it is none."""
    try:
        envelope.decrypt(derive(root, "keyring"), ring, (_BLOB,))
    except Corrupt:
        raise Invalid("the copy of the keyring is not under this root key") from None
    with system.writing() as connection:
        system.database.lock(connection, _BLOB)
        system.blobs().put(_BLOB, ring)
        system.blobs().put(ROOT, name_of(root).encode())


def _ring(found: dict[str, Any]) -> _Ring:
    vault = {int(version): _key(raw) for version, raw in found["vault"].items()}
    tenants = {tenant: _key(raw) for tenant, raw in found.get("tenants", {}).items()}
    return _Ring(_key(found["main"]), vault, tenants, int(found.get("plain", max(vault))))


def _key(text: str) -> Key:
    return Key(base64.b64decode(text, validate=True))


def _text(key: Key) -> str:
    return base64.b64encode(key.raw).decode()
