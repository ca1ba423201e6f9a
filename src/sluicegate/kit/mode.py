"""How rows enter a destination."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model


class Append(Model):
    """Add the rows to what is there."""

    type: Literal["append"] = "append"


class Replace(Model):
    """Swap the whole content for the rows, in one step."""

    type: Literal["replace"] = "replace"


class Merge(Model):
    """Update the rows whose keys exist, insert the others, in one step."""

    type: Literal["merge"] = "merge"
    keys: tuple[str, ...] = Field(min_length=1)
    """Columns that identify a row."""
    duplicates: Literal["error", "last"] = "error"
    """What to do when two rows of one run have the same keys: stop, or keep the last in the order of ``order_by``."""
    order_by: tuple[str, ...] = ()
    """Columns that say which of two rows with the same keys is the last; needed for ``duplicates: last``."""

    @model_validator(mode="after")
    def _ordered(self) -> "Merge":
        if (self.duplicates == "last") != bool(self.order_by):
            msg = "'duplicates: last' and 'order_by' go together"
            raise Misfit(msg)
        return self


def _spelled_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


Mode = Annotated[Annotated[Append | Replace | Merge, Field(discriminator="type")], BeforeValidator(_spelled_out)]
"""``append``, ``replace`` or ``merge``; a bare word stands for a mode without options."""
