"""The seal of an installation that is open: how it stands, and replacing it while everybody works.

A new seal means a new root key: it is sealed anew and kept beside the old one, the keyring is put under it in one
transaction, and then the old one is destroyed. Shares are handed out before anything changes, and must be brought back:
nothing is sealed by what nobody has written down. Cut off anywhere, the next start finishes it or undoes it. Other
servers of the same store are handed the new key (``nodes.py``), or they stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Corrupt, Denied, Invalid, SluiceError, Unavailable
from sluicegate.crypto.keys import Key, new_key
from sluicegate.guard import seals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.base.secret import Secret
    from sluicegate.base.settings import Settings
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.keyring import Keyring
    from sluicegate.guard.nodes import Nodes
    from sluicegate.guard.sealfile import SealFile
    from sluicegate.guard.vault import Vault
    from sluicegate.store.scope import System

ACTION: Final = "seal.retire"
_OWED: Final = "seal-owed"
_LATER: Final = "seal-owed-later"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the seal stands."""

    kind: str
    root: str
    """Name of the root key."""
    made: str
    """When it was sealed; empty for a key file, which does not say."""
    set: str
    """Name of the set of shares."""
    shares: int
    threshold: int
    pending: bool
    """Whether shares have been handed out that nobody has brought back yet."""
    others: tuple[str, ...]
    """Machines of the other servers that share the store, as far as they are there."""


