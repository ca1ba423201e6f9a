"""A rehearsal of the ceremony of shares, with a key that is thrown away: what opens, and what does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Final

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.seals import Shamir
from sluicegate.crypto import opaque
from sluicegate.crypto.keys import new_key
from sluicegate.guard.seals.shamir import ByShares

MOST: Final = 2000
"""Ways to choose shares that are tried at the most, of those that must open and of those that must not."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was tried."""

    shares: tuple[str, ...] = field(repr=False)
    opened: int
    """Ways to choose as many shares as are needed: each of them opened."""
    shut: int
    """Ways to choose one share fewer: none of them opened."""


def rehearse(shares: int, threshold: int) -> Rehearsal:
    """Make shares, and try every way to choose enough of them, and one too few. Raises ``Invalid`` when one errs."""
    if threshold > shares:
        raise Invalid("threshold is at most as many as shares")
    seal, root = ByShares(Shamir(shares=shares, threshold=threshold), "S1"), new_key()
    made = seal.make(root)
    opened = shut = 0
    for chosen in islice(combinations(made.shares, threshold), MOST):
        if not opaque.same(seal.open(made.state, chosen).raw, root.raw):
            raise Invalid("shares have opened another key than the one that was split")
        opened += 1
    for chosen in islice(combinations(made.shares, threshold - 1), MOST):
        try:
            seal.open(made.state, chosen)
        except Corrupt:
            shut += 1
        else:
            raise Invalid("too few shares have opened a key")
    return Rehearsal(tuple(each.reveal() for each in made.shares), opened, shut)
