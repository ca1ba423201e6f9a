"""Passphrases for what must hold by its passphrase alone: made here, and refused when they are weak (SEC-F03)."""

import math
import re
import secrets
import zlib
from typing import Final

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret

BITS: Final = 128
"""Bits that a passphrase must have at the least."""
_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing looks like another
_GROUPS, _EACH = 7, 4
_KINDS: Final = ((r"[a-z]", 26), (r"[A-Z]", 26), (r"[0-9]", 10), (r"[^A-Za-z0-9]", 4))
_PACKED: Final = 8  # bytes that packing adds to a text in which nothing repeats
_WORD: Final = re.compile(r"[a-z]{4,}|[A-Z][a-z]{3,}|[A-Z]{4,}")
_WORD_BITS: Final = 12.0
"""What a word is worth, however long: there are not many more than 4096 that people choose from."""


def new_passphrase() -> Secret:
    """Return a fresh passphrase of 140 bits: seven groups of four letters and digits."""
    while True:
        groups = ("".join(secrets.choice(_LETTERS) for _ in range(_EACH)) for _ in range(_GROUPS))
        made = Secret("-".join(groups))
        if strength(made) >= BITS:  # one in many has groups that look like words
            return made


def strength(passphrase: Secret) -> float:
    """Return how many bits a passphrase has at the most, by its look.

    Each letter counts what its kinds (small, capital, digit, other) allow; what repeats counts once, and four small
    letters or four capitals in a row are taken for a word.
    """
    text = passphrase.reveal()
    pool = sum(size for kind, size in _KINDS if re.search(kind, text))
    each = math.log2(max(pool, 1))
    plain = len(text) * each - sum(max(0.0, len(word) * each - _WORD_BITS) for word in _WORD.findall(text))
    return min(plain, each * (len(zlib.compress(text.encode(), 9)) - _PACKED))


def require_strong(passphrase: Secret) -> None:
    """Raise ``Invalid`` for a passphrase of less than 128 bits. Neither it nor its length is told."""
    if strength(passphrase) < BITS:
        raise Invalid(
            f"The passphrase is too weak: an archive needs one of at least {BITS} bits.",
            hint="Have one made: sluice secret generate NAME",
        )
