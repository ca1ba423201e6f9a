"""``make timing``: whether the time of a refusal tells who exists (SEC-A07), by 2,000 samples of each kind.

Three questions of strangers: a sign-in, a forgotten password, a sign-in at a tenant's provider. Measured at the gate,
without a network: nobody outside hears as well. Each way is compared with what is usual, asked in
the same form. Red when p <= 0.01 for who is there against who is not; the other ways are told.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from sluicegate.base.settings import Passwords
from tests.fixtures.strangers import MAIL, begun, empty_outbox, forgotten, installation, ways
from tests.fixtures.timing import compare, sample

RESULT = Path(__file__).parent / "results" / "timing.json"
ROUNDS, LEAST, PART = 2000, 0.01, 100
USUAL = {"session.login": "wrong password", "password.forgot": "there", "sso.begin": "no provider"}
PROVEN = {
    "session.login": {"unknown address", "no tenant, unknown address"},
    "password.forgot": {"unknown address", "no tenant, unknown address"},
    "sso.begin": {"unknown tenant"},
}


def main(rounds: int = ROUNDS) -> int:
    """Measure, print and write; 1 when somebody can be told from nobody."""
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="sluice-timing-") as folder:
        place = installation(Path(folder) / "home", passwords=Passwords(memory=19456, rounds=2), mail=MAIL)
        try:
            asked = {"session.login": ways(place), "password.forgot": forgotten(place), "sso.begin": begun(place)}
            for operation, asks in asked.items():
                sample(asks, 10)
                taken[operation] = _sample(asks, rounds, lambda: empty_outbox(place))
        finally:
            place.close()
    rows = [row for operation, each in taken.items() for row in _rows(operation, each)]
    report = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "samples": rounds, "cores": os.cpu_count(),
        "load": os.getloadavg()[0], "rows": rows,
    }  # fmt: skip
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    return int(any(row["way"] in PROVEN[row["operation"]] and row["p"] <= LEAST for row in rows))


def _sample(
    asks: Mapping[str, Callable[[], object]], rounds: int, between: Callable[[], None]
) -> dict[str, list[float]]:
    """Sample in parts: what is put aside by one is gone before the next."""
    taken: dict[str, list[float]] = {name: [] for name in asks}
    for done in range(0, rounds, PART):
        between()
        for name, each in sample(asks, min(PART, rounds - done), seed=done + 1).items():
            taken[name] += each
    return taken


def _rows(operation: str, taken: Mapping[str, list[float]]) -> list[dict]:
    print(operation)
    rows = []
    for name, each in taken.items():
        usual = f"no tenant, {USUAL[operation]}" if name.startswith("no tenant") else USUAL[operation]
        usual = usual if usual in taken else "no tenant, wrong password"
        if name == usual:
            print(f"  {name:28} {median(each) * 1000:8.2f} ms")
            continue
        found = compare(taken[usual], each)
        row = {
            "operation": operation,
            "way": name,
            "median ms": round(median(each) * 1000, 2),
            "against ms": round(median(taken[usual]) * 1000, 2),
            "chance": round(found.chance, 4),
            "p": round(found.p, 4),
        }
        rows.append(row)
        print(f"  {name:28} {row['median ms']:8.2f} ms   chance {row['chance']:.4f}   p {row['p']:.4f}")
    return rows


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
