"""Shares of a key: any ``threshold`` of them give it back, fewer tell nothing (Shamir, CACM 22 (11), 1979).

Each byte is the value at 0 of its own random polynomial over GF(2^8) with the AES polynomial (FIPS 197 §4.2), as in
draft-mcgrew-tss-03, whose vectors the tests hold. A share is one line to be written down: what it is of, how many are
needed, which one it is, the bytes, and a checksum that finds slips of the pen. The checksum has no key and tells
nothing of the other shares; whether shares are right shows only when enough of them open what they seal.

Arithmetic has no tables and no branches on secret bytes.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import SIZE, Key
from sluicegate.crypto.opaque import LETTERS

MOST: Final = 255
"""Points of GF(2^8) other than 0, where the key itself is."""
SET: Final = 8
"""Hexadecimal digits of a set's name."""
_MARK: Final = "sgs1"
_CHECK: Final = 4
_WIDTH: Final = (8 * (SIZE + _CHECK) + 4) // 5
_SHAPE: Final = re.compile(rf"{_MARK}([0-9a-f]{{{SET}}})([0-9a-f]{{2}})([0-9a-f]{{2}})([{LETTERS}]{{{_WIDTH}}})")
_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class Share:
    """One share. ``set`` names the key it is of, ``index`` is its point, from 1."""

    set: str
    threshold: int
    index: int
    body: bytes = field(repr=False)

    def text(self) -> Secret:
        """Return the line to write down, in groups of four."""
        head = f"{self.set}{self.threshold:02x}{self.index:02x}"
        number = int.from_bytes(self.body + _check(head, self.body))
        letters = "".join(LETTERS[number >> 5 * place & 31] for place in reversed(range(_WIDTH)))
        whole = head + letters
        groups = [whole[at : at + 4] for at in range(0, len(whole), 4)]
        return Secret("-".join([_MARK, *groups]))


def read_share(given: Secret) -> Share:
    """Return the share that a line holds; blanks, dashes and capitals do not matter. Raises ``Invalid`` for none."""
    text = given.reveal()
    bare = re.sub(r"[\s-]", "", text[:_LONGEST]).lower().translate(str.maketrans("oil", "011"))
    shape = _SHAPE.fullmatch(bare) if len(text) <= _LONGEST else None
    if shape is None:
        raise _no_share()
    number = 0
    for letter in shape[4]:
        number = number << 5 | LETTERS.index(letter)
    if number >> 8 * (SIZE + _CHECK):
        raise _no_share()
    raw = number.to_bytes(SIZE + _CHECK)
    made = Share(shape[1], int(shape[2], 16), int(shape[3], 16), raw[:SIZE])
    if raw[SIZE:] != _check("".join(shape.groups()[:3]), made.body) or not (made.threshold > 1 and made.index):
        raise _no_share()
    return made


def split(key: Key, count: int, threshold: int) -> tuple[Share, ...]:
    """Return ``count`` shares, any ``threshold`` of which give ``key`` back.

    Raises ``Invalid`` unless 2 <= threshold <= count <= 255.
    """
    if not 2 <= threshold <= count <= MOST:  # noqa: PLR2004 - one share would be the key itself
        raise Invalid("Shares: 2 <= threshold <= shares <= 255.")
    name = secrets.token_hex(SET // 2)
    bodies = spread(key.raw, count, threshold)
    return tuple(Share(name, threshold, index, body) for index, body in enumerate(bodies, 1))


def combine(shares: Sequence[Share]) -> Key:
    """Return the key that enough shares of one set give. Wrong ones give another key: try what it opens.

    Raises ``Corrupt`` for too few, for two of one index, and for shares of several sets.
    """
    points = {each.index: each.body for each in shares}
    kinds = {(each.set, each.threshold) for each in shares}
    if len(kinds) != 1 or len(points) != len(shares) or len(points) < shares[0].threshold:
        raise Corrupt
    return Key(interpolate(points))


def spread(secret: bytes, count: int, threshold: int) -> list[bytes]:
    """Return the values at 1 to ``count`` of random polynomials, one for each byte, whose value at 0 is ``secret``."""
    higher = [secrets.token_bytes(len(secret)) for _ in range(threshold - 1)]
    made = []
    for point in range(1, count + 1):
        value = bytes(len(secret))
        for each in (*reversed(higher), secret):  # Horner
            value = bytes(times(one, point) ^ other for one, other in zip(value, each, strict=True))
        made.append(value)
    return made


def interpolate(points: dict[int, bytes]) -> bytes:
    """Return the values at 0 of the polynomials that go through ``points`` (Lagrange)."""
    whole = bytes(len(next(iter(points.values()))))
    for here, body in points.items():
        weight = 1
        for other in points:
            if other != here:
                weight = times(weight, times(other, inverse(other ^ here)))
        whole = bytes(one ^ times(each, weight) for one, each in zip(whole, body, strict=True))
    return whole


def times(one: int, other: int) -> int:
    """Return the product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    made = 0
    for _ in range(8):
        made ^= one & -(other & 1)
        one = one << 1 ^ 0x11B & -(one >> 7)
        other >>= 1
    return made


def inverse(one: int) -> int:
    """Return ``one`` to the power of 254, which is 1 / ``one``."""
    made = 1
    for _ in range(7):
        one = times(one, one)
        made = times(made, one)
    return made


def _check(head: str, body: bytes) -> bytes:
    return hashlib.sha256(_MARK.encode() + head.encode() + body).digest()[:_CHECK]


def _no_share() -> Invalid:
    return Invalid("This is no share: it has been misread or is cut off.", hint="A share begins with sgs1.")
