"""A stream of JSON objects to rows and back: what ``json`` and ``ndjson`` have in common."""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.base.errors import DataError
from sluicegate.kit import objects
from sluicegate.kit.rows import BATCH_BYTES, Reject
from sluicegate.kit.text import Unfit, shown
from sluicegate.kit.types import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from sluicegate.kit.format import Decoding

MAX_OBJECT = 16 << 20
"""Bytes of one object at the most."""
_SAMPLE = 4 << 20
_MAX_ROWS = 1 << 14
_RAW = 4096


class Found(NamedTuple):
    """One object as it stands in the input."""

    line: int
    text: bytes


class _Chunk(NamedTuple):
    found: list[Found]
    values: list[dict[str, Any]]


def decode(source: Iterator[Found], columns: Mapping[str, str] | None, how: Decoding) -> pa.RecordBatchReader:
    """Return the objects as rows, lazily; absent keys are NULL.

    A snapshot in ``how`` says which columns there are; without one the keys of the first 4 MiB do, with types from
    ``columns`` or proposed (``objects.propose``). An object that is not JSON, holds a value that does not fit or a key
    that no column has goes to the reject channel.
    """
    import pyarrow as pa

    types = {**(how.columns or {}), **(columns or {})}
    chunks, sample = _chunks(source, how), list[_Chunk]()
    if not how.columns:
        size = 0
        while size < _SAMPLE and (chunk := next(chunks, None)):
            sample.append(chunk)
            size += sum(len(found.text) for found in chunk.found)
        for name in dict.fromkeys(chain.from_iterable(value for chunk in sample for value in chunk.values)):
            if name not in types:
                types[name] = objects.propose([value.get(name) for chunk in sample for value in chunk.values])
    schema = pa.schema([(name, to_arrow(kind)) for name, kind in types.items()])
    return pa.RecordBatchReader.from_batches(schema, _batches(chain(sample, chunks), schema, how))


def _chunks(source: Iterator[Found], how: Decoding) -> Iterator[_Chunk]:
    held: list[Found] = []
    size = 0
    for found in source:
        held.append(found)
        size += len(found.text)
        if size >= BATCH_BYTES or len(held) >= _MAX_ROWS:
            yield _parse(held, how)
            held, size = [], 0
    if held:
        yield _parse(held, how)


def _parse(held: list[Found], how: Decoding) -> _Chunk:
    values = objects.parse_all([found.text for found in held])
    if values is not None and all(type(value) is dict for value in values):
        return _Chunk(held, values)
    made = _Chunk([], [])
    for found in held:
        try:
            value = objects.parse(found.text)
            if not isinstance(value, dict):
                raise ValueError("not a JSON object")
        except ValueError as fault:
            how.on_reject(_reject(found, None, str(fault)))
        else:
            made.found.append(found)
            made.values.append(value)
    return made


def _reject(found: Found, column: str | None, reason: str) -> Reject:
    return Reject(found.line, column, reason, found.text[:_RAW].decode("utf-8", "backslashreplace"))


def _columns(values: list[dict[str, Any]], names: list[str]) -> tuple[list[list[Any]], dict[int, str]]:
    """Return the values column by column, and the unknown key of each row that has one."""
    if values and len(names) > 1 and all(map(len(names).__eq__, map(len, values))):
        try:
            return [list(each) for each in zip(*map(itemgetter(*names), values), strict=True)], {}
        except KeyError:
            pass  # as many keys as columns, but others
    known = set(names)
    odd = {
        row: next(name for name in value if name not in known)
        for row, value in enumerate(values)
        if not value.keys() <= known
    }
    return [[value.get(name) for value in values] for name in names], odd


def _batches(chunks: Iterator[_Chunk], schema: pa.Schema, how: Decoding) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    left = how.limit
    for chunk in chunks:
        if left is not None and left <= 0:
            return
        columns, odd = _columns(chunk.values[:left], schema.names)
        bad: dict[int, tuple[str | None, str]] = {
            row: (name, f"the key {shown(name)} is not a column") for row, name in odd.items()
        }
        arrays = []
        for field, values in zip(schema, columns, strict=True):
            try:
                arrays.append(objects.column(values, field.type))
            except Unfit:
                for row, reason in objects.faults(values, field.type).items():
                    bad.setdefault(row, (field.name, reason))
        if bad:
            for row in sorted(bad):
                how.on_reject(_reject(chunk.found[row], *bad[row]))
            arrays = [
                objects.column([value for row, value in enumerate(values) if row not in bad], field.type)
                for field, values in zip(schema, columns, strict=True)
            ]
        rows = len(arrays[0]) if arrays else 0
        if rows:
            left = None if left is None else left - rows
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


class Lines:
    """Turns batches into one JSON object a row."""

    def __init__(self, schema: pa.Schema, item: str) -> None:
        """Prepare for rows of ``schema``."""
        self._names, self._item = schema.names, item
        self._encoders = [objects.encoder(field.type) for field in schema]

    def __call__(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Yield each row. ``DataError`` names the column that holds what JSON cannot say."""
        columns = []
        for name, encode, column in zip(self._names, self._encoders, batch.columns, strict=True):
            try:
                columns.append(encode(column))
            except Unfit as fault:
                raise DataError(fault.reason, where=f"{self._item}: column {name}") from None
        for row in zip(*columns, strict=True):
            yield objects.dump(dict(zip(self._names, row, strict=True)))
