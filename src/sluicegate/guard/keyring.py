"""The keys from which all others of an installation come, sealed by the root key.

The root key opens this ring and does nothing else. ``main`` is what keys for one purpose are derived from; vault keys
wrap the tenants' keys, and are replaced one after another.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import Key, derive, new_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sluicegate.store.scope import System

_BLOB: Final = "keyring"


class Keyring:
    """``main``, and the vault keys by their version."""

    def __init__(self, root: Key, system: System) -> None:
        """Open the ring, or make it. Raises ``Invalid`` when this root key does not open it."""
        self._seal, self._system = derive(root, "keyring"), system
        self._lock = threading.Lock()
        if system.blobs().get(_BLOB) is None:
            if system.tenants().list() or system.accounts().list() or system.ledger().head()[0]:
                raise Invalid(
                    "the store holds data and no keyring, so nothing in it can be opened",
                    hint="Restore the store from its backup; none is made anew over what is there.",
                )
            system.blobs().put_if_absent(_BLOB, self._sealed(new_key(), {1: new_key()}))
        self.main, self._vault = self._read()

    @property
    def newest(self) -> int:
        """The version of the vault key that wraps what is new."""
        return max(self._vault)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions of the vault keys that there are."""
        return tuple(sorted(self._vault))

    def vault(self, version: int) -> Key:
        """Return a vault key. Raises ``Corrupt`` for one that there is not."""
        if version not in self._vault:
            self.reload()  # another node may have made it
        found = self._vault.get(version)
        if found is None:
            raise Corrupt
        return found

    def reload(self) -> None:
        """Read the ring again."""
        with self._lock:
            self.main, self._vault = self._read()

    def add(self) -> int:
        """Make a new vault key and return its version."""
        with self._changing():
            main, vault = self._read()
            version = max(vault) + 1
            self._system.blobs().put(_BLOB, self._sealed(main, {**vault, version: new_key()}))
        self.reload()
        return version

    def drop(self, used: Callable[[], frozenset[int]]) -> tuple[int, ...]:
        """Destroy the vault keys that nothing is under, and return their versions; the newest one stays.

        ``used`` tells what is under which; it is asked while nobody puts anything under a vault key (``held``).
        """
        with self._changing():
            main, vault = self._read()
            stays = used() | {max(vault)}
            gone = tuple(sorted(vault.keys() - stays))
            if gone:
                kept = {version: key for version, key in vault.items() if version in stays}
                self._system.blobs().put(_BLOB, self._sealed(main, kept))
        self.reload()
        return gone

    @contextmanager
    def held(self) -> Iterator[int]:
        """Give the newest version, as the store has it: no vault key comes or goes until this transaction ends.

        Another node may have replaced the keys: what is put under one must find it there later.
        """
        with self._changing():
            self.reload()
            yield self.newest

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._system.writing() as connection:
            self._system.database.lock(connection, _BLOB)
            yield

    def _read(self) -> tuple[Key, dict[int, Key]]:
        blob = self._system.blobs().get(_BLOB)
        if blob is None:
            raise Corrupt
        try:
            found = json.loads(envelope.decrypt(self._seal, blob, (_BLOB,)))
            return _key(found["main"]), {int(version): _key(raw) for version, raw in found["vault"].items()}
        except Corrupt:
            raise Invalid(
                "the root key does not open this store", hint="Put the root key that belongs to it into place."
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise Corrupt from None

    def _sealed(self, main: Key, vault: Mapping[int, Key]) -> bytes:
        told = {"main": _text(main), "vault": {str(version): _text(key) for version, key in vault.items()}}
        return envelope.encrypt(self._seal, json.dumps(told).encode(), (_BLOB,))


def _key(text: str) -> Key:
    return Key(base64.b64decode(text, validate=True))


def _text(key: Key) -> str:
    return base64.b64encode(key.raw).decode()
