"""How fast rows move: each workload and its reference in turn, three times, and what they leave is compared.

``python -m benchmarks.movement [W1 W2 …]`` (``BENCH_ROWS``, ``BENCH_ROUNDS``) writes
``benchmarks/results/movement.json`` and ``movement.md``. A fast wrong answer is an error.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.workloads import Place, Workload, all_, run
from sluicegate import __version__
from tests.fixtures import postgres

RESULTS = Path(__file__).parent / "results"
ROWS = int(os.environ.get("BENCH_ROWS", "2000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_SETTLE = 0.3  # seconds until a backend has ended and its time is counted
MEMORY_MAX = 350
"""MB of memory (PSS, task and jail) that row-wise work may take."""


def measure() -> dict[str, float]:
    """Return ratios and memory by name; the files are written, too."""
    rows = compare([])
    write(rows)
    found = {f"{row['name']} {row['what']}: ratio": row["ratio"] for row in rows}
    return found | {"moving rows: peak memory, MB (PSS)": max(row["peak_mb"] for row in rows)}


def limits() -> dict[str, tuple[str, float]]:
    """Return what is promised, by the same names."""
    promised = {f"{each.name} {each.what}: ratio": ("<=", each.limit) for each in all_()}
    return {**promised, "moving rows: peak memory, MB (PSS)": ("<=", MEMORY_MAX)}


@contextmanager
def _place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    try:
        folder.chmod(0o755)  # psql reads as we do, the server as its own user
        (folder / "pg").mkdir()
        server = postgres.start(folder / "pg")
        try:
            work = folder / "work"
            work.mkdir()
            place = Place(server, work, ROWS)
            place.prepare()
            yield place
        finally:
            postgres.stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(names: list[str]) -> list[dict[str, Any]]:
    """Return a row for each of these workloads; all when ``names`` is empty."""
    with _place() as place:
        return [_pair(place, each) for each in all_() if not names or each.name in names]


class Spent(NamedTuple):
    """What something took."""

    seconds: float
    cpu: float
    """Seconds of processor time of the client's processes and of the server's: steadier than the clock under load."""


def _timed(place: Place, do: Callable[[], Any]) -> tuple[Spent, Any]:
    worked, began = _cpu(place), time.perf_counter()
    done = do()
    taken = time.perf_counter() - began
    time.sleep(_SETTLE)
    return Spent(taken, _cpu(place) - worked), done


def _cpu(place: Place) -> float:
    """Return the processor time of our children that have ended, and of the server's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    postmaster = (place.server.folder / "postmaster.pid").read_text().split()[0]
    words = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
    return used.ru_utime + used.ru_stime + sum(map(int, words[13:15])) / os.sysconf("SC_CLK_TCK")


def _pair(place: Place, work: Workload) -> dict[str, Any]:
    ours, theirs, peak = [], [], 0
    loads = [os.getloadavg()[0]]
    for _ in range(ROUNDS):
        work.clear(place)
        theirs.append(_timed(place, lambda: work.refer(place))[0])
        wanted = (work.wanted or work.found)(place)
        work.clear(place)
        spent, took = _timed(place, lambda: run(place, work.name, work.flow(place)))
        ours.append(spent)
        peak = max(peak, took.peak)
        if (found := work.found(place)) != wanted:
            raise RuntimeError(f"{work.name}: the target holds {found}, and should hold {wanted}")
        loads.append(os.getloadavg()[0])
    ratios = [mine.seconds / other.seconds for mine, other in zip(ours, theirs, strict=True)]
    row = {
        "name": work.name, "what": work.what, "reference": work.reference, "limit": work.limit,
        "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
        "seconds": statistics.median(each.seconds for each in ours),
        "cpu": statistics.median(each.cpu for each in ours),
        "reference_seconds": statistics.median(each.seconds for each in theirs),
        "reference_cpu": statistics.median(each.cpu for each in theirs),
        "peak_mb": peak / (1 << 20), "load": max(loads),
    }  # fmt: skip
    print(
        f"{work.name:4} {work.what:42} {row['ratio']:5.2f} ({row['least']:.2f}-{row['most']:.2f}) "
        f"of {row['reference_seconds']:5.2f} s, limit {work.limit}; "
        f"cpu {row['cpu']:.2f} of {row['reference_cpu']:.2f} s, {row['peak_mb']:.0f} MB",
        flush=True,
    )  # fmt: skip
    return row


def write(rows: list[dict[str, Any]]) -> None:
    """Write the results as JSON and as a table."""
    server = subprocess.run(["psql", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    versions = {
        "sluicegate": __version__, "python": platform.python_version(), "postgresql": server,
        **{name: version(name) for name in ("duckdb", "pyarrow", "psycopg", "pgpq", "orjson")},
    }  # fmt: skip
    report = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "rows": ROWS, "rounds": ROUNDS,
        "cores": os.cpu_count(), "versions": versions, "workloads": rows,
    }  # fmt: skip
    (RESULTS / "movement.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    (RESULTS / "movement.md").write_text(table(report))


def table(report: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    head = ("work", "reference", "ratio (least to most)", "limit", "ours, s", "reference, s", "processor, s",
            "memory, MB", "load")  # fmt: skip
    cells = [
        (
            f"{row['name']} {row['what']}", row["reference"].replace("|", "&#124;"),
            f"**{row['ratio']:.2f}** ({row['least']:.2f} to {row['most']:.2f})", f"{row['limit']}",
            f"{row['seconds']:.2f}", f"{row['reference_seconds']:.2f}",
            f"{row['cpu']:.2f} of {row['reference_cpu']:.2f}", f"{row['peak_mb']:.0f}", f"{row['load']:.1f}",
        )
        for row in report["workloads"]
    ]  # fmt: skip
    lines = ["| " + " | ".join(each) + " |" for each in (head, ("---",) * len(head), *cells)]
    return (
        "# Moving rows: time over that of the reference\n\n"
        f"{report['rows']} rows (W5 and the changes of W6: a tenth), {report['cores']} cores, median of "
        f"{report['rounds']} pairs, {report['at']}. {versions}.\n\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    found = compare(sys.argv[1:])
    if not sys.argv[1:]:
        write(found)
    sys.exit(any(row["ratio"] > row["limit"] or row["peak_mb"] > MEMORY_MAX for row in found))
