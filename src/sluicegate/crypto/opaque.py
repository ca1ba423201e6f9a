"""Opaque random texts that the server only keeps a digest of, and the comparison that leaks no time."""

import hashlib
import hmac
import secrets

from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import Key

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32: no i, l, o, u to misread."""


def readable(groups: int, size: int) -> str:
    """Return ``groups`` of ``size`` random letters joined by ``-``: 5 bits a letter, fit to be read aloud and typed."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(size)) for _ in range(groups))


def new_refresh() -> Secret:
    """Return a refresh token: ``rt_`` and 256 random bits in base64url, 46 characters."""
    return Secret("rt_" + secrets.token_urlsafe(32))


def new_link() -> Secret:
    """Return what a one-time link carries: ``lt_`` and 256 random bits in base64url, 46 characters."""
    return Secret("lt_" + secrets.token_urlsafe(32))


def new_ticket() -> Secret:
    """Return a one-time ticket: ``tk_`` and 256 random bits in base64url, 46 characters."""
    return Secret("tk_" + secrets.token_urlsafe(32))


def new_bootstrap_code() -> Secret:
    """Return a one-time code that a person copies from the server's console: 140 bits, seven groups of four."""
    return Secret(readable(7, 4))


def digest(key: Key, text: Secret | str) -> bytes:
    """Return HMAC-SHA-512 of ``text`` (64 bytes): what is stored and looked up in place of the text."""
    plain = text.reveal() if isinstance(text, Secret) else text
    # surrogatepass: any text has exactly one digest, and no UnicodeEncodeError carries the text along.
    return hmac.digest(key.raw, plain.encode("utf-8", "surrogatepass"), hashlib.sha512)


def same(a: bytes, b: bytes) -> bool:
    """Tell whether two byte strings are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(a, b)
