"""Temporary data on a disk: sealed in blocks under a key that is in memory alone, so that what is left tells nothing.

AES-256-GCM, a fresh key for each file; the nonce of a block is its number, so each is used once: blocks are written in
their order and never again.
"""

import secrets
from typing import BinaryIO, Final

from sluicegate.base.errors import Corrupt

BLOCK: Final = 64 * 1024
"""Bytes of plaintext in each block but the last."""
_TAG: Final = 16


class Scratch:
    """Blocks that are written once, in order, and read in any."""

    def __init__(self, file: BinaryIO) -> None:
        """Write into ``file``, which is empty and the caller's to close."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._file, self._count = file, 0
        self._cipher = AESGCM(secrets.token_bytes(32))

    def append(self, block: bytes) -> None:
        """Write the next block; all but the last have ``BLOCK`` bytes."""
        self._file.write(self._cipher.encrypt(_nonce(self._count), block, None))
        self._count += 1

    def read(self, number: int) -> bytes:
        """Return block ``number``. Raises ``Corrupt`` when it is not as it was written."""
        from cryptography.exceptions import InvalidTag

        if not 0 <= number < self._count:
            raise Corrupt
        self._file.seek(number * (BLOCK + _TAG))
        try:
            return self._cipher.decrypt(_nonce(number), self._file.read(BLOCK + _TAG), None)
        except (InvalidTag, ValueError):
            raise Corrupt from None


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
