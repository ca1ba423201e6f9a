"""What sealing costs: the same file flow with and without a seal, the rate on one core, memory whatever the size.

``python -m benchmarks.seals`` measures it all, 5 GiB through every kind of seal too, which takes some minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = 1_500_000
ROUNDS = 5
# Of the core, not of the clock: what else runs on the machine does not count.
ONE_CORE = """
import os, sys, time
from sluicegate.crypto.seal import new_identity, seal_to
from sluicegate.kit.inflate import Deflated
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
data = open(sys.argv[1], "rb").read()
blocks = [data[start : start + (1 << 20)] for start in range(0, len(data), 1 << 20)]
best = 0.0
for _ in range(3):
    with open(os.devnull, "wb") as out:
        began = time.process_time()
        with seal_to([new_identity()[1]], out) as sealer:
            pack = Deflated(sealer, "rows.csv.zst")
            for block in blocks:
                pack.write(block)
            pack.close()
        best = max(best, len(data) / 1e6 / (time.process_time() - began))
print(best)
"""
STREAM = """
import os, resource, sys, threading, time
from sluicegate.engine.seals import open_unproved, seal
from tests.fixtures.seals import pair
made, total, block = pair(sys.argv[1]), int(sys.argv[2]), os.urandom(1 << 20)
left, right = os.pipe()
size = 0
def take():
    global size
    with open(left, "rb") as data, open_unproved(made.back, made.keys, data) as reader:
        while piece := reader.read(1 << 18):
            size += len(piece)
thread = threading.Thread(target=take)
thread.start()
with open(right, "wb") as out, seal(made.how, "rows.parquet", made.keys, out) as writer:
    for _ in range(total >> 20):
        writer.write(block)
thread.join()
assert size == total
print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024)
"""


def measure() -> dict[str, float]:
    """Return what takes seconds, not minutes."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_rows(folder / "in.csv", ROWS)
        return {
            "sealing a CSV flow (zstd): ratio of times": ratio(folder, "csv.zst"),
            "sealing a Parquet flow: ratio of times": ratio(folder, "parquet"),
            "zstd and seal on one core: MB/s": float(program(ONE_CORE, str(folder / "in.csv"))),
        }


def long() -> dict[str, float]:
    """Return the memory of 5 GiB that are sealed and opened at once, by each kind."""
    return {
        f"5 GiB through {kind}: MB (RSS, the larger process)": float(program(STREAM, kind, str(5 << 30)))
        for kind in ("age", "openpgp", "zip")
    }


def write_rows(file: Path, rows: int) -> None:
    """Write rows such as flights have: dates, codes, numbers, and nothing that repeats too well."""
    with file.open("w") as out:
        out.write("id,day,carrier,flight,tail,delay,distance\n")
        for number in range(rows):
            chance = number * 2654435761 % 4294967291  # spread out, and the same each time
            out.write(f"{number},2013-01-{chance % 28 + 1:02},{'ABCD'[chance >> 3 & 3]}A,{chance >> 5 & 8191},")
            out.write(f"N{chance % 99991:05},{chance % 630 - 30},{chance >> 7 & 2047}\n")


def ratio(folder: Path, ending: str) -> float:
    """Return how much longer a flow takes that seals its file: paired runs, alternating, the least of each."""
    taken: dict[str, list[float]] = {"": [], "age": []}
    recipient = json.loads(sluice(folder, "archive", "keygen", f"{time.monotonic_ns()}.key", "--json"))["recipient"]
    for kind in taken:
        seal = f", seal: {{ to: [{recipient}] }}" if kind else ""
        (folder / f"{kind or 'plain'}.yaml").write_text(
            "kind: connection\nname: here\ntype: files\n---\nkind: flow\nname: f\nsteps:\n"
            "  - read: { name: a, connection: here, item: in.csv }\n"
            f"  - write: {{ from: a, connection: here, item: out.{ending}{seal} }}\n"
        )
    for _ in range(ROUNDS):
        for kind, times in taken.items():
            began = json.loads(sluice(folder, "run", "--local", f"{kind or 'plain'}.yaml", "--json"))
            times.append(began["counts"]["seconds"])
    return min(taken["age"]) / min(taken[""])


def sluice(folder: Path, *words: str) -> str:
    """Run the command line in ``folder``."""
    return run([sys.executable, "-m", "sluicegate", *words], folder)


def program(text: str, *words: str) -> str:
    """Run a program of ours."""
    return run([sys.executable, "-c", text, *words], ROOT)


def run(words: list[str], folder: Path) -> str:
    """Run and return what is printed."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(words, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    for name, value in (measure() | long()).items():
        print(f"{name:52} {value:10.3f}", flush=True)
