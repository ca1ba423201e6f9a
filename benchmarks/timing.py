"""``make timing``: whether the time of a refused sign-in tells who exists (SEC-A07), by 2,000 samples of each kind.

Measured at the gate, without a network: nobody outside hears as well. Each way is compared with the wrong password of
somebody who is there, asked in the same form. Red when p <= 0.01 for an address that is there against one that is not;
the other ways are told.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from sluicegate.base.settings import Passwords
from tests.fixtures.strangers import installation, ways
from tests.fixtures.timing import compare, sample

RESULT = Path(__file__).parent / "results" / "timing.json"
ROUNDS, LEAST = 2000, 0.01
PROVEN = ("unknown address", "no tenant, unknown address")


def main(rounds: int = ROUNDS) -> int:
    """Measure, print and write; 1 when somebody can be told from nobody."""
    with tempfile.TemporaryDirectory(prefix="sluice-timing-") as folder:
        place = installation(Path(folder) / "home", passwords=Passwords(memory=19456, rounds=2))
        try:
            sample(ways(place), 10)
            taken = sample(ways(place), rounds)
        finally:
            place.close()
    rows, held = [], True
    for name, each in taken.items():
        usual = "no tenant, wrong password" if name.startswith("no tenant") else "wrong password"
        if name == usual:
            print(f"{name:28} {median(each) * 1000:8.2f} ms")
            continue
        found = compare(taken[usual], each)
        held = held and (name not in PROVEN or found.p > LEAST)
        row = {
            "way": name,
            "median ms": round(median(each) * 1000, 2),
            "against ms": round(median(taken[usual]) * 1000, 2),
            "chance": round(found.chance, 4),
        }
        rows.append({**row, "p": round(found.p, 4)})
        print(f"{name:28} {row['median ms']:8.2f} ms   chance {found.chance:.4f}   p {found.p:.4f}")
    report = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "samples": rounds, "cores": os.cpu_count(),
        "load": os.getloadavg()[0], "rows": rows,
    }  # fmt: skip
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
