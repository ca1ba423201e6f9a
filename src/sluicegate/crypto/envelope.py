"""Encryption of small values with associated data: keys wrapped by keys, and fields under a key.

A blob is ``suite (1 byte) | body``. Suite S1 is AES-256-SIV with 512-bit keys (RFC 5297, AEAD_AES_SIV_CMAC_512), body =
``random (16 bytes) | tag (16) | ciphertext`` for a value and ``tag | ciphertext`` for a wrapped key (a key is random
already). Associated data is a *list* of parts, so gluing or splitting parts changes it. The suite, the kind of blob and
the random bytes are parts too: a wrapped key never opens as a value, and equal values never look equal.

Every failure to open is the same ``Corrupt``, found in the same time: an unknown suite or a short blob is put through
the cipher like any other.
"""

import secrets
from collections.abc import Sequence
from typing import Final, Protocol

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto.keys import SIZE, Key

RANDOM: Final = 16
"""Random bytes of each value, as an associated part: RFC 5297 §3 names this the nonce."""

_PARTS: Final = 120  # S2V takes 126 parts (RFC 5297 §2.6), ours among them; the library does not count them.
_WRAPPED: Final = b"sluicegate key"
_VALUE: Final = b"sluicegate value"


class Suite(Protocol):
    """One authenticated cipher for 64-byte keys. ``overhead`` is what sealing adds, in bytes."""

    overhead: int

    def seal(self, key: bytes, plaintext: bytes, parts: list[bytes]) -> bytes:
        """Return ``plaintext`` sealed together with ``parts``."""
        ...

    def open(self, key: bytes, body: bytes, parts: list[bytes]) -> bytes:
        """Return the plaintext; raises ``cryptography.exceptions.InvalidTag`` when anything differs."""
        ...


class Siv:
    """AES-SIV (RFC 5297). Deterministic by itself; misuse of the random part shows equality at the most."""

    overhead = 16

    def seal(self, key: bytes, plaintext: bytes, parts: list[bytes]) -> bytes:
        """Return ``tag | ciphertext``."""
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(key).encrypt(plaintext, parts)

    def open(self, key: bytes, body: bytes, parts: list[bytes]) -> bytes:
        """Return the plaintext; raises ``InvalidTag``."""
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(key).decrypt(body, parts)


S1: Final = 0x01
SUITES: Final[dict[int, Suite]] = {S1: Siv()}
"""Suites by their byte. A new one is added here; blobs of the older ones keep opening."""

DEFAULT: Final = S1


def _parts(aad: Sequence[bytes | str], *own: bytes) -> list[bytes]:
    if isinstance(aad, bytes | str):
        msg = "associated data is a list of parts, not one text"
        raise TypeError(msg)
    if len(aad) > _PARTS:
        raise Invalid(f"Associated data has at most {_PARTS} parts.")
    # A mark before each part keeps an empty one from being empty: OpenSSL has skipped those (CVE-2023-2975).
    return [*own, *(b"=" + (part.encode() if isinstance(part, str) else bytes(part)) for part in aad)]


def _seal(kind: bytes, key: Key, plaintext: bytes, aad: Sequence[bytes | str], random: bytes) -> bytes:
    mark = bytes([DEFAULT])
    return mark + random + SUITES[DEFAULT].seal(key.raw, plaintext, _parts(aad, mark, kind, b"=" + random))


def _open(kind: bytes, key: Key, blob: bytes, aad: Sequence[bytes | str], random: int) -> bytes:
    from cryptography.exceptions import InvalidTag

    suite = SUITES.get(blob[0]) if blob else None
    cipher = suite or SUITES[DEFAULT]
    body = blob[1:].ljust(random + cipher.overhead, b"\0")
    parts = _parts(aad, blob[:1], kind, b"=" + body[:random])
    try:
        plaintext = cipher.open(key.raw, body[random:], parts)
    except InvalidTag:
        raise Corrupt from None
    if suite is None or len(blob) < 1 + random + cipher.overhead:
        raise Corrupt
    return plaintext


def encrypt(key: Key, plaintext: bytes, aad: Sequence[str | bytes]) -> bytes:
    """Return ``plaintext`` under ``key``, bound to the parts of ``aad`` (text counts as its UTF-8): 33 bytes more."""
    return _seal(_VALUE, key, plaintext, aad, secrets.token_bytes(RANDOM))


def decrypt(key: Key, blob: bytes, aad: Sequence[str | bytes]) -> bytes:
    """Return what ``encrypt`` was given. Raises ``Corrupt``, the same for every cause."""
    return _open(_VALUE, key, blob, aad, RANDOM)


def wrap(kek: Key, key: Key, aad: Sequence[bytes | str]) -> bytes:
    """Return ``key`` under the key-encrypting key ``kek``, bound to the parts of ``aad``: 81 bytes."""
    return _seal(_WRAPPED, kek, key.raw, aad, b"")


def unwrap(kek: Key, blob: bytes, aad: Sequence[bytes | str]) -> Key:
    """Return the key that ``wrap`` was given. Raises ``Corrupt``, the same for every cause."""
    raw = _open(_WRAPPED, kek, blob, aad, 0)
    if len(raw) != SIZE:
        raise Corrupt
    return Key(raw)
