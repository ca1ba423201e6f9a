"""Passwords: Argon2id (RFC 9106) over a keyed hash, so that a stolen table alone is not enough to guess.

``stored = Argon2id(HMAC-SHA-512(pepper, NFC(password)))`` in the PHC text form. HMAC first: no length is cut off, and
NUL bytes do not matter. NFC (SP 800-63B §3.1.1.2): the same password typed on two keyboards is one password.

A passphrase that seals the root key goes through the same function, to a key (``stretch``).
"""

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import SIZE, Key
from sluicegate.crypto.opaque import readable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_SALT, _HASH = 16, 32
_LEAST_KIB, _LEAST_PASSES = 19 * 1024, 2  # OWASP ASVS 5.0, appendix C
# A stored hash says how much work to do: whoever can write the table must not be able to ask for all our memory.
_MOST_KIB, _MOST_PASSES, _MOST_LANES = 1024 * 1024, 16, 8


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs: ``memory`` in KiB, ``passes`` over it, ``lanes`` side by side.

    Raises ``Invalid`` below the floor (19 MiB, 2 passes) or above what ``verify_password`` would accept.
    """

    memory: int = 64 * 1024
    passes: int = 3
    lanes: int = 1

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not (_LEAST_KIB <= self.memory <= _MOST_KIB and _LEAST_PASSES <= self.passes <= _MOST_PASSES):
            raise Invalid(f"Password hashing needs {_LEAST_KIB} to {_MOST_KIB} KiB and 2 to {_MOST_PASSES} passes.")
        if not 1 <= self.lanes <= _MOST_LANES:
            raise Invalid(f"Password hashing needs 1 to {_MOST_LANES} lanes.")


STANDARD = Cost()
"""64 MiB, 3 passes: the second choice of RFC 9106 with one lane. About 0.2 s."""

FLOOR = Cost(memory=_LEAST_KIB, passes=_LEAST_PASSES)
"""The least that is accepted. About 0.06 s; for tests and very small machines."""


def _hasher(cost: Cost) -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher(
        time_cost=cost.passes, memory_cost=cost.memory, parallelism=cost.lanes, hash_len=_HASH, salt_len=_SALT
    )


def _peppered(password: Secret, pepper: Key) -> bytes:
    text = unicodedata.normalize("NFC", password.reveal())
    # surrogatepass: no UnicodeEncodeError carries the password into a log.
    return hmac.digest(pepper.raw, text.encode("utf-8", "surrogatepass"), hashlib.sha512)


def _parameters(stored: str) -> tuple[int, int, int]:
    """Return memory (KiB), passes and lanes of a stored hash; raise ``Corrupt`` when it is none of ours."""
    from argon2 import Type, extract_parameters
    from argon2.exceptions import InvalidHashError
    from argon2.low_level import ARGON2_VERSION

    try:
        found = extract_parameters(stored)
    except (InvalidHashError, ValueError):
        raise Corrupt from None
    ours = (found.type, found.version, found.hash_len, found.salt_len) == (Type.ID, ARGON2_VERSION, _HASH, _SALT)
    work_fits = (
        0 < found.memory_cost <= _MOST_KIB
        and 0 < found.time_cost <= _MOST_PASSES
        and 0 < found.parallelism <= _MOST_LANES
    )
    if not ours or not work_fits:
        raise Corrupt
    return found.memory_cost, found.time_cost, found.parallelism


def hash_password(password: Secret, pepper: Key, *, cost: Cost = STANDARD) -> str:
    """Return the text to store: ``$argon2id$…``, with a fresh salt."""
    return _hasher(cost).hash(_peppered(password, pepper))


def verify_password(stored: str, password: Secret, pepper: Key) -> bool:
    """Tell whether ``stored`` was made from ``password``. Raises ``Corrupt`` when ``stored`` is unreadable."""
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

    _parameters(stored)
    try:
        return _hasher(FLOOR).verify(stored, _peppered(password, pepper))
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError):
        raise Corrupt from None


def needs_rehash(stored: str, *, cost: Cost = STANDARD) -> bool:
    """Tell whether ``stored`` was made at another cost than ``cost``, so that the next login replaces it."""
    return _parameters(stored) != (cost.memory, cost.passes, cost.lanes)


def burn(password: Secret, pepper: Key, *, cost: Cost = STANDARD) -> bool:
    """Spend the time of ``verify_password`` and return ``False``: for a user who is not there (no enumeration)."""
    _hasher(cost).hash(_peppered(password, pepper))
    return False


def new_salt() -> bytes:
    """Return 16 fresh bytes to stretch a passphrase with."""
    return secrets.token_bytes(_SALT)


def stretch(passphrase: Secret, salt: bytes, cost: Cost) -> Key:
    """Return the key that a passphrase stands for: 64 bytes of Argon2id over its NFC text. ``salt``: 16 bytes or more.

    There is no pepper here: nothing is open yet that could hold one. Raises ``Invalid`` for a short salt.
    """
    from argon2.low_level import ARGON2_VERSION, Type, hash_secret_raw

    if len(salt) < _SALT:
        raise Invalid(f"A salt has {_SALT} bytes at the least.")
    text = unicodedata.normalize("NFC", passphrase.reveal()).encode("utf-8", "surrogatepass")
    raw = hash_secret_raw(
        text, salt, cost.passes, cost.memory, cost.lanes, hash_len=SIZE, type=Type.ID, version=ARGON2_VERSION
    )
    return Key(raw)


def new_password() -> Secret:
    """Return a one-time password to hand to a person: 140 bits, seven groups of four letters and digits."""
    return Secret(readable(7, 4))
