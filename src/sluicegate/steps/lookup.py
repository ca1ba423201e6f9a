"""``lookup``: bring columns in from another input, from the one row that has the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Name
from sluicegate.kit import comparison, meeting
from sluicegate.kit.columns import quote
from sluicegate.kit.lineage import Facts
from sluicegate.kit.literal import Value, fit
from sluicegate.kit.pair import Pair
from sluicegate.kit.step import Transform

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.columns import Columns


class Lookup(Transform):
    """Add columns of another input to each row. Every row stays, once: two rows for one key are an error."""

    type: ClassVar[str] = "lookup"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    in_: Name = Field(alias="in")
    """Name of the step whose rows are looked up; it is held in memory, and spilled when it is too large for it."""
    on: tuple[Pair, ...] = Field(min_length=1, max_length=200)
    """Columns that must be equal: a name, or ``{ left, right }``, ``right`` being in ``in``. NULL is never found."""
    take: dict[str, str] = Field(min_length=1, max_length=200)
    """The columns to add, ``name: column of what is looked up``."""
    default: dict[str, Value] = Field(default={})
    """What an added column is when the key is not found, ``name: value``; NULL otherwise."""
    missing: Literal["default", "error"] = "default"
    """What happens when a key is not found: the values of ``default``, or an error that names the key."""

    @model_validator(mode="after")
    def _taken(self) -> Lookup:
        for name in self.default:
            if name not in self.take:
                raise Misfit(f"there is no added column {name[:64]!r}; there are: {', '.join(self.take)}", "default")
        if self.default and self.missing == "error":
            raise Misfit("with 'missing: error' no default is ever used", "default")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rows, and what is looked up."""
        return (self.from_, self.in_)

    @property
    def typed(self) -> tuple[str, ...]:
        """Both inputs."""
        return self.inputs

    def check_text(self) -> None:
        """Check that the two inputs differ; names and values are only ever quoted."""
        comparison.check_sides(self.name, self.from_, self.in_, "in")

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the input's columns, then the added ones."""
        return (*inputs[self.from_], *self.take)

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: an added column comes of the one that is taken."""
        known, more = inputs[self.from_], inputs[self.in_]
        added = ((name, more.get(column)) for name, column in self.take.items())
        return Facts.listed([*known.named.items(), *added], known.rest)

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Hold the key's columns against each other."""
        for each in self.on:
            kinds = (inputs[self.from_].field(each.left).type, inputs[self.in_].field(each.right).type)
            meeting.require(each.left, (self.from_, kinds[0]), (self.in_, kinds[1]), f"step {self.name}, on")

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT … FROM rows LEFT JOIN (one row for each key, and how many there were)``."""
        rows, table = inputs[self.from_], inputs[self.in_]
        self._check(rows, table)
        keys = [table.sql(each.right) for each in self.on]
        taken = list(dict.fromkeys(self.take.values()))
        places = {column: quote(f"v{place}") for place, column in enumerate(taken)}
        joined = [quote(f"k{place}") for place in range(len(keys))]
        within = [f"{key} AS {name}" for key, name in zip(keys, joined, strict=True)]
        within += [f"{table.sql(column)} AS {place}" for column, place in places.items()]
        # Windows spill; aggregates over long texts do not (DuckDB 1.5.5).
        group = f"OVER (PARTITION BY {', '.join(keys)})"
        there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        found, many = quote("found"), quote("many")
        shown = [rows.sql(name) for name in rows]
        shown += [self._value(name, places[column], found) for name, column in self.take.items()]
        equal = " AND ".join(f"{rows.sql(each.left)} = {name}" for each, name in zip(self.on, joined, strict=True))
        key = rows.told(each.left for each in self.on)
        several = f"error('more than one row of what is looked up has the key: ' || {key})"
        bounds = f"WHEN {many} > 1 THEN {several}"
        if self.missing == "error":
            bounds += f" WHEN {found} IS NULL THEN error('no row of what is looked up has the key: ' || {key})"
        one = (
            f"SELECT {', '.join(within)}, true AS {found}, count(*) {group} AS {many} FROM {table.table} WHERE {there} "  # noqa: S608 - quoted names
            f"QUALIFY row_number() {group} = 1"
        )
        return (
            f"SELECT {', '.join(shown)} FROM {rows.table} LEFT JOIN ({one}) ON {equal} "  # noqa: S608 - the same
            f"WHERE CASE {bounds} ELSE true END"
        )

    def _check(self, rows: Columns, table: Columns) -> None:
        where = f"step {self.name}"
        for side, known, names, field in (
            (self.from_, rows, [each.left for each in self.on], "on"),
            (self.in_, table, [each.right for each in self.on], "on"),
            (self.in_, table, [*self.take.values()], "take"),
        ):
            for column in names:
                if column not in known:
                    raise UnknownColumn(
                        f"{side!r} has no column {column!r}",
                        where=f"{where}, {field}",
                        hint=f"It has: {', '.join(known[:40])}.",
                    )
        for name in self.take:
            if name in rows:
                raise Invalid(
                    f"{self.from_!r} has a column {name!r} already",
                    where=f"{where}, take",
                    hint="Give the added column another name.",
                )

    def _value(self, name: str, column: str, found: str) -> str:
        if name not in self.default:
            return column
        return f"CASE WHEN {found} IS NULL THEN {fit(self.default[name], column)} ELSE {column} END"
