"""``make bench``: run every measurement and write ``benchmarks/results/latest.json``, each figure with its time.

``python -m benchmarks api vault`` runs some, and leaves the other figures as they are.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import api, demo, logins, movement, seals, start, vault
from benchmarks.limits import LIMITS

LATEST = Path(__file__).parent / "results" / "latest.json"
PARTS = {
    "start": start, "demo": demo, "api": api, "logins": logins, "seals": seals, "vault": vault, "movement": movement,
}  # fmt: skip


def main(wanted: list[str]) -> int:
    """Measure, print and write; 1 when something falls short, 2 for a part that there is not."""
    if unknown := set(wanted) - set(PARTS):
        print(f"there is no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode beside it
    limits, rows = LIMITS | movement.limits(), []
    for name in wanted or PARTS:
        rows += [_row(*each, limits) for each in PARTS[name].measure().items()]
    for row in rows:
        print(f"{'  ' if row['held'] else '✘ '}{row['name']:44} {row['value']:12.3f}   {row['limit']}")
    new = {row["name"] for row in rows}
    kept = [row for row in json.loads(LATEST.read_text())["rows"] if row["name"] not in new] if wanted else []
    report = {"python": platform.python_version(), "cores": os.cpu_count(), "rows": [*kept, *rows]}
    LATEST.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(row["held"] for row in rows) else 1


def _row(name: str, value: float, limits: dict[str, tuple[str, float]]) -> dict[str, Any]:
    limit = limits.get(name)
    held = limit is None or (value <= limit[1] if limit[0] == "<=" else value >= limit[1])
    return {
        "name": name, "value": round(value, 4), "limit": " ".join(map(str, limit)) if limit else "", "held": held,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
