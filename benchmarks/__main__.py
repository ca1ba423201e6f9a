"""``make bench``: run every measurement and write ``benchmarks/results/latest.json`` and a table."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path

from benchmarks import api, demo, logins, movement, seals, start, vault
from benchmarks.limits import LIMITS

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure, print and write; 1 when something falls short."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode beside it
    found: dict[str, float] = {}
    for part in (start, demo, api, logins, seals, vault, movement):
        found |= part.measure()
    rows, limits = [], LIMITS | movement.limits()
    for name, value in found.items():
        limit = limits.get(name)
        held = limit is None or (value <= limit[1] if limit[0] == "<=" else value >= limit[1])
        rows.append(
            {"name": name, "value": round(value, 4), "limit": " ".join(map(str, limit)) if limit else "", "held": held}
        )
        print(f"{'  ' if held else '✘ '}{name:44} {value:12.3f}   {rows[-1]['limit']}")
    report = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "rows": rows,
    }
    (RESULTS / "latest.json").write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(row["held"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
