"""A stream of JSON objects to rows and back: what ``json`` and ``ndjson`` have in common."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from sluicegate.base.errors import DataError
from sluicegate.kit import objects
from sluicegate.kit.rows import BATCH_BYTES, Reject
from sluicegate.kit.text import Unfit, shown
from sluicegate.kit.types import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


class Texts(NamedTuple):
    """Some objects as they stand in the input."""

    lines: Sequence[int]
    texts: list[bytes]


class _Chunk(NamedTuple):
    found: Texts
    values: list[dict[str, Any]]


def decode(source: Iterator[Texts], columns: Mapping[str, str] | None, how: Decoding) -> pa.RecordBatchReader:
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
            size += sum(map(len, chunk.found.texts))
        for name in dict.fromkeys(chain.from_iterable(value for chunk in sample for value in chunk.values)):
            if name not in types:
                types[name] = objects.propose([value.get(name) for chunk in sample for value in chunk.values])
    schema = pa.schema([(name, to_arrow(kind)) for name, kind in types.items()])
    return pa.RecordBatchReader.from_batches(schema, _batches(chain(sample, chunks), schema, how))


def gather(source: Iterator[Found]) -> Iterator[Texts]:
    """Yield objects that come one by one, about ``BATCH_BYTES`` at once."""
    held: list[Found] = []
    size = 0
    for found in source:
        held.append(found)
        size += len(found.text)
        if size >= BATCH_BYTES or len(held) >= _MAX_ROWS:
            yield Texts(*map(list, zip(*held, strict=True)))
            held, size = [], 0
    if held:
        yield Texts(*map(list, zip(*held, strict=True)))


def _chunks(source: Iterator[Texts], how: Decoding) -> Iterator[_Chunk]:
    for found in source:
        for start in range(0, len(found.texts), _MAX_ROWS):
            part = slice(start, start + _MAX_ROWS)
            yield _parse(Texts(found.lines[part], found.texts[part]), how)


def _parse(held: Texts, how: Decoding) -> _Chunk:
    values = objects.parse_all(held.texts)
    if values is not None and set(map(type, values)) <= {dict}:
        return _Chunk(held, values)
    lines, texts, made = list[int](), list[bytes](), list[dict[str, Any]]()
    for found in map(Found, held.lines, held.texts):
        try:
            value = objects.parse(found.text)
            if not isinstance(value, dict):
                raise ValueError("not a JSON object")
        except ValueError as fault:
            how.on_reject(_reject(found, None, str(fault)))
        else:
            lines.append(found.line)
            texts.append(found.text)
            made.append(value)
    return _Chunk(Texts(lines, texts), made)


def _reject(found: Found, column: str | None, reason: str) -> Reject:
    return Reject(found.line, column, reason, found.text[:_RAW].decode("utf-8", "backslashreplace"))


def _columns(values: list[dict[str, Any]], names: list[str]) -> tuple[Sequence[Sequence[Any]], dict[int, str]]:
    """Return the values column by column, and the unknown key of each row that has one."""
    if (parts := objects.taken(values, names)) is not None:
        return parts, {}
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
                how.on_reject(_reject(Found(chunk.found.lines[row], chunk.found.texts[row]), *bad[row]))
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
