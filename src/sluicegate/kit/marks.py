"""The query of a check: each row with the number of the rule that it breaks, for rules that no batch can tell alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sluicegate.base.errors import SluiceError
from sluicegate.kit import expression, meeting
from sluicegate.kit.columns import quote
from sluicegate.kit.order import ARRIVAL
from sluicegate.kit.rules import Reference, Rule
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.base.flaws import Path
    from sluicegate.kit.columns import Columns


class Marks(Transform):
    """Gives the rows of a check's input in their order, with a last column: the place of the first rule broken."""

    source: str
    """Name of the step whose rows come in."""
    rules: tuple[tuple[int, Rule], ...]
    """The rules, each with its place in the check."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rows, then those that references lead to."""
        return (self.source, *dict.fromkeys(each.from_ for each in self._references))

    @property
    def typed(self) -> tuple[str, ...]:
        """All of them, when there is a reference."""
        return self.inputs if self._references else ()

    @property
    def _references(self) -> list[Reference]:
        return [rule.reference for _, rule in self.rules if rule.reference is not None]

    def check_text(self) -> None:
        """Leave it to the check, which has done so."""

    def params(self) -> dict[str, Path]:
        """All ``:name`` in the expressions."""
        found: dict[str, Path] = {}
        for place, rule in self.rules:
            for name in expression.parse(rule.expression).params if rule.expression is not None else ():
                found.setdefault(name, ("rules", place, "expression"))
        return found

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the input's columns, then one of a name that none of them has."""
        names = tuple(inputs[self.source])
        mark = "rule"
        while mark in names:
            mark += "_"
        return (*names, mark)

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Hold the columns of each reference against those that they are looked up in."""
        for place, rule in self.rules:
            if rule.reference is None:
                continue
            for ours, theirs in zip(rule.names, rule.reference.columns or rule.names, strict=True):
                here = (self.source, inputs[self.source].field(ours).type)
                there = (rule.reference.from_, inputs[rule.reference.from_].field(theirs).type)
                meeting.require(ours, here, there, self._place(place, "reference"))

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT columns, CASE WHEN broken THEN place … END FROM input ORDER BY place``."""
        known = inputs[self.source]
        shown = ", ".join(known.sql(name) for name in known)
        row = quote("row")
        broken = " ".join(f"WHEN {self._broken(rule, place, inputs, row)} THEN {place}" for place, rule in self.rules)
        mark = f"CAST(CASE {broken} END AS SMALLINT)"
        rows = f"SELECT {shown}, {ARRIVAL} AS {row} FROM {known.table}"  # noqa: S608 - quoted names
        return f"SELECT {shown}, {mark} FROM ({rows}) ORDER BY {row}"  # noqa: S608 - every part is checked or quoted

    def _broken(self, rule: Rule, place: int, inputs: Mapping[str, Columns], row: str) -> str:
        known = inputs[self.source]
        if rule.expression is not None:
            try:
                return f"NOT coalesce(CAST({expression.parse(rule.expression).sql(known)} AS BOOLEAN), true)"
            except SluiceError as fault:
                raise fault.at(self._place(place, "expression")) from None
        known.need(rule.names, self._place(place, "columns" if rule.columns else "column"))
        ours = [known.sql(name) for name in rule.names]
        there = " AND ".join(f"{each} IS NOT NULL" for each in ours)
        if rule.reference is None:
            return f"{there} AND row_number() OVER (PARTITION BY {', '.join(ours)} ORDER BY {row}) > 1"
        target = inputs[rule.reference.from_]
        columns = rule.reference.columns or rule.names
        target.need(columns, self._place(place, "reference"))
        equal = " AND ".join(f"{target.sql(theirs)} = {mine}" for mine, theirs in zip(ours, columns, strict=True))
        return f"{there} AND NOT EXISTS (SELECT 1 FROM {target.table} WHERE {equal})"  # noqa: S608 - quoted names

    def _place(self, place: int, field: str) -> str:
        return f"step {self.name}, rules[{place}].{field}"