class Sealing:
    """Replaces the root key and what it is sealed by."""

    def __init__(
        self,
        settings: Settings,
        system: System,
        ring: Keyring,
        vault: Vault,
        audit: Audit,
        file: SealFile,
        nodes: Nodes,
    ) -> None:
        """Hold what is open."""
        self._settings, self._system, self._ring, self._vault = settings, system, ring, vault
        self._audit, self._file, self._nodes = audit, file, nodes
        self._lock = threading.Lock()
        self.on_close: Callable[[], None] | None = None
        """Stops this server and starts it anew, sealed; set by who serves."""
        self.on_lost: Callable[[SluiceError], None] | None = None
        """Stops this server, which has not got the root key any more; set by who serves."""
        nodes.on_moved = self.follow

    def standing(self) -> Standing:
        """Return how the seal stands."""
        state = self._file.read()
        counts = int(state.get("shares", 0)), int(state.get("threshold", 0))
        return Standing(
            state["seal"],
            state["root"],
            str(state["made"]),
            str(state.get("set", "")),
            *counts,
            self._file.pending() is not None,
            self._nodes.others(),
        )

    def begin(self, kind: str, passphrase: Secret | None) -> tuple[Secret, ...]:
        """Seal by ``kind``, or hand out the shares that ``confirm`` wants back first.

        Raises ``Invalid`` when the settings want another kind, ``Unavailable`` when a service does not answer.
        """
        pinned = self._settings.vault.seal
        if pinned not in (None, kind):
            raise Invalid(
                f"vault.seal is {pinned}: this installation starts with no other seal",
                where="sluice.toml",
                hint="Take the line out, and restart, before another seal takes its place.",
            )
        if (passphrase is None) != (kind != "passphrase"):
            raise Invalid("a passphrase goes with the seal passphrase, and with no other")
        with self._changing():
            root = new_key()
            made = seals.find(kind, self._settings).make(root, passphrase)
            self._file.begin({**made.state, "before": self._ring.root})
            if not made.shares:
                self._finish(root)
            return made.shares

    def confirm(self, given: Sequence[Secret]) -> None:
        """Seal by the shares that were handed out. Raises ``Denied`` when these do not open what they should."""
        with self._changing():
            state = self._file.pending()
            if state is None:
                raise Conflict(
                    "No shares have been handed out.",
                    hint="Ask the server that handed them out, or begin anew: sluice seal change --to shamir",
                )
            seal = seals.find(state["seal"], self._settings)
            for each in given:
                seal.accept(state, each)
            try:
                root = seal.open(state, given)
            except Corrupt:
                raise Denied("These shares do not open what they were made for.", hint="Nothing has changed.") from None
            self._finish(root)

    def renew(self, *, alone: bool = False) -> str:
        """Replace the root key under the same seal and return its name: no share or passphrase changes.

        What older copies of the store hold opens no more, but with the keyring of today. ``alone``: no other server is
        handed the new key, so they all stop.
        """
        with self._changing():
            state, root = self._file.read(), new_key()
            kept = seals.find(state["seal"], self._settings).renew(state, self._ring.opener, root)
            self._file.begin({**kept, "before": self._ring.root})
            self._finish(root, alone=alone)
            return self._ring.root

    def owe(self, *, later: bool = False) -> None:
        """Put on record that the root key must be replaced: within the transaction of what asks for it.

        ``later``: once there is one vault key only, so that what was under the others is not on the ring any more.
        """
        self._system.blobs().put(_LATER if later else _OWED, b"owed")

    def tend(self) -> None:
        """Replace the root key when that is owed; keep a copy of the keyring up to date."""
        with self._changing():
            pass
        owed = self._system.blobs().get(_OWED) is not None
        if owed or (self._left and self._system.blobs().get(_LATER) is not None):
            self.renew()
        self._file.keep_ring(self._ring.blob())

    @property
    def _left(self) -> bool:
        return len(self._ring.versions) == 1

    def follow(self) -> None:
        """Take up that another server has replaced the root key: its seal is this home's, too. ``Unavailable``."""
        with self._changing():
            pass

    def hear(self, what: str) -> None:
        """Take up what another server says of the seal (``Marks.seal_changed``)."""
        if what == "root":
            self._nodes.wake()
        elif self.on_close is not None and seals.find(self._file.read()["seal"], self._settings).people:
            self.on_close()

    def close(self) -> None:
        """Stop all servers of the store and start them sealed. ``Conflict`` when their seal would open by itself."""
        kind = self._file.read()["seal"]
        if not seals.find(kind, self._settings).people:
            raise Conflict(f"The seal {kind} opens by itself.", hint="Stop the server instead.")
        if self.on_close is None:
            raise Conflict("This server was not started by sluice serve.")
        try:
            self._system.marks().seal_changed("close")
        finally:
            self.on_close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Change the seal alone, also of servers that share the home, and only from where it stands now."""
        with self._lock, self._file.held():
            self._finish_last()
            self._catch_up()
            yield

    def _catch_up(self) -> None:
        """Take the root key that the store is under, and its seal, when another server has replaced them."""
        try:
            self._ring.reload()
        except Unavailable as fault:
            if self._ring.moved and self.on_lost is not None:
                self.on_lost(fault)
            raise
        self._vault.forget()
        taken = self._nodes.taken
        if taken is None or self._ring.moved:  # another thread is about to take it up: ``Nodes`` comes back to it
            return
        if self._file.read()["root"] != taken.state["root"] == self._ring.root:
            self._file.begin(dict(taken.state))
            self._file.settle(self._ring.root)
            self._file.keep_ring(self._ring.blob())
        self._nodes.taken = None  # not before it is in its place: it is had nowhere else

    def _finish(self, root: Key, *, alone: bool = False) -> None:
        state, handed = self._file.pending() or {}, list[str]()

        def also() -> None:
            self._system.blobs().take(_OWED)
            if self._left:
                self._system.blobs().take(_LATER)
            if alone:
                self._nodes.withdraw()
            else:
                handed.extend(self._nodes.hand(root, state))
            self._system.marks().seal_changed("root")

        self._settle(self._ring.reseal(root, also), str(state["root"]), handed)

    def _settle(self, before: str, after: str, handed: Sequence[str] | None = None) -> None:
        """Put the seal that the store is under into place."""
        self._system.database.flush()  # the old root key is destroyed: what is under the new one must be on the disk
        self._file.settle(self._ring.root)
        self._file.keep_ring(self._ring.blob())
        certify(self._vault, self._audit, before, after, self._file.read(), handed)

    def _finish_last(self) -> None:
        """Finish a change that the store has taken and the file has not: what is begun next would drop its only key."""
        state = self._file.pending()
        if state is not None and state["root"] == self._ring.root:
            self._settle(str(state.get("before")), self._ring.root)


def certify(
    vault: Vault,
    audit: Audit,
    before: str,
    after: str,
    state: Mapping[str, Any],
    handed: Sequence[str] | None = None,
) -> None:
    """Put a signed certificate on record that a root key was destroyed, and to whose servers the new one was handed."""
    told: dict[str, Any] = {
        "kind": "root-key-destruction", "root": before, "replaced_by": after, "seal": state["seal"],
        "destroyed": clock.iso(clock.system()),
    }  # fmt: skip
    if handed:
        told["handed_to"] = list(handed)
    audit.event(ACTION, None, None, "ok", vault.certify(told))
