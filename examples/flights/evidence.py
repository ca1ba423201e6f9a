"""What the demo's proofs compare with: the source, read without Sluicegate, and a search for secrets."""

from __future__ import annotations

import base64
import csv
import gzip
import sqlite3
from operator import itemgetter
from pathlib import Path
from typing import Any

Truth = tuple[int, int, set[tuple[Any, ...]]]
"""Rows in all, rows that must be rejected, rows that must land."""

_READ = ("year", "month", "day", "sched_dep_time", "carrier", "flight", "dep_delay", "tailnum")


def expected(cache: Path) -> Truth:
    """Read the source again, without Sluicegate."""
    with sqlite3.connect(cache / "shop.db") as shop:
        airlines = dict(shop.execute("SELECT carrier, name FROM airlines"))
    total = rejected = 0
    landed = set()
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
            landed.add((*keys, airlines[carrier], delay, None if tail == "NA" else tail.upper()))
    return total, rejected, landed


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
