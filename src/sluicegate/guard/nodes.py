"""How a new root key comes to the other servers of a store: handed to each that is there, and good for nobody else.

Each server has an age identity that lives in its memory alone, and says in the store what can be sealed to it. Who
replaces the root key leaves it there, sealed to all of these, in the transaction that puts the keyring under it. So a
copy of the store never holds what opens it: what was handed over opens with identities that end with their processes.
A server that cannot follow stops, and says what to do.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import platform
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.log import Log
from sluicegate.base.model import new_id
from sluicegate.crypto import envelope, opaque
from sluicegate.crypto.keys import Key, derive
from sluicegate.crypto.seal import age

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sluicegate.guard.keyring import Keyring
    from sluicegate.store.scope import System

EVERY: Final = 60.0
"""Seconds between two times that a server says that it is there."""
GONE: Final = 300.0
"""Seconds without a word after which nothing is handed to a server any more."""
_NODES: Final = "nodes"
_HANDED: Final = "root-handed"
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Handed:
    """What a server was handed."""

    root: Key
    state: Mapping[str, Any]
    """The seal's state, for its own home."""


class Nodes:
    """The servers of one store. With SQLite there is one, and nothing to say."""

    def __init__(self, ring: Keyring, system: System, *, shared: bool, now: clock.Clock = clock.system) -> None:
        """``shared``: whether other servers can use the store."""
        self._ring, self._system, self._shared, self._now = ring, system, shared, now
        self._proofs, self._under = derive(ring.main, "node"), derive(ring.main, "root-handed")
        self._id, self._host = new_id(), platform.node()[:64] or "server"
        self._identity, self._recipient = age.new_identity()
        self._due, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.on_moved: Callable[[], None] = lambda: None
        """Called when the store is under another root key; raises ``SluiceError`` when it cannot be followed."""
        self.taken: Handed | None = None
        """What this server was handed last."""
        ring.on_moved = self._take

    # -- being there ---------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Say that this server is there, and forget those that have not for long."""
        self._change(add=True)

    def others(self) -> tuple[str, ...]:
        """Return the names of the machines of the other servers that are there."""
        return tuple(sorted(each["host"] for each in self._known(self._read()) if each["id"] != self._id))

    def open(self) -> None:
        """Be there, and follow the root key, until ``close``."""
        if not self._shared:
            return
        self.announce()
        self._stop.clear()
        self._due.set()
        self._thread = threading.Thread(target=self._tend, name="nodes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be there no more."""
        self._stop.set()
        self._due.set()
        if self._thread is None:
            return
        if self._thread is not threading.current_thread():
            self._thread.join(10)
        self._thread = None
        try:
            self._change(add=False)
        except Exception as fault:  # noqa: BLE001 - it is over anyway; after a while nothing is handed to it
            Log()("A server could not say that it ends.", level="warning", error=type(fault).__name__)

    def wake(self) -> None:
        """Look now: another server has replaced the root key."""
        self._due.set()

    def _tend(self) -> None:
        while not self._stop.is_set():
            self._due.wait(EVERY)
            if self._stop.is_set():
                return
            self._due.clear()
            try:
                if self._ring.moved or self.taken is not None:
                    self.on_moved()
                self.announce()
            except Exception as fault:  # noqa: BLE001 - the thread must not end: it is tried again
                Log()("The root key of the store could not be looked at; it is tried again.", level="warning",
                     error=type(fault).__name__)  # fmt: skip

    def _change(self, *, add: bool) -> None:
        with self._system.writing() as connection:
            self._system.database.lock(connection, _NODES)
            kept = [each for each in self._known(self._read()) if each["id"] != self._id]
            if add:
                mine = {"id": self._id, "host": self._host, "to": self._recipient, "at": self._now()}
                kept = [*kept, {**mine, "proof": self._proof(mine)}]
            self._system.blobs().put(_NODES, json.dumps(kept[-_MOST:]).encode())

    def _read(self) -> list[Any]:
        try:
            found = json.loads(self._system.blobs().get(_NODES) or b"[]")
        except (ValueError, RecursionError):
            return []
        return found if isinstance(found, list) else []

    def _known(self, found: list[Any]) -> list[dict[str, Any]]:
        """Return those who have proved that they hold the main key, and have said so lately."""
        known = []
        for each in found:
            if not isinstance(each, dict) or not all(isinstance(each.get(name), str) for name in _FIELDS):
                continue
            at = each.get("at")
            if not isinstance(at, float) or abs(self._now() - at) > GONE:
                continue
            if opaque.same(self._proof(each).encode(), each["proof"].encode("ascii", "replace")):
                known.append(each)
        return known

    def _proof(self, told: Mapping[str, Any]) -> str:
        return opaque.digest(self._proofs, json.dumps([told["id"], told["host"], told["to"], told["at"]])).hex()

    # -- a new root key ------------------------------------------------------------------------------------------------

    def hand(self, root: Key, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Leave a new root key for the others that are there; return the names of their machines.

        Within the transaction that puts the keyring under it.
        """
        others = [each for each in self._known(self._read()) if each["id"] != self._id] if self._shared else []
        if not others:
            self.withdraw()
            return ()
        told = json.dumps({"root": base64.b64encode(root.raw).decode(), "state": dict(state)}).encode()
        out = io.BytesIO()
        with age.seal_to([each["to"] for each in others], out) as sealer:
            sealer.write(envelope.encrypt(self._under, told, (_HANDED,)))
        self._system.blobs().put(_HANDED, out.getvalue())
        return tuple(sorted(each["host"] for each in others))

    def withdraw(self) -> None:
        """Leave nothing for anybody."""
        self._system.blobs().take(_HANDED)

    def _take(self, _name: str) -> Key | None:
        """Return the root key that was handed over, if it was handed to this server."""
        sealed = self._system.blobs().get(_HANDED)
        if sealed is None:
            return None
        try:
            with age.open_sealed(self._identity, io.BytesIO(sealed)) as stream:
                told = json.loads(envelope.decrypt(self._under, stream.read(), (_HANDED,)))
            root = Key(base64.b64decode(told["root"], validate=True))
            self.taken = Handed(root, told["state"])
        except (Corrupt, Invalid, ValueError, KeyError, TypeError, binascii.Error):
            return None
        return root


_FIELDS: Final = ("id", "host", "to", "proof")
