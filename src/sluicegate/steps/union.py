"""``union``: the rows of several inputs, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from sluicegate.base.errors import Invalid
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Name
from sluicegate.kit import meeting
from sluicegate.kit.lineage import Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.columns import Columns


class Union(Transform):
    """Give the rows of all inputs. Columns go together by name; their types must meet, without loss."""

    type: ClassVar[str] = "union"
    name: Name
    """Name of this step."""
    from_: tuple[Name, ...] = Field(alias="from", min_length=2, max_length=50)
    """Names of the steps whose rows come in; the first one says the order of columns."""
    rows: Literal["all", "distinct"] = "all"
    """Whether a row comes out as often as it came in, or once (NULL equals NULL)."""
    missing: Literal["error", "null"] = "error"
    """What a column is that an input does not have: an error, or NULL."""

    @field_validator("from_")
    @classmethod
    def _differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place, name in enumerate(value):
            if name in value[:place]:
                raise Misfit(f"names {name!r} twice", place)
        return value

    @property
    def inputs(self) -> tuple[str, ...]:
        """All inputs."""
        return self.from_

    @property
    def typed(self) -> tuple[str, ...]:
        """All inputs."""
        return self.from_

    def check_text(self) -> None:
        """There is no text of a person in it; names are only ever quoted."""

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the columns of the first input, then what others have more."""
        return tuple(dict.fromkeys(name for each in self.from_ for name in inputs[each]))

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: a column comes of those of its name in every input."""
        return Facts.merged(inputs.values())

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Hold every column against every other one of its name."""
        for place, here in enumerate(self.from_):
            for there in self.from_[place + 1 :]:
                for field in inputs[here]:
                    if field.name in inputs[there].names:
                        kinds = (here, field.type), (there, inputs[there].field(field.name).type)
                        meeting.require(field.name, *kinds, where=f"step {self.name}")

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT … UNION ALL SELECT …``, each in the order of the outputs."""
        outputs = self.outputs(inputs)
        if self.missing == "error":
            for each in self.from_:
                self._compare(each, inputs[each], outputs)
        names = [f'"u{place}"' for place in range(len(outputs))]
        parts = []
        for each in self.from_:
            known = inputs[each]
            shown = ", ".join(known.sql(name) if name in known else "NULL" for name in outputs)
            parts.append(f"SELECT {shown} FROM {known.table}")  # noqa: S608 - quoted names
        word = " UNION ALL " if self.rows == "all" else " UNION "
        return f'SELECT {", ".join(names)} FROM ({word.join(parts)}) AS "u"({", ".join(names)})'  # noqa: S608 - the same

    def _compare(self, name: str, known: Sequence[str], outputs: Sequence[str]) -> None:
        lost = [each for each in outputs if each not in known]
        if lost:
            raise Invalid(
                f"{name!r} has no column {lost[0]!r}, which another input has",
                where=f"step {self.name}",
                hint="Add or leave out the column in a step before, or say: missing: null",
            )
