"""``map``: choose, compute and filter columns with SQL expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sluicegate.base.flaws import Path
from sluicegate.base.model import Name
from sluicegate.kit.computing import Computing
from sluicegate.kit.lineage import Facts

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Map(Computing):
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

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the keys of ``columns``, or the input's columns."""
        return tuple(self.columns) if self.columns is not None else tuple(inputs[self.from_])

    @property
    def chosen(self) -> Mapping[str, tuple[str, ...]] | None:
        """Return the paths that its expressions are, when each is one and all rows are kept."""
        paths = {name: self.parsed(text).path for name, text in (self.columns or {}).items()}
        return paths if self.where is None and paths and all(paths.values()) else None

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: an output comes of the columns that its expression reads."""
        known = inputs[self.from_]
        if self.columns is None:
            return known
        return Facts.listed((name, self.fact(text, known)) for name, text in self.columns.items())

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT expressions FROM input WHERE condition``."""
        known = inputs[self.from_]
        if self.columns is None:
            chosen = [known.sql(name) for name in known]
        else:
            chosen = [self.sql(text, known, ("columns", name)) for name, text in self.columns.items()]
        kept = f" WHERE {self.sql(self.where, known, ('where',))}" if self.where is not None else ""
        return f"SELECT {', '.join(chosen)} FROM {known.table}{kept}"  # noqa: S608 - every part is checked or quoted

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yield each expression and where it stands."""
        for name, text in (self.columns or {}).items():
            yield ("columns", name), text
        if self.where is not None:
            yield ("where",), self.where
