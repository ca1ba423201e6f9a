"""``sql``: one SELECT over the rows of other steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.base.flaws import Misfit, Path
from sluicegate.base.model import Name
from sluicegate.kit import statement
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Sql(Transform):
    """Run one SELECT (DuckDB's dialect). Its tables are the steps in ``from``, by their names, and nothing else.

    Every column is named: ``*`` stands in ``count(*)`` alone. What comes out has all tags of all columns it mentions.
    """

    type: ClassVar[str] = "sql"
    name: Name
    """Name of this step."""
    from_: tuple[Name, ...] = Field(alias="from", min_length=1, max_length=50)
    """Names of the steps whose rows come in; in double quotes in the query when they hold a ``-``."""
    query_: str = Field(alias="query", max_length=10_000)
    """The SELECT; ``:name`` is a parameter of the flow. Functions are those of expressions, aggregates and windows."""

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

    def check_text(self) -> None:
        """Check the query against the allowlist, and its tables against the inputs."""
        try:
            statement.parse(self.query_).check_tables(self.from_)
        except Invalid as fault:
            fault.path = ("query",)
            raise fault.at(f"step {self.name}, query") from None

    def params(self) -> dict[str, Path]:
        """All ``:name`` in the query."""
        return dict.fromkeys(statement.parse(self.query_).params, ("query",))

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:  # noqa: ARG002 - it tells them itself
        """Return the names of the query's columns."""
        return statement.parse(self.query_).outputs

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: each column comes of every column that the query mentions, in any input."""
        parsed = statement.parse(self.query_)
        held = Fact(sure=True)
        for each in inputs.values():
            held = held.joined(each.of(sorted(parsed.columns)))
        return Facts.listed((name, held) for name in parsed.outputs)

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """Return the query over the columns that it mentions."""
        try:
            return statement.parse(self.query_).sql(inputs)
        except SluiceError as fault:
            raise fault.at(f"step {self.name}, query") from None
