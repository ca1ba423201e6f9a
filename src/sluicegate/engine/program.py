"""What a jail is told: one SQL program, the values it binds, the rows it reads, and what it may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 38

Param = str | int | float | bool | None | date | datetime | Decimal


@dataclass(frozen=True)
class Bounds:
    """What one jail may use."""

    memory_mb: int = 192
    """DuckDB's ``memory_limit`` in MiB; the limit on address space is derived from it."""
    seconds: float = 3600
    """By the clock, from the start of the program."""
    cpu_seconds: int = 3600
    output_bytes: int = 1 << 40
    """Of the result, as an Arrow stream."""
    processes: int = 64
    """Threads and processes. The filter allows none to be started; this is the second lock."""
    files: int = 256
    stdout_bytes: int = 65536
    """What the child may print; it has no reason to print anything."""


USUAL = Bounds()


@dataclass(frozen=True)
class Program:
    """One SQL program over named inputs."""

    sql: str
    """One SELECT in the DuckDB dialect, already checked against the caller's allowlist."""
    params: Mapping[str, Param]
    """Bound as ``$name``."""
    inputs: Mapping[str, pa.RecordBatchReader]
    """Table name → rows. Each can be read once: a query that takes one twice must materialise it first."""
    where: str = ""
    """Name of the step, for errors."""
    types: str = ""
    """One SELECT over the same inputs whose columns' types are told before any row is read; empty: nothing is."""
    judge: Callable[[pa.Schema], None] = lambda _: None
    """Takes those types; what it raises ends the program."""


def encode(name: str, value: Param, where: str) -> list[Any]:
    """Return a parameter in its ``[kind, text]`` form. ``DataError`` when it cannot be carried exactly."""
    if value is None or isinstance(value, bool | int | str):
        return ["plain", value]
    if isinstance(value, float):
        return ["float", repr(value)]
    if isinstance(value, Decimal):
        plain = format(value, "f")  # DuckDB 1.5.5 reads 1E+37 as another number
        if not value.is_finite() or sum(letter.isdigit() for letter in plain) > _DIGITS:
            raise DataError(f"the parameter {name!r} is no number of at most {_DIGITS} digits", where=where)
        return ["decimal", plain]
    return ["datetime" if isinstance(value, datetime) else "date", value.isoformat()]
