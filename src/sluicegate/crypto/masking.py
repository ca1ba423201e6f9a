"""Keys that mask values: keyed hashes, tokens that can be opened again, sealed fields, stable numbers.

A masking key has 512 bits. From it comes one key for each purpose, tenant and domain (HKDF-SHA-512), so that what was
made for one of them neither equals nor opens as what was made for another. The name of a key (``mark``) comes of it,
too: it stands in each token and field, tells nothing, and says which key opens it when keys have been replaced.

- hash: HMAC-SHA-512 cut to 256 bits (RFC 4868 §2.3), hex.
- token: AES-256-SIV (RFC 5297), deterministic: ``tok1_`` + base64url(mark | tag | ciphertext).
- field: the same with 16 random bytes as an associated part: ``enc1_`` + base64url(mark | random | tag | ciphertext).

Values are padded to a multiple of 16 bytes (ISO/IEC 7816-4) before they are sealed, so that lengths tell little.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import SIZE, Key, derive, new_key

STABLE: Final = "tok1_"
"""How tokens begin."""
FRESH: Final = "enc1_"
"""How sealed fields begin."""
MARK: Final = 4
_RANDOM: Final = 16
_TAG: Final = 16
_BLOCK: Final = 16
_HASH: Final = 32

Change = Callable[[bytes], str]
"""From a value to its masked form."""
Opening = Callable[[str], bytes]
"""From a masked form to the value. Raises ``Corrupt``, the same for every cause."""


def new_masking_key() -> Secret:
    """Return a fresh masking key: 64 random bytes, base64."""
    return Secret(base64.b64encode(new_key().raw).decode())


class MaskingKey:
    """One masking key in one tenant."""

    def __init__(self, secret: Secret, tenant: str) -> None:
        """Read what ``new_masking_key`` made. Raises ``Invalid`` for anything else; the text is not told."""
        try:
            raw = base64.b64decode(secret.reveal(), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != SIZE:
            raise Invalid(
                f"This is no masking key: it has {SIZE} bytes, as base64 on one line.",
                hint="Have one made: sluice secret generate NAME --kind key (locally: openssl rand -base64 64).",
            )
        self._root, self._tenant = Key(raw), tenant
        self.mark = self._derive("mark", "").raw[:MARK]
        """Names the key, and tells nothing of it."""

    def digests(self, domain: str, purpose: str = "hash") -> Callable[[bytes], bytes]:
        """Return what gives the 32 bytes of a value's keyed hash."""
        ready = hmac.new(self._derive(purpose, domain).raw, digestmod="sha512")

        def digest(value: bytes) -> bytes:
            made = ready.copy()  # with the key already in: two thirds of the time of a new one
            made.update(value)
            return made.digest()[:_HASH]

        return digest

    def tokens(self, domain: str) -> Change:
        """Return what makes tokens: equal ones of equal values."""
        seal = self._siv("token", domain).encrypt
        parts = [STABLE.encode() + self.mark]

        def token(value: bytes) -> str:
            return STABLE + _text(self.mark + seal(_padded(value), parts))

        return token

    def fields(self, domain: str) -> Change:
        """Return what seals values: never twice the same."""
        seal = self._siv("field", domain).encrypt
        head = FRESH.encode() + self.mark

        def field(value: bytes) -> str:
            random = os.urandom(_RANDOM)
            return FRESH + _text(self.mark + random + seal(_padded(value), [head, random]))

        return field

    def _open_token(self, domain: str) -> Callable[[bytes], bytes]:
        open_ = self._siv("token", domain).decrypt
        parts = [STABLE.encode() + self.mark]
        return lambda body: open_(body, parts)

    def _open_field(self, domain: str) -> Callable[[bytes], bytes]:
        open_ = self._siv("field", domain).decrypt
        head = FRESH.encode() + self.mark
        return lambda body: open_(body[_RANDOM:], [head, body[:_RANDOM]])

    def opener(self, form: str, domain: str) -> Callable[[bytes], bytes]:
        """Return what opens the body of a ``STABLE`` or ``FRESH`` of this key; raises the library's ``InvalidTag``."""
        return self._open_token(domain) if form == STABLE else self._open_field(domain)

    def _siv(self, purpose: str, domain: str) -> _Siv:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        ready = AESSIV(self._derive(purpose, domain).raw)
        return _Siv(ready.encrypt, ready.decrypt)

    def _derive(self, purpose: str, domain: str) -> Key:
        # Neither a purpose nor a tenant's id holds a slash, so the text can be read in one way only.
        return derive(self._root, f"mask/{purpose}/{self._tenant}/{domain}")


class _Siv(NamedTuple):
    encrypt: Callable[[bytes, list[bytes]], bytes]
    decrypt: Callable[[bytes, list[bytes]], bytes]


def opening(form: str, domain: str, keys: Iterable[MaskingKey]) -> Opening:
    """Return what opens tokens (``STABLE``) or fields (``FRESH``) that any of ``keys`` has made for ``domain``."""
    from cryptography.exceptions import InvalidTag

    openers = {key.mark: key.opener(form, domain) for key in keys}
    least = MARK + _TAG + _BLOCK + (_RANDOM if form == FRESH else 0)

    def open_(text: str) -> bytes:
        body = _bytes(text.removeprefix(form)) if text.startswith(form) else b""
        found = openers.get(body[:MARK])
        if found is None or len(body) < least:
            raise Corrupt
        try:
            return _unpadded(found(body[MARK:]))
        except InvalidTag:
            raise Corrupt from None

    return open_


def _text(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Return what ``_text`` was given; nothing for every other spelling, so that one token has one form."""
    try:
        body = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return body if _text(body) == text else b""


def _padded(value: bytes) -> bytes:
    return value + b"\x80" + bytes(-(len(value) + 1) % _BLOCK)


def _unpadded(value: bytes) -> bytes:
    return value.rstrip(b"\0")[:-1]
