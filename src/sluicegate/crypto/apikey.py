"""API keys as text: ``slg_<id>_<secret>_<checksum>``.

The prefix and the checksum let a scanner tell a key from noise without asking anybody. The checksum is no secret and
proves nothing: it is CRC-32 of all before it, as other makers of tokens do it.
"""

from __future__ import annotations

import re
import secrets
import zlib
from typing import Final
from uuid import UUID

from sluicegate.base.secret import Secret

PREFIX: Final = "slg"
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECK = 22, 43, 6  # letters that hold 128, 256 and 32 bits
_SHAPE = re.compile(rf"({PREFIX}_([0-9A-Za-z]{{{_ID}}})_[0-9A-Za-z]{{{_SECRET}}})_([0-9A-Za-z]{{{_CHECK}}})", re.ASCII)


def new_key(id_: str) -> Secret:
    """Return a fresh key with this id (a UUID): 256 random bits, shown once, of which only a digest is kept."""
    body = f"{PREFIX}_{_write(UUID(id_).int, _ID)}_{_write(secrets.randbits(256), _SECRET)}"
    return Secret(f"{body}_{_checksum(body)}")


def id_of(text: str) -> str | None:
    """Return the id of the key that ``text`` looks like; ``None`` when its form or its checksum does not fit."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or _checksum(shape[1]) != shape[3]:
        return None
    number = _read(shape[2])
    return str(UUID(int=number)) if number < 1 << 128 else None


def _checksum(body: str) -> str:
    return _write(zlib.crc32(body.encode("ascii")), _CHECK)


def _write(number: int, size: int) -> str:
    letters = []
    for _ in range(size):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(reversed(letters))


def _read(text: str) -> int:
    number = 0
    for letter in text:
        number = number * len(_LETTERS) + _LETTERS.index(letter)
    return number
