"""A passphrase that somebody types at each start: Argon2id, its cost and salt kept beside what it seals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto import envelope
from sluicegate.crypto.password import Cost, new_salt, stretch
from sluicegate.guard.seals.seal import Enclosed, Made, State, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.base.seals import Passphrase
    from sluicegate.base.secret import Secret
    from sluicegate.crypto.keys import Key

LEAST: Final = 20
"""Characters of a passphrase: whoever steals the file may try as often as they like."""
MOST: Final = 1024
_KINDS: Final = 8


class ByPassphrase(Enclosed):
    """The sealing key under the key that the passphrase stands for."""

    kind: ClassVar[str] = "passphrase"
    people: ClassVar[bool] = True

    def __init__(self, settings: Passphrase, suite: str) -> None:
        """Hold what new ones cost."""
        super().__init__(suite)
        self._cost = Cost(memory=settings.memory, passes=settings.rounds)

    def accept(self, state: Mapping[str, Any], given: Secret) -> str:
        """See ``Seal.accept``."""
        if len(given.reveal()) > MOST:
            raise Invalid(f"A passphrase has {MOST} characters at the most.")
        return super().accept(state, given)

    def _keep(self, state: State, sealing: Key, given: Secret | None) -> Made:  # noqa: ARG002 - as all seals
        if given is None or not LEAST <= len(given.reveal()) <= MOST or len(set(given.reveal())) < _KINDS:
            raise Invalid(
                f"A passphrase has {LEAST} to {MOST} characters, {_KINDS} different ones among them.",
                hint="Six words or more that nobody would put together.",
            )
        salt = new_salt()
        cost = {"memory": self._cost.memory, "passes": self._cost.passes, "lanes": self._cost.lanes}
        told: State = {"salt": pack(salt), "cost": cost}
        wrapped = envelope.wrap(stretch(given, salt, self._cost), sealing, self._under(told), self._suite)
        return Made({**told, "kept": pack(wrapped)})

    def _found(self, state: Mapping[str, Any], given: Sequence[Secret]) -> Key:
        try:
            cost = Cost(**state["cost"])  # below the floor, or more than we would spend, is refused
        except (Invalid, KeyError, TypeError):
            raise Corrupt from None
        if len(given) != 1:
            raise Corrupt
        return envelope.unwrap(
            stretch(given[0], unpack(state, "salt"), cost), unpack(state, "kept"), self._under(state)
        )

    @staticmethod
    def _under(state: Mapping[str, Any]) -> tuple[str, ...]:
        cost = state["cost"]
        return ("seal", "passphrase", str(state["salt"]), *(f"{name}={cost[name]}" for name in sorted(cost)))
