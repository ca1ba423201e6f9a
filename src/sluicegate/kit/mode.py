"""How rows enter a destination."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model


class Loading(Model):
    """The base of all modes."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """What the flow must allow, because rows that are there are taken away."""
    creates: ClassVar[bool] = True
    """Whether it has a use for a table that is not there yet."""


class Append(Loading):
    """Add the rows to what is there."""

    type: Literal["append"] = "append"


class Replace(Loading):
    """Swap the whole content for the rows, in one step. A table whose columns do not fit is made anew."""

    needs: ClassVar[frozenset[str]] = frozenset({"replace"})
    type: Literal["replace"] = "replace"


class Truncate(Loading):
    """Empty the table and insert the rows, in one step. The table itself stays: its columns must fit."""

    needs: ClassVar[frozenset[str]] = frozenset({"truncate"})
    type: Literal["truncate"] = "truncate"


class Keyed(Loading):
    """The base of modes that find rows by a key. The target needs a unique index on it."""

    keys: tuple[str, ...] = Field(min_length=1)
    """Columns that identify a row."""
    duplicates: Literal["error", "last"] = "error"
    """What to do when two rows of one run have the same keys: stop, or keep the last in the order of ``order_by``."""
    order_by: tuple[str, ...] = ()
    """Columns that say which of two rows with the same keys is the last; needed for ``duplicates: last``."""

    @model_validator(mode="after")
    def _ordered(self) -> "Keyed":
        if (self.duplicates == "last") != bool(self.order_by):
            msg = "'duplicates: last' and 'order_by' go together"
            raise Misfit(msg)
        return self


class Merge(Keyed):
    """Update the rows whose keys exist, insert the others, in one step."""

    type: Literal["merge"] = "merge"


class Update(Keyed):
    """Update the rows whose keys exist, and leave out the others."""

    creates: ClassVar[bool] = False
    type: Literal["update"] = "update"


class InsertMissing(Keyed):
    """Insert the rows whose keys do not exist, and leave those that do as they are."""

    type: Literal["insert_missing"] = "insert_missing"


class Delete(Keyed):
    """Delete the rows whose keys come. Other columns of the rows are not looked at."""

    needs: ClassVar[frozenset[str]] = frozenset({"delete"})
    creates: ClassVar[bool] = False
    type: Literal["delete"] = "delete"


def _spelled_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


Mode = Annotated[
    Annotated[
        Append | Replace | Truncate | Merge | Update | InsertMissing | Delete, Field(discriminator="type")
    ],
    BeforeValidator(_spelled_out),
]  # fmt: skip
"""One of the modes; a bare word stands for a mode without options."""
