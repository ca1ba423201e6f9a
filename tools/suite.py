"""The whole suite: gates, tests and the UI's tests, and one summary at the end.

Tests that are red in the crowd are asked once more, alone. Those that are green then are called shaky by name: each is
a defect, of the test or of what it tests, but no reason to distrust the rest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

from tools.install import find_node
from tools.red import FILE

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "ui"
PYTEST = (str(ROOT / ".venv-test" / "bin" / "python"), "-m", "pytest", "-q")
SHAKY_MAX = 5
"""So many red tests are asked once more; when there are more, something is broken."""


def list_parts() -> dict[str, tuple[list[str], Path]]:
    """Return each part's command and folder."""
    workers = os.environ.get("WORKERS", "3")  # on two cores: many tests wait more than they compute
    return {
        "gates": ([sys.executable, "-m", "tools.check"], ROOT),
        "ui": (["npm", "run", "suite", "--silent"], UI),
        "tests": (
            [*PYTEST, "-n", workers, "--dist", "loadgroup", "-p", "tools.red"],
            ROOT,
        ),
    }


class Ended(NamedTuple):
    """How one part ended."""

    name: str
    green: bool
    seconds: float


def run(name: str, out: IO[bytes] | None = None, red: Path | None = None) -> Ended:
    """Run one part to its end; what it says goes to ``out``, or is shown as it comes.

    The names of tests that fail go into the file ``red``.
    """
    command, folder = list_parts()[name]
    env = {**os.environ, **(find_node() if name == "ui" else {})}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # tests start hundreds of processes: each would compile everything anew
    if red:
        env[FILE] = str(red)
    began = time.monotonic()
    stderr = subprocess.STDOUT if out else None
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=stderr, check=False
    )
    return Ended(name, done.returncode == 0, time.monotonic() - began)


def ask_again(tests: list[str]) -> bool:
    """Run these tests alone, one after the other; return whether all are green."""
    command = [*PYTEST, "-p", "no:randomly", *tests]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


def main(wanted: list[str]) -> int:
    """Run the wanted parts, all of them even when one is red.

    The UI's tests wait more than they compute, so they run beside the others and are shown when those have ended.
    """
    ended = []
    shaky: list[str] = []
    with ThreadPoolExecutor(1) as beside, tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile() as red:
        ui = beside.submit(run, "ui", said) if "ui" in wanted and UI.is_dir() and "tests" in wanted else None
        for name in list_parts():
            if name not in wanted or (name == "ui" and (ui or not UI.is_dir())):
                continue
            print(f"== {name}", flush=True)
            ended.append(run(name, red=Path(red.name) if name == "tests" else None))
        if ui:
            ended.append(ui.result())
            said.seek(0)
            print("== ui", flush=True)
            shutil.copyfileobj(said, sys.stdout.buffer)
        failed = red.read().decode().splitlines()
        if 0 < len(failed) <= SHAKY_MAX:
            print(f"== once more, alone: {len(failed)}", flush=True)
            if ask_again(failed):
                shaky = failed
                ended = [each._replace(green=each.green or each.name == "tests") for each in ended]
    print("== summary")
    for name in shaky:
        print(f"  shaky  {name}")
    for each in ended:
        print(f"  {'ok ' if each.green else 'RED'}  {each.name:<6} {each.seconds:5.0f} s")
    return not all(each.green for each in ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
