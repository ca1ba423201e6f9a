"""``mask``: redact, hash, tokenize, encrypt, shift or replace what tells of people, and take such masks off again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.base.flaws import Misfit, Path
from sluicegate.base.model import Model, Name
from sluicegate.kit.lineage import Fact, Facts, Tags
from sluicegate.kit.masks import PSEUDONYMOUS, AnyMethod, Keys, Made, Used, Work
from sluicegate.kit.masks.values import SPELLED, family
from sluicegate.kit.rows import Reject
from sluicegate.kit.step import Masking
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    import pyarrow as pa

_RAW_MAX = 2000
_HIDDEN = "***"


class Rule(Model):
    """One method for some columns."""

    columns: tuple[str, ...] = Field(min_length=1, max_length=2000)
    """The columns; one may be written without brackets. NULL stays NULL."""
    method: AnyMethod
    """What is done: a word (``hash``), or a map with a ``type`` and what it is told."""
    tags: Tags = ()
    """Tags that the columns have from here on, beside those that the method leaves."""

    @field_validator("columns", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class Mask(Masking):
    """Change columns so that they tell less of people, under a key that nobody sees."""

    type: ClassVar[str] = "mask"
    name: Name
    """Name of this step."""
    from_: Name = Field(alias="from")
    """Name of the step whose rows come in."""
    key: Name | None = None
    """The masking key (``sluice secret generate NAME --kind key``); all but ``redact`` need one."""
    old_keys: tuple[Name, ...] = Field(default=(), max_length=20)
    """Keys from before: ``detokenize`` and ``decrypt`` also open what was made under these."""
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=500)
    """What is done to which columns. All others stay as they are."""
    on_fail: Literal["stop", "skip", "quarantine"] = "stop"
    """What happens to a row that cannot be masked: stop the run, leave it out, or keep it sealed for a look."""
    max_rejects: int = Field(default=100_000, ge=0)
    """Stop the run when more rows than this are rejected."""

    @model_validator(mode="after")
    def _sound(self) -> Mask:
        seen: set[str] = set()
        for place, rule in enumerate(self.rules):
            if rule.method.keyed and self.key is None:
                raise Misfit(f"{rule.method.type} needs a key: name one in 'key'", "rules", place, "method")
            for at, column in enumerate(rule.columns):
                if column in seen:
                    raise Misfit(f"two rules are for the column {column!r}", "rules", place, "columns", at)
                seen.add(column)
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one input."""
        return (self.from_,)

    @property
    def reveals(self) -> bool:
        """Whether a rule takes a mask off."""
        return any(rule.method.reveals for rule in self.rules)

    def key_names(self) -> Iterator[tuple[str, Path]]:
        """Yield ``key`` and ``old_keys``, when a rule needs them."""
        if self.key is not None and any(rule.method.keyed for rule in self.rules):
            yield self.key, ("key",)
            yield from ((name, ("old_keys", place)) for place, name in enumerate(self.old_keys))

    def trace(self, inputs: Mapping[str, Facts]) -> Facts:
        """Return what is known: a masked column has its method's tags, an opened one those from before, too."""
        known = inputs[self.from_]
        named = dict(known.named)
        for place, rule in enumerate(self.rules):
            for column in rule.columns:
                fact = known.get(column)
                if fact.kind and (why := rule.method.misfit(fact.kind)):
                    fault = Invalid(why, where=f"step {self.name}, rules[{place}].method")
                    fault.path = ("rules", place, "method")
                    raise fault
                named[column.lower()] = _masked(fact, rule)
        return Facts(named, known.rest)

    def start(self, schema: pa.Schema, keys: Keys) -> _Masker:
        """See ``Masking``."""
        return _Masker(self, schema, keys)


def _masked(fact: Fact, rule: Rule) -> Fact:
    """Return what is known of a column once a rule has been at it."""
    method = rule.method
    kind = method.gives or fact.kind
    added = frozenset((*method.leaves, *rule.tags))
    if method.reveals:
        return Fact((fact.tags - {PSEUDONYMOUS}) | fact.under | added, frozenset(), kind, sure=True)
    under = fact.under | (fact.tags - {PSEUDONYMOUS}) if method.leaves else frozenset[str]()
    return replace(fact, tags=added, under=under, kind=kind, sure=True)


