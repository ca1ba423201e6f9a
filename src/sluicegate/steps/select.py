"""``select``: all columns but some, under other names, with some more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from sluicegate.base.errors import Invalid
from sluicegate.base.flaws import Misfit, Path
from sluicegate.base.model import Name
from sluicegate.kit.computing import Computing
from sluicegate.kit.lineage import Facts

if TYPE_CHECKING:
    from sluicegate.kit.columns import Columns


class Select(Computing):
    """Let columns through as they are, but for what is said: left out, renamed, computed.

    Where ``map`` gives the complete list of what comes out, this gives the differences. Their order: ``keep`` or
    ``drop``, then ``rename``, then ``set``.
    """

    type: ClassVar[str] = "select"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    keep: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=2000)
    """Only these columns, in this order."""
    drop: tuple[str, ...] = Field(default=(), max_length=2000)
    """All columns but these, in their order."""
    rename: dict[str, str] = Field(default={}, max_length=2000)
    """Other names, ``new: old`` as in ``map``; the column stays in its place."""
    set: dict[str, str] = Field(default={}, max_length=2000)
    """Computed columns, ``name: expression`` over the input's: one that is there is replaced, others come last."""

    @model_validator(mode="after")
    def _one_way(self) -> Select:
        if self.keep is not None and self.drop:
            raise Misfit("'keep' and 'drop' are two ways to say the same: use one", "drop")
        for place, name in enumerate(self.keep or ()):
            if name in (self.keep or ())[:place]:
                raise Misfit(f"the column {name[:64]!r} is kept twice", "keep", place)
        old = list(self.rename.values())
        for new, name in self.rename.items():
            if old.count(name) > 1:
                raise Misfit(f"the column {name[:64]!r} is renamed twice; 'set' can copy it", "rename", new)
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the columns that are let through, under their new names, then the computed ones."""
        through = self._through(inputs[self.from_])
        return (*through, *(name for name in self.set if name not in through))

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: a renamed column of the old one, a computed one of the columns it reads.

        What is left out keeps its tags, without being sure: there can be another column that differs in case only.
        """
        known = inputs[self.from_]
        gone = {each.lower() for each in (*self.drop, *self.rename.values(), *self.set)}
        if self.keep is not None:
            gone |= set(known.named) - {each.lower() for each in self.keep}
        facts = [(name, replace(fact, sure=fact.sure and name not in gone)) for name, fact in known.named.items()]
        facts += [(new, known.get(old)) for new, old in self.rename.items()]
        facts += [(name, self.fact(text, known)) for name, text in self.set.items()]
        return Facts.listed(facts, known.rest)

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT columns, expressions FROM input``."""
        known = inputs[self.from_]
        for field, names in (("keep", self.keep or ()), ("drop", self.drop), ("rename", self.rename.values())):
            known.need(names, f"step {self.name}, {field}")
        through = self._through(known, strict=True)
        shown = [
            self.sql(self.set[name], known, ("set", name)) if name in self.set else known.sql(old)
            for name, old in through.items()
        ]
        shown += [self.sql(text, known, ("set", name)) for name, text in self.set.items() if name not in through]
        if not shown:
            raise Invalid("no column is left", where=f"step {self.name}")
        return f"SELECT {', '.join(shown)} FROM {known.table}"  # noqa: S608 - every part is checked or quoted

    def _through(self, known: Sequence[str], *, strict: bool = False) -> dict[str, str]:
        """Return the columns that are let through, new name → old; ``strict``: two under one name are an error."""
        new = {old: name for name, old in self.rename.items()}
        chosen = self.keep if self.keep is not None else tuple(name for name in known if name not in self.drop)
        found: dict[str, str] = {}
        for old in chosen:
            name = new.get(old, old)
            if name in found and strict:
                raise Invalid(
                    f"two columns would be called {name!r}: {found[name]!r} and {old!r}",
                    where=f"step {self.name}, rename",
                    hint="Leave out or rename the other one, too.",
                )
            found[name] = old
        lost = [old for old in self.rename.values() if old not in chosen]
        if lost and strict:
            raise Invalid(f"the column {lost[0]!r} is left out and renamed", where=f"step {self.name}, rename")
        return found

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yield each expression and where it stands."""
        return ((("set", name), text) for name, text in self.set.items())
