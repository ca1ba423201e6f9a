"""The interface of a seal, and what all seals but the key file share: root key ← sealing key ← people or a service.

The root key is wrapped by a *sealing key*, and that is what is split into shares, stands behind a passphrase, or is
given to a service to encrypt. So a service that seals never sees the root key, and a new root key needs no new shares:
the sealing key is wrapped by the root key in turn.
"""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto import envelope, opaque
from sluicegate.crypto.keys import Key, derive, new_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.base.secret import Secret

State = dict[str, Any]
"""What is kept of a seal, in a file of the home and never in the store: plain JSON values."""


@dataclass(frozen=True, slots=True)
class Made:
    """A seal that was made."""

    state: State = field(repr=False)
    shares: tuple[Secret, ...] = ()
    """What people must write down: it is shown once and kept nowhere."""


class Seal(Protocol):
    """One kind of seal."""

    kind: ClassVar[str]
    people: ClassVar[bool]
    """Whether people must open it; else it opens by itself at the start."""

    def make(self, root: Key, given: Secret | None = None) -> Made:
        """Seal ``root``; ``given`` is the passphrase, where there is one. Raises ``Invalid`` and ``Unavailable``."""

    def needed(self, state: Mapping[str, Any]) -> int:
        """Return how many must give something."""

    def accept(self, state: Mapping[str, Any], given: Secret) -> str:
        """Return which of those needed this is. Raises ``Invalid`` when it can be none, whatever is sealed."""

    def open(self, state: Mapping[str, Any], given: Sequence[Secret] = ()) -> Key:
        """Return the root key. Raises ``Corrupt``, the same for every cause, or ``Unavailable`` for a service."""

    def renew(self, state: Mapping[str, Any], opener: Key, root: Key) -> State:
        """Seal the new ``root`` for the same people or service; ``opener`` is that of the root key before."""


def name_of(root: Key) -> str:
    """Return the public name of a root key: 128 bits that tell nothing of it."""
    return opaque.digest(derive(root, "seal-name"), "").hex()[:32]


def opener_of(root: Key) -> Key:
    """Return the key of a root key that the sealing key is kept under."""
    return derive(root, "seal-opener")


def head(kind: str, root: Key) -> State:
    """Return what every state begins with."""
    return {"seal": kind, "root": name_of(root), "made": clock.iso(clock.system())}


def pack(raw: bytes) -> str:
    """Return bytes as they stand in a state."""
    return base64.b64encode(raw).decode()


def unpack(state: Mapping[str, Any], name: str) -> bytes:
    """Return bytes of a state. Raises ``Corrupt``."""
    try:
        return base64.b64decode(state[name], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise Corrupt from None


class Enclosed(ABC):
    """A root key under a sealing key, whatever keeps that one."""

    kind: ClassVar[str]
    people: ClassVar[bool]

    def __init__(self, suite: str) -> None:
        """Wrap with this suite."""
        self._suite = {"S1": envelope.S1, "S2": envelope.S2}[suite]

    def make(self, root: Key, given: Secret | None = None) -> Made:
        """See ``Seal.make``."""
        sealing, state = new_key(), head(self.kind, root)
        kept = self._keep(state, sealing, given)
        made = {**state, **kept.state}
        return Made(self._enclosed(made, sealing, root), kept.shares)

    def needed(self, state: Mapping[str, Any]) -> int:  # noqa: ARG002 - what the interface says
        """See ``Seal.needed``."""
        return 1 if self.people else 0

    def accept(self, state: Mapping[str, Any], given: Secret) -> str:  # noqa: ARG002 - what the interface says
        """See ``Seal.accept``."""
        if not self.people:
            raise Invalid("This seal is opened by no person.")
        return ""

    def open(self, state: Mapping[str, Any], given: Sequence[Secret] = ()) -> Key:
        """See ``Seal.open``."""
        return envelope.unwrap(self._found(state, given), unpack(state, "wrapped"), self._aad("root", state))

    def renew(self, state: Mapping[str, Any], opener: Key, root: Key) -> State:
        """See ``Seal.renew``."""
        sealing = envelope.unwrap(opener, unpack(state, "sealing"), self._aad("sealing", state))
        return self._enclosed({**state, **head(self.kind, root)}, sealing, root)

    @abstractmethod
    def _keep(self, state: State, sealing: Key, given: Secret | None) -> Made:
        """Have the sealing key kept, and return what to add to the state."""

    @abstractmethod
    def _found(self, state: Mapping[str, Any], given: Sequence[Secret]) -> Key:
        """Return the sealing key."""

    def _enclosed(self, state: State, sealing: Key, root: Key) -> State:
        wrapped = envelope.wrap(sealing, root, self._aad("root", state), self._suite)
        kept = envelope.wrap(opener_of(root), sealing, self._aad("sealing", state), self._suite)
        return {**state, "wrapped": pack(wrapped), "sealing": pack(kept)}

    def _aad(self, what: str, state: Mapping[str, Any]) -> tuple[str, ...]:
        return ("seal", what, self.kind, str(state.get("root")))
