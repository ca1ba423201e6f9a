"""How long it takes until something happens: version, local runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "src" / "sluicegate" / "cli" / "example"
PLAIN = """
kind: connection
name: here
type: files
root: .
---
kind: flow
name: plain
steps:
  - read: { name: fruit, connection: here, item: fruit.csv }
  - write: { from: fruit, connection: here, item: plain.parquet, mode: replace }
"""


def best(*words: str, rounds: int = 7) -> float:
    """Return the median seconds from process start to its end."""
    environment = {**os.environ, "SLUICE_HOME": str(Path(tempfile.gettempdir()) / "sluice-bench-home")}
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "sluicegate", *words],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        taken.append(time.perf_counter() - began)
    return sorted(taken)[rounds // 2]


def measure() -> dict[str, float]:
    """Return the measurements."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "mapped"
        shutil.copytree(EXAMPLE, here)
        (Path(folder) / "plain").mkdir()
        plain = Path(folder) / "plain" / "plain.yaml"
        plain.write_text(PLAIN)
        shutil.copy(EXAMPLE / "fruit.csv", plain.parent)
        return {
            "version: seconds": best("version"),
            "run --local, trivial: seconds": best("run", "--local", str(plain)),
            "run --local, with a map in the jail: seconds": best("run", "--local", str(here / "flow.yaml")),
        }
