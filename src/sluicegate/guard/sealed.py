"""The gate of a server that is sealed: it takes shares or a passphrase, and knows nothing else to be asked.

Nothing tells a wrong share from a right one before enough are there; then all are right, or all are forgotten. What is
given is held in memory only, for a quarter of an hour at the most. Tries are slowed, logged, and put into the audit
trail once it can be written.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Denied, Invalid, Sealed, Throttled
from sluicegate.base.log import Log
from sluicegate.base.networks import networks, within
from sluicegate.guard import seals
from sluicegate.guard.limits import Backoff, Limits, Rates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.base.principal import Peer
    from sluicegate.base.secret import Secret
    from sluicegate.base.settings import Settings
    from sluicegate.crypto.keys import Key
    from sluicegate.guard.audit import Audit

KEPT: Final = 900.0
"""Seconds for which shares wait for the others."""
FREE: Final = 3
"""Failures before each costs a longer wait than the one before."""
TOLD: Final = 1000
"""Tries that are remembered for the audit trail; the log has them all."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    kind: str
    given: int
    needed: int
    set: str
    """Name of the set of shares that is asked for."""


@dataclass(frozen=True, slots=True)
class _Try:
    at: str
    peer: Peer
    result: str


class Gate:
    """What a sealed server lets in."""

    def __init__(
        self,
        settings: Settings,
        state: Mapping[str, Any],
        enter: Callable[[Key], None],
        now: clock.Clock = clock.system,
    ) -> None:
        """``enter`` opens the installation with its root key."""
        self._state, self._enter, self._now = state, enter, now
        self._seal = seals.find(state["seal"], settings)
        self._addresses = networks(settings.server.addresses)
        given = settings.limits
        self._limits = Limits(Rates(address=given.requests, public=given.public), now)
        self._failures = Backoff(FREE, now=now)
        self._given: dict[str, Secret] = {}
        self._last = 0.0
        self._tries: deque[_Try] = deque(maxlen=TOLD)
        self._log = Log()
        self._lock = threading.Lock()
        self.open = False

    def admit(self, peer: Peer, *, knocks: bool) -> None:
        """Count one request. Raises ``Throttled``, or ``Denied`` for an address that is not on the list."""
        self._limits.admit(peer, knocks=knocks)
        if self._addresses and not within(peer.address, self._addresses):
            raise Denied("This is not allowed from your address.", hint="Come from a network on the list.")

    def progress(self) -> Progress:
        """Return how many have given theirs."""
        with self._lock:
            self._forget_old()
            return Progress(
                self._seal.kind, len(self._given), self._seal.needed(self._state), str(self._state.get("set", ""))
            )

    def give(self, given: Secret, peer: Peer) -> bool:
        """Take what one person brings, and tell whether the server is open now.

        Raises ``Invalid`` for what can be no share of this seal, ``Denied`` when what is there does not open it,
        ``Throttled``, and what keeps an installation from starting.
        """
        with self._lock:
            if self.open:
                return True
            wait = self._failures.wait("")
            if wait:
                raise Throttled("Too many tries.", after=wait)
            self._forget_old()
            try:
                place = self._seal.accept(self._state, given)
            except Invalid as fault:
                self._note(peer, fault.code)
                raise
            self._given[place], self._last = given, self._now()
            if len(self._given) < self._seal.needed(self._state):
                self._note(peer, "given")
                return False
            try:
                root = self._seal.open(self._state, tuple(self._given.values()))
            except Corrupt:
                self._failures.count("")
                self._note(peer, "refused")
                raise Denied("What was given does not open the seal.", hint="Begin again: nothing was kept.") from None
            finally:
                self._given.clear()
            self._note(peer, "opened")
            self._enter(root)
            self.open = True
            return True

    def report(self, audit: Audit) -> None:
        """Put on record what was tried."""
        while self._tries:
            each = self._tries.popleft()
            audit.event("seal.open", None, each.peer, each.result, {"at": each.at, "seal": self._seal.kind})

    def _forget_old(self) -> None:
        if self._given and self._now() - self._last > KEPT:
            self._given.clear()

    def _note(self, peer: Peer, result: str) -> None:
        self._tries.append(_Try(clock.iso(self._now()), peer, result))
        level = "info" if result in ("given", "opened") else "warning"
        self._log("The seal was tried.", level=level, action="seal.open", peer=peer.address, request=peer.request,
                  code=result)  # fmt: skip


def refuse() -> Sealed:
    """Return what everything else is answered with."""
    return Sealed(
        "This server is sealed: its keys are not there yet.",
        hint="Whoever holds a share or the passphrase runs: sluice unseal",
    )
