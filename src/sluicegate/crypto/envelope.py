"""Encryption of small values with associated data: keys wrapped by keys, and fields under a key.

A blob is ``suite (1 byte) | body``; body = ``random (16 bytes) | sealed`` for a value and ``sealed`` for a wrapped key
(a key is random already). Suite S1 is AES-256-SIV with 512-bit keys (RFC 5297, AEAD_AES_SIV_CMAC_512), sealed =
``tag (16) | ciphertext``. The strict suite S2 is A256CBC-HS512 (RFC 7518 §5.2.5), for who may use approved modes only:
half of the 512 bits for AES-256-CBC, half for HMAC-SHA-512; sealed = ``iv (16) | ciphertext | tag (32)``.

Associated data is a *list* of parts, so gluing or splitting parts changes it. The suite, the kind of blob and the
random bytes are parts too: a wrapped key never opens as a value, and equal values never look equal.

Every failure to open is the same ``Corrupt``, found in the same time: an unknown suite or a short blob is put through
the cipher like any other.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from functools import partial
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

    def keyed(self, key: bytes) -> tuple[Cipher, Cipher]:
        """Return ``seal`` and ``open`` for one key, made ready once for many calls."""
        ...


Cipher = Callable[[bytes, list[bytes]], bytes]


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

    def keyed(self, key: bytes) -> tuple[Cipher, Cipher]:
        """See ``Suite.keyed``."""
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        ready = AESSIV(key)
        return ready.encrypt, ready.decrypt


class CbcHmac:
    """A256CBC-HS512 (RFC 7518 §5.2.2 and §5.2.5), its associated data an unambiguous list."""

    overhead = 16 + 16 + 32  # iv, a block at least, tag

    def seal(self, key: bytes, plaintext: bytes, parts: list[bytes]) -> bytes:
        """Return ``iv | ciphertext | tag``."""
        return self.encrypt(key, plaintext, _listed(parts), secrets.token_bytes(16))

    def open(self, key: bytes, body: bytes, parts: list[bytes]) -> bytes:
        """Return the plaintext; raises ``InvalidTag``. Nothing is decrypted before the tag has been found right."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        iv, ciphertext, tag = body[:16], body[16:-32], body[-32:]
        if not hmac.compare_digest(tag, self._tag(key, _listed(parts), iv, ciphertext)):
            raise InvalidTag
        opener = Cipher(algorithms.AES256(key[32:]), modes.CBC(iv)).decryptor()
        unpad = PKCS7(128).unpadder()
        return unpad.update(opener.update(ciphertext) + opener.finalize()) + unpad.finalize()

    def keyed(self, key: bytes) -> tuple[Cipher, Cipher]:
        """See ``Suite.keyed``: there is nothing to make ready."""
        return partial(self.seal, key), partial(self.open, key)

    def encrypt(self, key: bytes, plaintext: bytes, aad: bytes, iv: bytes) -> bytes:
        """Return ``iv | ciphertext | tag``, as the RFC has it."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        pad = PKCS7(128).padder()
        sealer = Cipher(algorithms.AES256(key[32:]), modes.CBC(iv)).encryptor()
        ciphertext = sealer.update(pad.update(plaintext) + pad.finalize()) + sealer.finalize()
        return iv + ciphertext + self._tag(key, aad, iv, ciphertext)

    @staticmethod
    def _tag(key: bytes, aad: bytes, iv: bytes, ciphertext: bytes) -> bytes:
        told = aad + iv + ciphertext + (8 * len(aad)).to_bytes(8, "big")
        return hmac.digest(key[:32], told, "sha512")[:32]


def _listed(parts: list[bytes]) -> bytes:
    return b"".join(len(each).to_bytes(8, "big") + each for each in parts)


S1: Final = 0x01
S2: Final = 0x02
SUITES: Final[dict[int, Suite]] = {S1: Siv(), S2: CbcHmac()}
"""Suites by their byte. A new one is added here; blobs of the others keep opening."""


def _parts(aad: Sequence[bytes | str], *own: bytes) -> list[bytes]:
    if isinstance(aad, bytes | str):
        msg = "associated data is a list of parts, not one text"
        raise TypeError(msg)
    if len(aad) > _PARTS:
        raise Invalid(f"Associated data has at most {_PARTS} parts.")
    # A mark before each part keeps an empty one from being empty: OpenSSL has skipped those (CVE-2023-2975).
    return [*own, *(b"=" + (part.encode() if isinstance(part, str) else bytes(part)) for part in aad)]


def _seal(kind: bytes, key: Key, plaintext: bytes, aad: Sequence[bytes | str], random: bytes, suite: int) -> bytes:
    mark = bytes([suite])
    return mark + random + SUITES[suite].seal(key.raw, plaintext, _parts(aad, mark, kind, b"=" + random))


def _open(kind: bytes, key: Key, blob: bytes, aad: Sequence[bytes | str], random: int) -> bytes:
    from cryptography.exceptions import InvalidTag

    suite = SUITES.get(blob[0]) if blob else None
    cipher = suite or SUITES[S1]
    body = blob[1:].ljust(random + cipher.overhead, b"\0")
    parts = _parts(aad, blob[:1], kind, b"=" + body[:random])
    try:
        plaintext = cipher.open(key.raw, body[random:], parts)
    except InvalidTag:
        raise Corrupt from None
    if suite is None or len(blob) < 1 + random + cipher.overhead:
        raise Corrupt
    return plaintext


def encrypt(key: Key, plaintext: bytes, aad: Sequence[str | bytes], suite: int = S1) -> bytes:
    """Return ``plaintext`` under ``key``, bound to the parts of ``aad`` (text counts as its UTF-8).

    S1 adds 33 bytes, S2 66 to 81.
    """
    return _seal(_VALUE, key, plaintext, aad, secrets.token_bytes(RANDOM), suite)


def decrypt(key: Key, blob: bytes, aad: Sequence[str | bytes]) -> bytes:
    """Return what ``encrypt`` was given. Raises ``Corrupt``, the same for every cause."""
    return _open(_VALUE, key, blob, aad, RANDOM)


def wrap(kek: Key, key: Key, aad: Sequence[bytes | str], suite: int = S1) -> bytes:
    """Return ``key`` under the key-encrypting key ``kek``, bound to the parts of ``aad``: 81 bytes, 129 in S2."""
    return _seal(_WRAPPED, kek, key.raw, aad, b"", suite)


def unwrap(kek: Key, blob: bytes, aad: Sequence[bytes | str]) -> Key:
    """Return the key that ``wrap`` was given. Raises ``Corrupt``, the same for every cause."""
    raw = _open(_WRAPPED, kek, blob, aad, 0)
    if len(raw) != SIZE:
        raise Corrupt
    return Key(raw)


class Rewrap:
    """Takes many wrapped keys from under one key to under another: what ``wrap(unwrap(…))`` does, made ready once.

    The parts of the associated data are the same under both, but for the last: ``was`` and ``now``.
    """

    def __init__(self, old: Key, new: Key, was: str, now: str, suite: int = S1) -> None:
        """Hold both keys."""
        from cryptography.exceptions import InvalidTag

        self._misfit = InvalidTag
        self._old, self._new, self._was, self._now, self._suite = old, new, was, now, suite
        self._open, self._seal = SUITES[suite].keyed(old.raw)[1], SUITES[suite].keyed(new.raw)[0]
        self._mark = bytes([suite])
        self._head = _parts((), self._mark, _WRAPPED, b"=")
        self._ends = b"=" + was.encode(), b"=" + now.encode()
        self._size = 1 + SIZE + 16 if suite == S1 else -1
        """Bytes of what may go the short way; all else goes the long one, where every failure is alike."""

    def __call__(self, blob: bytes, aad: Sequence[str]) -> bytes:
        """Return the key that ``blob`` wraps, wrapped anew. Raises ``Corrupt``, the same for every cause."""
        if len(blob) != self._size or blob[0] != self._suite or len(aad) >= _PARTS:
            key = unwrap(self._old, blob, (*aad, self._was))
            return wrap(self._new, key, (*aad, self._now), self._suite)
        parts = [*self._head, *[b"=" + part.encode() for part in aad], self._ends[0]]
        try:
            raw = self._open(blob[1:], parts)
        except self._misfit:
            raise Corrupt from None
        parts[-1] = self._ends[1]
        return self._mark + self._seal(raw, parts)
