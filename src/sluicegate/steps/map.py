"""``map``: choose, compute and filter columns with SQL expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sluicegate.base.errors import SluiceError
from sluicegate.base.model import Name
from sluicegate.kit import expression
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Map(Transform):
    """Give the complete list of output columns, each an SQL expression over the input's columns."""

    type: ClassVar[str] = "map"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    columns: dict[str, str] | None = Field(default=None, min_length=1)
    """The complete output, ``name: expression``; all input columns as they are when absent."""
    where: str | None = None
    """Keep only rows for which this holds. It sees the input's columns."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def check_text(self) -> None:
        """Check every expression against the allowlist."""
        for name, text in (self.columns or {}).items():
            self._parse(text, f"columns.{name}")
        if self.where is not None:
            self._parse(self.where, "where")

    def params(self) -> tuple[str, ...]:
        """All ``:name`` in the expressions."""
        texts = [*(self.columns or {}).values(), *([self.where] if self.where is not None else [])]
        return tuple(dict.fromkeys(name for text in texts for name in expression.parse(text).params))

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the keys of ``columns``, or the input's columns."""
        return tuple(self.columns) if self.columns is not None else tuple(inputs[self.from_])

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT expressions FROM input WHERE condition``."""
        known = inputs[self.from_]
        if self.columns is None:
            chosen = [known.sql(name) for name in known]
        else:
            chosen = [self._sql(text, known, f"columns.{name}") for name, text in self.columns.items()]
        kept = f" WHERE {self._sql(self.where, known, 'where')}" if self.where is not None else ""
        return f"SELECT {', '.join(chosen)} FROM {known.table}{kept}"  # noqa: S608 - every part is checked or quoted

    def _parse(self, text: str, part: str) -> expression.Expression:
        try:
            return expression.parse(text)
        except SluiceError as fault:
            raise fault.at(f"step {self.name}, {part}") from None

    def _sql(self, text: str, known: Columns, part: str) -> str:
        try:
            return expression.parse(text).sql(known)
        except SluiceError as fault:
            raise fault.at(f"step {self.name}, {part}") from None
