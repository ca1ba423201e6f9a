"""Access tokens: who signs them, for what, and whether one still holds. The only mint of this product."""

from __future__ import annotations

import base64
import binascii
import json
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Corrupt, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.crypto import envelope, opaque
from sluicegate.crypto.keys import Key, derive, new_key
from sluicegate.crypto.token import LEEWAY, Claims, TokenRing

if TYPE_CHECKING:
    from sluicegate.base.principal import Principal
    from sluicegate.base.secret import Secret
    from sluicegate.guard.revocation import Revocation
    from sluicegate.store.scope import System

ISSUER: Final = "sluicegate"
LEAD: Final = 5.0
"""Seconds between a new key's being known and its first use: every node has read it by then."""
KEYS_MAX: Final = 3
"""One key that signs and two that still verify."""
_BLOB: Final = "token-keys"


class Purpose(NamedTuple):
    """What a token is for. Each has its own ``typ``, ``aud`` and key; none is taken for another (SEC-T17)."""

    typ: str
    audience: str


ACCESS = Purpose("at+jwt", "sluicegate-api")
PENDING = Purpose("pending+jwt", "sluicegate-password")
"""Of somebody who must choose a password before anything else."""
FACTOR = Purpose("factor+jwt", "sluicegate-factor")
"""Of somebody whose password was right, and who owes the second factor."""
ENROL = Purpose("enrol+jwt", "sluicegate-enrol")
"""Of somebody whose tenant wants a second factor, and who must set one up before anything else."""
PURPOSES: Final = (ACCESS, PENDING, FACTOR, ENROL)


class _Signing(NamedTuple):
    """A key of the ring: it signs from ``since`` on, until the next one does, and verifies until ``until``."""

    kid: str
    key: Key
    since: float
    until: float | None


class Tokens:
    """Mints and checks tokens with keys that can be replaced while everybody works."""

    def __init__(
        self, root: Key, ttl: int, system: System, revocation: Revocation, now: clock.Clock = clock.system
    ) -> None:
        """Read the keys, or make the first; they are kept in the store under a key derived from ``root``."""
        self._kek = derive(root, "token-keys")
        self._ttl, self._system, self._revocation, self._now = ttl, system, revocation, now
        self._lock = threading.Lock()
        self._rings: dict[Purpose, TokenRing] = {}
        if system.blobs().get(_BLOB) is None:
            first = _Signing(_new_kid(), new_key(), self._now(), None)
            system.blobs().put_if_absent(_BLOB, self._seal((first,)))
        self.reload()
        revocation.on_keys = self.reload

    @property
    def ttl(self) -> int:
        """Seconds that a token lives."""
        return self._ttl

    def mint(self, purpose: Purpose, who: Principal, epoch: int) -> tuple[Secret, int]:
        """Return a fresh token of ``who``, bound to their client's key, and the second at which it ends.

        ``epoch`` is ``Revocation.newest`` from before ``who`` was read.
        """
        bound = {"jkt": who.key} if who.key else None
        ring = self._ring(purpose)
        return ring.mint(who.id, who.tenant, who.role.value, new_id(), who.grant, epoch, bound)

    def verify(self, purpose: Purpose, token: str) -> Claims:
        """Return the claims of a token of this purpose that holds now: signed, in time, not revoked.

        Raises ``Unauthenticated``, the same for every cause.
        """
        claims = self._ring(purpose).verify(token)
        if not self._revocation.holds(claims):
            raise Unauthenticated
        return claims

    def rotate(self, *, at_once: bool = False) -> str:
        """Replace the signing key and return the new one's id. Tokens of the old one hold until they expire.

        ``at_once``: every token is void now, and everybody's next refresh gives one of the new key. Raises ``Conflict``
        when the rotations before are not over yet.
        """
        now = self._now()
        with self._system.transaction():
            kept = () if at_once else self._alive(self._read(), now)
            if len(kept) >= KEYS_MAX:
                raise Conflict(
                    "The rotations before this one are not over yet.",
                    hint=f"Wait {self._ttl} s, or say that every token is to end at once.",
                )
            since = now if at_once else now + LEAD
            old = tuple(each._replace(until=each.until or since + self._ttl + LEEWAY) for each in kept)
            made = _Signing(_new_kid(), new_key(), since, None)
            self._system.blobs().put(_BLOB, self._seal((*old, made)))
            self._system.marks().keys_changed()
        self.reload()
        return made.kid

    def reload(self) -> None:
        """Read the keys again."""
        found = self._read()
        with self._lock:
            self._keys, self._changes = found, 0.0

    def _ring(self, purpose: Purpose) -> TokenRing:
        now = self._now()
        if now >= self._changes:
            self._build(now)
        return self._rings[purpose]

    def _build(self, now: float) -> None:
        """Make the rings for the keys that count now, until the next of them starts or ends."""
        with self._lock:
            alive = self._alive(self._keys, now)
            signing = max((each for each in alive if each.since <= now), key=lambda each: each.since)
            keys = {each.kid: each.key for each in alive}
            self._rings = {
                each: TokenRing(
                    keys,
                    signing.kid,
                    issuer=ISSUER,
                    audience=each.audience,
                    typ=each.typ,
                    ttl=self._ttl,
                    clock=self._now,
                )
                for each in PURPOSES
            }
            moments = [moment for each in alive for moment in (each.since, each.until) if moment and moment > now]
            self._changes = min(moments, default=float("inf"))

    @staticmethod
    def _alive(keys: tuple[_Signing, ...], now: float) -> tuple[_Signing, ...]:
        return tuple(each for each in keys if each.until is None or each.until > now)

    def _read(self) -> tuple[_Signing, ...]:
        blob = self._system.blobs().get(_BLOB) or b""
        try:
            found = json.loads(envelope.decrypt(self._kek, blob, (_BLOB,)))
            return tuple(
                _Signing(each["kid"], Key(base64.b64decode(each["key"])), each["since"], each["until"])
                for each in found
            )
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise Corrupt from None

    def _seal(self, keys: tuple[_Signing, ...]) -> bytes:
        plain: list[dict[str, Any]] = [
            {"kid": each.kid, "key": base64.b64encode(each.key.raw).decode(), "since": each.since, "until": each.until}
            for each in keys
        ]
        return envelope.encrypt(self._kek, json.dumps(plain).encode(), (_BLOB,))


def _new_kid() -> str:
    return opaque.readable(2, 4)
