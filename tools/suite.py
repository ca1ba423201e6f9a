"""The whole suite: gates, tests and the UI's tests, each shown as it runs, and one summary at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tools.install import find_node

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "ui"


def list_parts() -> dict[str, tuple[list[str], Path]]:
    """Return each part's command and folder."""
    workers = os.environ.get("WORKERS", "2")
    return {
        "gates": ([sys.executable, "-m", "tools.check"], ROOT),
        "ui": (["npm", "run", "suite", "--silent"], UI),
        "tests": (
            [str(ROOT / ".venv-test" / "bin" / "python"), "-m", "pytest", "-q", "-n", workers, "--dist", "loadgroup"],
            ROOT,
        ),
    }


def main(wanted: list[str]) -> int:
    """Run the wanted parts one after the other, all of them even when one is red."""
    results = []
    for name, (command, folder) in list_parts().items():
        if name not in wanted or not folder.is_dir():
            continue
        print(f"== {name}", flush=True)
        env = {**os.environ, **(find_node() if name == "ui" else {})}
        began = time.monotonic()
        green = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, check=False).returncode == 0
        results.append((name, green, time.monotonic() - began))
    print("== summary")
    for name, green, seconds in results:
        print(f"  {'ok ' if green else 'RED'}  {name:<6} {seconds:5.0f} s")
    return not all(green for _, green, _ in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
