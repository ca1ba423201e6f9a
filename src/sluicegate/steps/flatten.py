"""``flatten``: a row for each element of a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sluicegate.base.errors import Invalid
from sluicegate.base.flaws import Path
from sluicegate.base.model import Name
from sluicegate.kit.columns import Columns, quote
from sluicegate.kit.computing import Computing
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa


class Flatten(Computing):
    """Give a row for each element of a list or JSON array, with the other columns beside it.

    ``fields`` takes an element apart: one of a list of structs is a struct, one of a JSON array is JSON. Without
    ``fields`` it comes out as it is.
    """

    type: ClassVar[str] = "flatten"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    column: str
    """The column that holds the lists. It does not come out; the elements do."""
    as_: Literal["list", "json"] = Field(default="list", alias="as")
    """What it holds: lists, or JSON arrays."""
    into: str = Field(default="", max_length=200)
    """What an element is called, in ``fields`` and in what comes out; as the column when empty."""
    fields: dict[str, str] = Field(default={}, max_length=2000)
    """What is taken out of an element, ``name: expression``: ``item['sku']``, or ``item->>'$.sku'`` of JSON."""
    position: str = Field(default="", max_length=200)
    """Name of a column for the element's place in its list, from 1; none when empty."""
    empty: Literal["drop", "keep"] = "drop"
    """What becomes of a row whose list is empty or NULL: it is left out, or stays with a NULL element."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    @property
    def typed(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    @property
    def _element(self) -> str:
        return self.into or self.column

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the other columns, the position, then the fields or the element."""
        others = [name for name in inputs[self.from_] if name != self.column]
        return (*others, *([self.position] if self.position else []), *(self.fields or [self._element]))

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: an element, its place and its fields come of the column."""
        known = inputs[self.from_]
        held = known.get(self.column)
        element = Fact(held.tags, held.under, sure=True)
        inner = Facts({**known.named, self._element.lower(): element}, known.rest)
        made = [(name, inner.of(self.parsed(text).columns)) for name, text in self.fields.items()]
        made += [] if self.fields else [(self._element, element)]
        made += [(self.position, element)] if self.position else []
        return Facts.listed([*known.named.items(), *made], known.rest)

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Refuse a column that does not hold what it is said to hold."""
        import pyarrow as pa

        kind = inputs[self.from_].field(self.column).type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if is_list if self.as_ == "list" else isinstance(kind, pa.JsonType):
            return
        hint = "Say: as: json" if isinstance(kind, pa.JsonType) else "Say: as: list" if is_list else ""
        wanted = "list" if self.as_ == "list" else "json"
        raise Invalid(
            f"the column {self.column!r} is {to_name(kind)}, not a {wanted}",
            where=f"step {self.name}, column",
            hint=hint or "Cast it to json in a step before: cast(… as json), and say: as: json",
        )

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """``SELECT others, fields FROM (SELECT others, unnest(list) FROM input)``."""
        known = inputs[self.from_]
        known.need([self.column], f"step {self.name}, column")
        outputs = self.outputs(inputs)
        twice = next((name for place, name in enumerate(outputs) if name in outputs[:place]), None)
        if twice is not None:
            raise Invalid(
                f"two columns would be called {twice!r}",
                where=f"step {self.name}",
                hint="Say another name: into, position or a key of fields.",
            )
        if self.into in known and self.into != self.column:
            raise Invalid(
                f"{self.from_!r} has another column {self.into!r}",
                where=f"step {self.name}, into",
                hint="Call the element something else.",
            )
        others = {name: known.inner(name) for name in known if name != self.column}
        through = [known.sql(name) for name in others]
        items, element, place = map(quote, ("items", "element", "place"))
        elements, places = items, f"range(1, len({items}) + 1)"
        if self.empty == "keep":
            elements, places = (
                f"CASE WHEN len({items}) > 0 THEN {each} ELSE [NULL] END" for each in (elements, places)
            )
        within = [*through, f"unnest({elements}) AS {element}"]
        shown = list(through)
        if self.position:
            within.append(f"unnest({places}) AS {place}")
            shown.append(place)
        inner = Columns("", {**others, self._element: "element"})
        shown += [self.sql(text, inner, ("fields", name)) for name, text in self.fields.items()] or [element]
        source = f"SELECT {', '.join([*through, f'{self._items(known)} AS {items}'])} FROM {known.table}"  # noqa: S608 - quoted names
        return f"SELECT {', '.join(shown)} FROM (SELECT {', '.join(within)} FROM ({source}))"  # noqa: S608 - every part is checked or quoted

    def _items(self, known: Columns) -> str:
        """Return the column as a list."""
        source = known.sql(self.column)
        if self.as_ == "list":
            return source
        kind = f"json_type({source})"
        says = f"error('a JSON value is no array: ' || {known.told([self.column])})"
        return (
            f"CASE WHEN {source} IS NULL OR {kind} = 'NULL' THEN NULL "  # JSON has a null of its own
            f"WHEN {kind} <> 'ARRAY' THEN {says} ELSE CAST({source} AS JSON[]) END"
        )

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yield each expression and where it stands."""
        return ((("fields", name), text) for name, text in self.fields.items())
