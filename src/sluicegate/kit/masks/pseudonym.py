"""``hash``, ``tokenize`` and ``detokenize``: equal values stay equal, so that what was joined can still be joined."""

from __future__ import annotations

from typing import Literal

from sluicegate.base.model import Name
from sluicegate.crypto import masking
from sluicegate.kit.masks.method import Method, Used, Work, replacing
from sluicegate.kit.masks.opening import Opens, open_all


class Hash(Method):
    """Put a keyed hash (HMAC-SHA-512, 256 bits of it, hex) in the place of each value. Nobody can turn it back."""

    type: Literal["hash"]
    domain: Name | None = None
    """Columns of one domain have equal hashes for equal values; those of two have nothing in common."""

    @property
    def gives(self) -> str:
        """Text, whatever it was."""
        return "text"

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        digest = used.keys[0].digests(self.domain or "")
        return replacing(used.column, lambda value: digest(value).hex())


class Tokenize(Method):
    """Put a token in the place of each value: equal ones for equal values, which ``detokenize`` opens."""

    type: Literal["tokenize"]
    domain: Name | None = None
    """Columns of one domain have equal tokens for equal values; a token opens in its own domain only."""

    @property
    def gives(self) -> str:
        """Text, whatever it was."""
        return "text"

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        return replacing(used.column, used.keys[0].tokens(self.domain or ""))


class Detokenize(Opens):
    """Put the value in the place of each token. Who runs it needs the permission ``data:reveal``."""

    type: Literal["detokenize"]
    domain: Name | None = None
    """The domain that the tokens were made for."""

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        return open_all(used, masking.opening(masking.STABLE, self.domain or "", used.keys), self.as_, "token")
