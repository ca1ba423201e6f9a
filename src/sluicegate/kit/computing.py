"""Steps that hold expressions of a person, each at its place: ``map``, ``select``, ``aggregate``, ``flatten``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.base.flaws import Path, spell
from sluicegate.kit import expression
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns
    from sluicegate.kit.expression import Expression
    from sluicegate.kit.lineage import Fact, Facts


class Computing(Transform):
    """A transform with expressions; errors of one say where it stands."""

    aggregates: ClassVar[bool] = False
    """Whether aggregate functions may stand in them."""

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yield each expression and where it stands."""
        raise NotImplementedError

    def check_text(self) -> None:
        """Check every expression against the allowlist."""
        for path, text in self.texts():
            try:
                self.parsed(text)
            except Invalid as fault:
                fault.path = path
                raise fault.at(self.place(path)) from None

    def params(self) -> dict[str, Path]:
        """All ``:name`` in the expressions."""
        found: dict[str, Path] = {}
        for path, text in self.texts():
            for name in self.parsed(text).params:
                found.setdefault(name, path)
        return found

    def parsed(self, text: str) -> Expression:
        """Return an expression, checked."""
        return expression.parse(text, aggregates=self.aggregates)

    def place(self, path: Path) -> str:
        """Return how errors call a place in the step."""
        return f"step {self.name}, {spell(path)}"

    def sql(self, text: str, known: Columns, path: Path) -> str:
        """Return an expression over the columns that are ``known``."""
        try:
            return self.parsed(text).sql(known)
        except SluiceError as fault:
            raise fault.at(self.place(path)) from None

    def fact(self, text: str, known: Facts) -> Fact:
        """Return what is known of a value that an expression computes."""
        found = self.parsed(text)
        return replace(known.of(found.columns), kind=known.get(found.plain).kind if found.plain else found.cast)
