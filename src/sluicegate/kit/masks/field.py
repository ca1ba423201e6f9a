"""``encrypt`` and ``decrypt``: equal values look different, and who has the key can open them."""

from __future__ import annotations

from typing import Literal

from sluicegate.base.model import Name
from sluicegate.crypto import masking
from sluicegate.kit.masks.method import Made, Method, Used, Work
from sluicegate.kit.masks.opening import Opens, open_all
from sluicegate.kit.masks.values import Distinct


class Encrypt(Method):
    """Put each value, encrypted (AES-256-SIV with random bytes), in its place. Nothing shows that two are equal."""

    type: Literal["encrypt"]
    domain: Name | None = None
    """What the values are bound to: they open there only. The column's name when absent."""

    @property
    def gives(self) -> str:
        """Text, whatever it was."""
        return "text"

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        import pyarrow as pa

        field = used.keys[0].fields(self.domain or used.column)

        def work(batch: pa.RecordBatch) -> Made:
            found = Distinct(batch.column(used.column))
            places = found.spread(pa.array(range(len(found.spelled)), pa.int32())).to_pylist()
            sealed = (None if place is None else field(found.spelled[place]) for place in places)
            return Made(pa.array(sealed, pa.string(), size=batch.num_rows))

        return work


class Decrypt(Opens):
    """Put the value in the place of what ``encrypt`` made of it. Who runs it needs the permission ``data:reveal``."""

    type: Literal["decrypt"]
    domain: Name | None = None
    """The domain that ``encrypt`` was told; the column's name when absent."""

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        domain = self.domain or used.column
        return open_all(used, masking.opening(masking.FRESH, domain, used.keys), self.as_, "field")
