"""What the demo's proofs compare with: the source, read without Sluicegate, and a search for secrets."""

from __future__ import annotations

import base64
import csv
import gzip
import sqlite3
from pathlib import Path
from typing import Any


def expected(cache: Path) -> tuple[int, int, set[tuple[Any, ...]]]:
    """Read the source again, without Sluicegate: rows in all, rows that must be rejected, rows that must land."""
    with sqlite3.connect(cache / "shop.db") as shop:
        airlines = dict(shop.execute("SELECT carrier, name FROM airlines"))
    total = rejected = 0
    landed = set()
    with gzip.open(cache / "landing" / "flights.csv.gz", "rt", newline="") as text:
        for row in csv.DictReader(text):
            total += 1
            if row["dep_delay"] == "NA":
                continue
            delay = int(row["dep_delay"])
            if not -30 <= delay <= 600:
                rejected += 1
                continue
            tail = None if row["tailnum"] == "NA" else row["tailnum"].upper()
            keys = (
                int(row["year"]),
                int(row["month"]),
                int(row["day"]),
                int(row["sched_dep_time"]),
                row["carrier"],
                int(row["flight"]),
            )
            landed.add((*keys, airlines[row["carrier"]], delay, tail))
    return total, rejected, landed


def leaks(home: Path, secret: str) -> list[str]:
    """Return the files beneath ``home`` that hold ``secret`` in any common spelling."""
    raw = secret.encode()
    spellings = [raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), secret.encode("utf-16-le")]
    return [
        str(file) for file in home.rglob("*") if file.is_file() and any(each in file.read_bytes() for each in spellings)
    ]