class _Masker:
    """Masks batches of one schema."""

    def __init__(self, step: Mask, schema: pa.Schema, keys: Keys) -> None:
        import pyarrow as pa

        held = tuple(keys.get(name) for name, _ in step.key_names())
        self._works: dict[str, Work] = {}
        self.schema = schema
        for place, rule in enumerate(step.rules):
            where = f"step {step.name}, rules[{place}]"
            for column in (*rule.columns, *rule.method.reads):
                _require(column, schema, where)
            for column in rule.columns:
                field = schema.field(column)
                _require_no_twin(column, schema, where)
                kind = to_name(field.type)
                result = field.type if rule.method.keeps else to_arrow(rule.method.gives or kind)
                if pa.types.is_null(field.type):  # no value has said what the type is, and there is none to mask
                    self._works[column] = _nothing(result)
                elif why := rule.method.misfit(kind) or _misfit_subject(rule, schema):
                    raise Invalid(why, where=f"{where}.method")
                else:
                    self._works[column] = rule.method.start(Used(column, held))
                self.schema = self.schema.set(schema.get_field_index(column), field.with_type(result))

    def mask(self, batch: pa.RecordBatch, first_row: int) -> tuple[pa.RecordBatch, list[Reject]]:
        """Mask all columns over the batch as it came, then leave out the rows that failed."""
        import pyarrow as pa

        made: dict[str, Made] = {column: work(batch) for column, work in self._works.items()}
        columns = [
            made[field.name].values if field.name in made else batch.column(place)
            for place, field in enumerate(self.schema)
        ]
        masked = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        failed: dict[int, tuple[str, str]] = {}
        for column, each in made.items():
            for row in each.bad:
                failed.setdefault(row, (column, each.reason))
        if not failed:
            return masked, []
        rejects = [
            Reject(None, column, reason, self._raw(batch, row), first_row + row)
            for row, (column, reason) in sorted(failed.items())
        ]
        return masked.filter(pa.array([row not in failed for row in range(batch.num_rows)])), rejects

    def _raw(self, batch: pa.RecordBatch, row: int) -> str:
        """Return a row without what was to be masked in it."""
        import orjson

        told = {
            field.name: _HIDDEN if field.name in self._works else _shown(batch.column(place)[row])
            for place, field in enumerate(batch.schema)
        }
        return orjson.dumps(told, default=str).decode()[:_RAW_MAX]


def _require(column: str, schema: pa.Schema, where: str) -> None:
    if column not in schema.names:
        raise UnknownColumn(
            f"there is no column {column!r}", where=where, hint=f"There are: {', '.join(schema.names[:40])}."
        )


def _require_no_twin(column: str, schema: pa.Schema, where: str) -> None:
    """Refuse a column beside one of the same letters: tags take the two for one, and only one would be masked."""
    twins = [each for each in schema.names if each.lower() == column.lower() and each != column]
    if twins:
        raise Invalid(
            f"the columns {column!r} and {twins[0]!r} differ in case only",
            where=where,
            hint="Rename or leave out one of them in a map step before.",
        )


def _misfit_subject(rule: Rule, schema: pa.Schema) -> str:
    """Return why a method cannot go by the other column that it reads; empty when it can."""
    import pyarrow as pa

    for other in rule.method.reads:
        kind = schema.field(other).type
        if not pa.types.is_null(kind) and family(to_name(kind)) not in SPELLED:
            return f"{rule.method.type} cannot go by a column of type {to_name(kind)}"
    return ""


def _nothing(kind: pa.DataType) -> Work:
    import pyarrow as pa

    return lambda batch: Made(pa.nulls(batch.num_rows, kind))


def _shown(value: pa.Scalar[Any]) -> Any:
    import pyarrow as pa

    try:
        return value.as_py()
    except ValueError:  # a moment finer than Python's
        return value.cast(pa.string()).as_py()
