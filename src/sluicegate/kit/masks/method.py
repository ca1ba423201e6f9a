"""What every method of masking has: its form in a flow, the types it fits, and what it makes of a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sluicegate.base.errors import Failed
from sluicegate.base.model import Model
from sluicegate.crypto.masking import MaskingKey
from sluicegate.kit.masks.values import SPELLED, Distinct, family

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.base.secret import Secret

PSEUDONYMOUS = "pseudonymous"
"""Tag of a column whose values stand for others, which who has the key can find again."""
PERSONAL = "personal"
"""Tag of whatever a mask has been taken off of, and of what tells of a person."""


class Made(NamedTuple):
    """A masked column."""

    values: pa.Array[Any]
    bad: Sequence[int] = ()
    """Rows that could not be masked; they are rejected."""
    reason: str = ""
    """Why not."""


Work = Callable[["pa.RecordBatch"], Made]
"""Masks one column of a batch."""


def replacing(column: str, make: Callable[[bytes], str]) -> Work:
    """Return what puts a text in the place of each value, the same for the same value: each is made once a batch."""

    def work(batch: pa.RecordBatch) -> Made:
        import pyarrow as pa

        found = Distinct(batch.column(column))
        return Made(found.spread(pa.array([make(each) for each in found.spelled], pa.string())))

    return work


class Keys:
    """The masking keys that a run may use, by name."""

    def __init__(self, secrets: Mapping[str, Secret], tenant: str) -> None:
        """``tenant`` is empty when there is no server."""
        self._secrets, self._tenant = secrets, tenant

    def get(self, name: str) -> MaskingKey:
        """Return a key. Raises ``Failed`` when it has not been made, ``Invalid`` when what is there is none."""
        if name not in self._secrets:
            raise Failed(
                f"There is no masking key {name!r}.", hint=f"Make it: sluice secret generate {name} --kind key"
            )
        return MaskingKey(self._secrets[name], self._tenant)


class Used(NamedTuple):
    """What a method is given to work with."""

    column: str
    keys: Sequence[MaskingKey]
    """The step's key first, then older ones; none for a method without a key."""


class Method(Model):
    """One way to mask."""

    type: str
    keyed: ClassVar[bool] = True
    """Whether it needs a key."""
    reveals: ClassVar[bool] = False
    """Whether it takes a mask off, so that who runs it needs ``data:reveal``."""
    kinds: ClassVar[tuple[str, ...]] = SPELLED
    """Types of the columns that it fits."""

    def misfit(self, kind: str) -> str:
        """Return why it does not fit a column of this type; empty when it does."""
        if family(kind) in self.kinds:
            return ""
        return f"{self.type} does not fit a column of type {kind}: it takes {', '.join(self.kinds)}"

    @property
    def gives(self) -> str:
        """The type of what comes out; empty when it is the column's."""
        return ""

    @property
    def keeps(self) -> bool:
        """Whether the column keeps its very type."""
        return False

    @property
    def leaves(self) -> tuple[str, ...]:
        """Tags that its result has instead of the column's."""
        return (PSEUDONYMOUS,)

    @property
    def reads(self) -> tuple[str, ...]:
        """Other columns that it looks at."""
        return ()

    def start(self, used: Used) -> Work:
        """Return what masks the column, batch by batch."""
        raise NotImplementedError
