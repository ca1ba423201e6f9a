"""The audit trail's chain: each link is a keyed hash over the one before and the record.

Who owns the database but not the key can neither change, insert, drop nor reorder a record without ``verify`` naming
the place. What a chain alone cannot show is that its *end* was cut off: keep the count and the last link elsewhere
(a checkpoint) and compare.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from sluicegate.base.errors import Invalid
from sluicegate.crypto.keys import Key

SIZE = 64
"""Bytes of a link."""

GENESIS = bytes(SIZE)
"""What stands before the first record."""

_MARK = b"sluicegate audit chain 1\n"


class Chain:
    """Makes and checks links with the audit key."""

    __slots__ = ("_key",)

    def __init__(self, key: Key) -> None:
        """Hold the audit ``key``, which no other purpose shares."""
        self._key = key

    def link(self, previous: bytes, record: Mapping[str, Any]) -> bytes:
        """Return HMAC-SHA-512 (64 bytes) over ``previous`` and the record as canonical JSON (RFC 8785).

        ``previous`` is a link or ``GENESIS``. Raises ``Invalid`` when ``previous`` is no link or the record is not JSON
        (whole numbers up to 2^53 - 1, no NaN, text without lone surrogates).
        """
        import rfc8785

        if len(previous) != SIZE:
            raise Invalid(f"A link has {SIZE} bytes.")
        try:
            text = rfc8785.dumps(dict(record))
        except (ValueError, RecursionError):
            raise Invalid("The audit record is not plain JSON.") from None
        return hmac.digest(self._key.raw, _MARK + previous + text, hashlib.sha512)

    def verify(self, records: Iterable[tuple[Mapping[str, Any], bytes]], start: bytes = GENESIS) -> int | None:
        """Return the index of the first record that does not fit its link, or ``None`` when all do.

        ``records`` are (record, link) in order; ``start`` is the link before the first. Reads one at a time.
        """
        previous = start
        for index, (record, link) in enumerate(records):
            try:
                expected = self.link(previous, record)
            except Invalid:
                return index  # nothing that cannot be linked was ever written by us
            if not hmac.compare_digest(expected, link):
                return index
            previous = link
        return None
