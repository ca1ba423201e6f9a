"""``map``: choose, compute and filter columns with SQL expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.base.flaws import Path, spell
from sluicegate.base.model import Name
from sluicegate.kit import expression
from sluicegate.kit.lineage import Fact, Facts
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
        for path, text in self._texts():
            try:
                expression.parse(text)
            except Invalid as fault:
                fault.path = path
                raise fault.at(self._place(path)) from None

    def params(self) -> dict[str, Path]:
        """All ``:name`` in the expressions."""
        found: dict[str, Path] = {}
        for path, text in self._texts():
            for name in expression.parse(text).params:
                found.setdefault(name, path)
        return found

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the keys of ``columns``, or the input's columns."""
        return tuple(self.columns) if self.columns is not None else tuple(inputs[self.from_])

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: an output comes of the columns that its expression reads."""
        known = inputs[self.from_]
        if self.columns is None:
            return known
        return Facts.listed((name, _fact(expression.parse(text), known)) for name, text in self.columns.items())

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT expressions FROM input WHERE condition``."""
        known = inputs[self.from_]
        if self.columns is None:
            chosen = [known.sql(name) for name in known]
        else:
            chosen = [self._sql(text, known, ("columns", name)) for name, text in self.columns.items()]
        kept = f" WHERE {self._sql(self.where, known, ('where',))}" if self.where is not None else ""
        return f"SELECT {', '.join(chosen)} FROM {known.table}{kept}"  # noqa: S608 - every part is checked or quoted

    def _texts(self) -> Iterator[tuple[Path, str]]:
        """Yield each expression and where it stands."""
        for name, text in (self.columns or {}).items():
            yield ("columns", name), text
        if self.where is not None:
            yield ("where",), self.where

    def _place(self, path: Path) -> str:
        return f"step {self.name}, {spell(path)}"

    def _sql(self, text: str, known: Columns, path: Path) -> str:
        try:
            return expression.parse(text).sql(known)
        except SluiceError as fault:
            raise fault.at(self._place(path)) from None


def _fact(found: expression.Expression, known: Facts) -> Fact:
    fact = known.of(found.columns)
    return replace(fact, kind=known.get(found.plain).kind if found.plain else found.cast)
