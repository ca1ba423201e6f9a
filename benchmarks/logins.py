"""Two hundred sign-ins at once, at the cost as shipped (64 MiB, 3 passes)."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.fixtures.flood import WIDE, flood, p99
from tests.fixtures.home import Served


def measure() -> dict[str, float]:
    """Return the measurements."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        served = Served(Path(folder))
        served.start()
        served.settle()
        served.stop()
        file = served.home / "sluice.toml"
        file.write_text(re.sub(r"\[passwords\]\n.*\n.*\n", "", file.read_text()) + WIDE)
        served.start()
        try:
            seen = flood(served)
        finally:
            served.stop()
            served.close()
    return {
        "200 sign-ins at once: more memory, MB (PSS)": (seen.peak - seen.before) / 1e6,
        "200 sign-ins at once: others' p99, ms": p99(seen.during) * 1000,
        "nobody signs in: others' p99, ms": p99(seen.quiet) * 1000,
        "200 sign-ins at once: share sent away with 429": seen.answers[429] / seen.answers.total(),
    }


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:48} {value:10.2f}")
