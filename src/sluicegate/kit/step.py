"""What a flow is made of: the third plugin shape.

Five sorts of step, told apart by class: a ``Reading`` brings rows in, a ``Transform`` is one SQL query over its
inputs (it runs in the jail when it holds a person's text), a ``Check`` splits rows into good and bad, a ``Masking``
changes values under keys (in the task: the jail never has a key), a ``Writing`` lets rows out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field, SerializeAsAny, ValidationError, field_validator

from sluicegate.base.flaws import Misfit, flaws_of
from sluicegate.base.model import Model, Name
from sluicegate.kit.format import Format
from sluicegate.kit.lineage import Facts, Tags
from sluicegate.kit.watermark import Since

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from sluicegate.base.flaws import Path
    from sluicegate.kit.columns import Columns
    from sluicegate.kit.masks.method import Keys
    from sluicegate.kit.rows import Reject

ITEM_MAX = 1024


class Step(Model):
    """One step of a flow."""

    type: ClassVar[str]
    name: Name | None = None
    """Name of this step, for the steps after it; a writing step is named after what it writes when it has none."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the steps whose rows this one takes."""
        return ()

    @property
    def jails(self) -> bool:
        """Whether a query is run for it, in the jail."""
        return False

    def params(self) -> Mapping[str, Path]:
        """Return the names of the parameters that its expressions use, and where each is used first."""
        return {}

    def check_text(self) -> None:
        """Check all that can be checked without knowing the columns; ``Invalid`` has the ``path`` of what is wrong."""

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known of its columns, from what is known of those of its inputs, by name.

        Who does not say which column comes of which has each come of all: no tag is lost by a step that is silent.
        """
        return Facts.smeared(inputs.values())


class Reading(Step):
    """Brings rows in from a connection."""

    connection: Name
    """Name of the connection to read from."""
    item: str = Field(min_length=1, max_length=ITEM_MAX)
    """Table, view or file; ``{param}`` is filled in, its value checked as one path segment."""
    tags: dict[str, Tags] = Field(default={}, max_length=2000)
    """What columns hold, ``column: [personal]``; tags of the connection hold beside these."""
    since: Since | None = None
    """Read only the rows that are new since the last run that landed, by a column that rises."""


class Transform(Step):
    """One query over its inputs: pure, without Context."""

    def query(self, inputs: Mapping[str, Columns]) -> str:
        """Return one SELECT (DuckDB dialect) that gives the output columns in order; what it calls them is not read.

        ``inputs`` tells, by the name of the step, how an input and its columns are spelled here. Raises
        ``UnknownColumn`` or ``Invalid``, placed at the column.
        """
        raise NotImplementedError

    def check_text(self) -> None:
        """Check every expression; see ``Step``."""
        raise NotImplementedError

    @property
    def chosen(self) -> Mapping[str, tuple[str, ...]] | None:
        """Return for each output the column and fields it is, when that is all the step does; ``None``: it computes."""
        return None

    @property
    def typed(self) -> tuple[str, ...]:
        """Names of the inputs whose types ``check_types`` wants to know."""
        return ()

    def check_types(self, inputs: Mapping[str, pa.Schema]) -> None:
        """Raise ``Invalid`` when the types of the inputs it asked for do not go together; no row has been read yet."""

    @property
    def jails(self) -> bool:
        """Always."""
        return True

    def outputs(self, inputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the names of the output columns, in order."""
        raise NotImplementedError


class Check(Step):
    """Splits rows into those that pass and those that do not."""

    def split(
        self, batch: pa.RecordBatch, first_row: int, marks: pa.Array[Any] | None = None
    ) -> tuple[pa.RecordBatch, list[Any]]:
        """Return the rows that pass, and a ``Reject`` for each that does not; ``first_row`` is an ordinal.

        ``marks``: what the query of ``marking`` said of these rows, when there is one.
        """
        raise NotImplementedError

    def marking(self, *, whole: bool = True) -> Transform | None:  # noqa: ARG002 - for those that mark
        """Return a transform that gives the rows in their order with one more column, the marks; ``None``: no need.

        ``whole``: whether all rows of all inputs come; in previews they do not.
        """
        return None

    def watch(self) -> Watching:
        """Return what sees all rows of one run and says at their end whether they will do."""
        raise NotImplementedError

    @property
    def jails(self) -> bool:
        """Whether rows are marked by a query."""
        return self.marking() is not None

    def params(self) -> Mapping[str, Path]:
        """Return those of the query."""
        found = self.marking()
        return {} if found is None else found.params()

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise ``UnknownColumn`` when a rule names a column that is not there."""
        raise NotImplementedError

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known of its one input: rows are left out, nothing is changed."""
        return inputs[self.inputs[0]]


class Watching(Protocol):
    """Sees all rows of a check."""

    def see(self, batch: pa.RecordBatch) -> None:
        """Take note of a batch, before its rows are split."""

    def end(self) -> None:
        """Raise ``DataError`` when all rows together break a rule."""


class Masking(Step):
    """Changes values under keys of the tenant."""

    @property
    def reveals(self) -> bool:
        """Whether it takes masks off, so that who runs it needs ``data:reveal``."""
        return False

    def key_names(self) -> Iterator[tuple[str, Path]]:
        """Yield the names of the masking keys it uses, and where each stands."""
        yield from ()

    def start(self, schema: pa.Schema, keys: Keys) -> Masker:
        """Return what masks rows of this ``schema``.

        Raises ``UnknownColumn``, ``Invalid`` (a method does not fit a column's type) or ``Failed`` (there is no key).
        """
        raise NotImplementedError


class Masker(Protocol):
    """Masks the rows of one step, batch by batch."""

    schema: pa.Schema
    """Of what comes out."""

    def mask(self, batch: pa.RecordBatch, first_row: int) -> tuple[pa.RecordBatch, list[Reject]]:
        """Return the masked rows, and a reject for each that cannot be masked; ``first_row`` is an ordinal."""


class Writing(Step):
    """Lets rows out to a connection."""

    from_: Name = Field(alias="from")
    """Name of the step whose rows are written."""
    connection: Name
    """Name of the connection to write to."""
    item: str = Field(min_length=1, max_length=ITEM_MAX)
    """Table or file; ``{param}`` is filled in, its value checked as one path segment."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)


def parse_format(value: Any) -> Any:
    """Turn the ``format:`` of a document into its plugin. A bare word is a format type without options."""
    from sluicegate.kit import registry  # the registry knows this module's classes

    if value is None or isinstance(value, Format):
        return value
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Misfit("is a word, or a map with a 'type'")
    if value["type"] not in registry.types("format"):
        raise Misfit("unknown format type; there are: " + ", ".join(registry.types("format")), "type")
    try:
        return registry.find("format", value["type"]).model_validate(value)  # type: ignore[attr-defined]
    except ValidationError as fault:
        raise Misfit(flaws=flaws_of(fault, value)) from None


class Formatted(Step):
    """A step that may name a format; when it names none, the item's suffix tells."""

    format: SerializeAsAny[Format] | None = None
    """How the bytes are read or written; told by the item's suffix when absent."""

    _parse = field_validator("format", mode="before")(parse_format)
