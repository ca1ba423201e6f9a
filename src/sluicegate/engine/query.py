"""A tree of transforms as one query for the jail, in which no two columns share a name. Pure, but for ``renamed``.

And but for a salt in all names of the query: no expression can name what its tree does not say it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.crypto import opaque
from sluicegate.kit.columns import Columns, quote
from sluicegate.kit.step import Step, Transform

if TYPE_CHECKING:
    import pyarrow as pa


class Input(NamedTuple):
    """One stream of rows that the query takes."""

    table: str
    step: str
    columns: tuple[str, ...]
    """What its columns are called in the query."""


class Query(NamedTuple):
    """One SELECT, and how its names and people's go together."""

    sql: str
    params: dict[str, Any]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    """People's names of the columns that come out."""
    names: dict[str, str]
    """The query's names of all columns, and people's."""
    types: str
    """One SELECT of all columns whose types a step asks for; empty when none asks."""
    judge: Callable[[pa.Schema], None]
    """Hands those types to the steps that ask; ``Invalid`` is placed at the step."""


def leaves(named: Mapping[str, Step], name: str) -> tuple[str, ...]:
    """Return the steps whose rows the tree of transforms that ends in ``name`` takes, each once."""
    found: dict[str, None] = {}
    for each in _walk(named, name, set()):
        if not isinstance(named[each], Transform):
            found[each] = None
    return tuple(found)


def _walk(named: Mapping[str, Step], name: str, seen: set[str]) -> Iterator[str]:
    """Yield ``name`` and what it takes rows from, up to the first that is no transform; inputs first."""
    if name in seen:
        return
    seen.add(name)
    step = named[name]
    if isinstance(step, Transform):
        for each in step.inputs:
            yield from _walk(named, each, seen)
    yield name


def compose(
    named: Mapping[str, Step], name: str, schemas: Mapping[str, Sequence[str]], values: Mapping[str, Any]
) -> Query:
    """Return the query for the tree that ends in ``name``; ``schemas`` gives the columns of its leaves.

    Raises ``UnknownColumn`` or ``Invalid`` with the step and the column.
    """
    order = tuple(_walk(named, name, set()))
    uses = [wanted for each in order if isinstance(named[each], Transform) for wanted in named[each].inputs]
    numbers, salt = count(), opaque.readable(1, 16)
    inputs: list[Input] = []
    parts: list[str] = []
    known: dict[str, Columns] = {}
    params: dict[str, Any] = {}
    names: dict[str, str] = {}
    for each in order:
        step = named[each]
        outputs = tuple(step.outputs(known) if isinstance(step, Transform) else schemas[each])
        inner = {column: f"c{next(numbers)}_{salt}" for column in outputs}
        names |= {short: column for column, short in inner.items()}
        held = ""
        if isinstance(step, Transform):
            body = step.query(known)
            params |= {wanted: _value(wanted, values, each) for wanted in step.params()}
        else:
            made = Input(f"t{len(inputs)}_{salt}", each, tuple(inner.values()))
            inputs.append(made)
            body = f"SELECT {', '.join(map(quote, made.columns))} FROM {quote(made.table)}"  # noqa: S608 - our own names
            held = "MATERIALIZED " if uses.count(each) > 1 else ""  # a stream is read once: two steps take it from here
        known[each] = Columns(f"s{len(known)}_{salt}", inner)
        parts.append(f"{known[each].table}({', '.join(map(quote, inner.values()))}) AS {held}({body})")
    types, judge = _types(named, order, known, parts)
    last = known[name]
    shown = ", ".join(last.sql(column) for column in last)
    sql = f"WITH {', '.join(parts)} SELECT {shown} FROM {last.table}"  # noqa: S608 - built from checked, quoted parts
    return Query(sql, params, tuple(inputs), tuple(last), names, types, judge)


def _types(
    named: Mapping[str, Step], order: Sequence[str], known: Mapping[str, Columns], parts: Sequence[str]
) -> tuple[str, Callable[[pa.Schema], None]]:
    """Return the SELECT that tells what steps want to know of types, and what hands the answer to them."""
    asking = {each: step for each in order if isinstance(step := named[each], Transform) and step.typed}
    wanted = [known[each] for each in dict.fromkeys(one for step in asking.values() for one in step.typed)]
    shown = ", ".join(each.sql(column) for each in wanted for column in each)

    def judge(schema: pa.Schema) -> None:
        import pyarrow as pa

        for name, step in asking.items():
            told = {
                each: pa.schema([schema.field(known[each].inner(column)).with_name(column) for column in known[each]])
                for each in step.typed
            }
            try:
                step.check_types(told)
            except SluiceError as fault:
                raise fault.at(f"step {name}") from None

    if not shown:
        return "", judge
    tables = ", ".join(each.table for each in wanted)
    return f"WITH {', '.join(parts)} SELECT {shown} FROM {tables} LIMIT 0", judge  # noqa: S608 - the same parts


def _value(name: str, values: Mapping[str, Any], step: str) -> Any:
    if name not in values:
        raise Invalid(f"the flow has no parameter {name!r}", where=f"step {step}")
    return values[name]


def renamed(
    rows: pa.RecordBatchReader, names: Sequence[str], on_fault: Callable[[SluiceError], object]
) -> pa.RecordBatchReader:
    """Return the same rows under other names; ``on_fault`` sees an error of theirs before it goes on."""
    import pyarrow as pa

    schema = pa.schema([field.with_name(name) for field, name in zip(rows.schema, names, strict=True)])

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in rows:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except SluiceError as fault:
            on_fault(fault)
            raise

    return pa.RecordBatchReader.from_batches(schema, batches())
