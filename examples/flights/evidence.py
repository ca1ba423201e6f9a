"""What the demo's proofs compare: the source, read without Sluicegate, what landed, and a search for secrets."""

from __future__ import annotations

import base64
import csv
import gzip
import sqlite3
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ("year", "month", "day", "sched_dep_time", "carrier", "flight")
SCHEMA = pa.schema(
    {
        name: pa.string() if name in {"carrier", "airline", "tail"} else pa.int64()
        for name in (*KEYS, "airline", "delay_min", "tail")
    }
)


class Truth(NamedTuple):
    """What a run must come to."""

    total: int
    rejected: int
    rows: pa.Table
    """What must land, as ``SCHEMA`` has it, in the order of ``KEYS``: so have all rows here."""


_READ = ("year", "month", "day", "sched_dep_time", "carrier", "flight", "dep_delay", "tailnum")


def expected(cache: Path) -> Truth:
    """Read the source again, without Sluicegate."""
    with sqlite3.connect(cache / "shop.db") as shop:
        airlines = dict(shop.execute("SELECT carrier, name FROM airlines"))
    total = rejected = 0
    landed = []
    with gzip.open(cache / "landing" / "flights.csv.gz", "rt", newline="") as text:
        rows = csv.reader(text)
        head = next(rows)
        pick = itemgetter(*(head.index(each) for each in _READ))
        for row in rows:
            total += 1
            year, month, day, planned, carrier, flight, delayed, tail = pick(row)
            if delayed == "NA":
                continue
            delay = int(delayed)
            if not -30 <= delay <= 600:
                rejected += 1
                continue
            keys = (int(year), int(month), int(day), int(planned), carrier, int(flight))
            landed.append((*keys, airlines[carrier], delay, None if tail == "NA" else tail.upper()))
    return Truth(total, rejected, _sort(landed))


def warehouse(file: Path) -> pa.Table:
    """Read the target."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        return _sort(connection.execute(f"SELECT {', '.join(SCHEMA.names)} FROM flight_delays").fetchall())


def archived(opened: Path) -> pa.Table:
    """Read an archive that was opened."""
    return parquet.read_table(opened, columns=SCHEMA.names).cast(SCHEMA).sort_by([(name, "ascending") for name in KEYS])


def _sort(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True))
    return pa.table(columns, schema=SCHEMA).sort_by([(name, "ascending") for name in KEYS])


def leaks(home: Path, *words: str) -> list[list[str]]:
    """Return, for each word, the files beneath ``home`` that hold it in any common spelling."""
    spelled = [
        (raw := word.encode(), base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), word.encode("utf-16-le"))
        for word in words
    ]
    found: list[list[str]] = [[] for _ in words]
    for file in home.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            for files, spellings in zip(found, spelled, strict=True):
                if any(each in held for each in spellings):
                    files.append(str(file))
    return found
