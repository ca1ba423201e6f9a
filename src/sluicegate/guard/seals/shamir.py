"""Shares that people hold: enough of them together open, fewer tell nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto.shares import combine, read_share, split
from sluicegate.guard.seals.seal import Enclosed, Made, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.base.seals import Shamir
    from sluicegate.base.secret import Secret
    from sluicegate.crypto.keys import Key


class ByShares(Enclosed):
    """The sealing key, split."""

    kind: ClassVar[str] = "shamir"
    people: ClassVar[bool] = True

    def __init__(self, settings: Shamir, suite: str) -> None:
        """Hold into how many new ones are split."""
        super().__init__(suite)
        self._count, self._threshold = settings.shares, settings.threshold

    def needed(self, state: Mapping[str, Any]) -> int:
        """See ``Seal.needed``."""
        return int(state["threshold"])

    def accept(self, state: Mapping[str, Any], given: Secret) -> str:
        """See ``Seal.accept``."""
        share = read_share(given)
        if (share.set, share.threshold) != (state.get("set"), state.get("threshold")) or share.index > state["shares"]:
            raise Invalid(
                f"This share is of another set: {share.set}. Those of {state.get('set')} are asked for.",
                hint="Shares of a seal that has been replaced open nothing.",
            )
        return str(share.index)

    def _keep(self, state: State, sealing: Key, given: Secret | None) -> Made:  # noqa: ARG002 - as all seals
        shares = split(sealing, self._count, self._threshold)
        told = {"set": shares[0].set, "shares": self._count, "threshold": self._threshold}
        return Made(told, tuple(each.text() for each in shares))

    def _found(self, state: Mapping[str, Any], given: Sequence[Secret]) -> Key:
        try:
            shares = {self.accept(state, each): read_share(each) for each in given}
        except (Invalid, KeyError, TypeError):
            raise Corrupt from None
        return combine(tuple(shares.values()))
