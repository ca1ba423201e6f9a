"""The gates: ``python -m tools.check [GATE …]`` runs them, two at a time, and is red when one is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CACHE = ROOT / ".cache"
CODE = [name for name in ("src", "tools", "examples", "benchmarks") if (ROOT / name).is_dir()]
SEMGREP = [
    str(BIN / "semgrep"),
    "scan",
    "--metrics",
    "off",
    "--disable-version-check",
    "--quiet",
    "--config",
    "semgrep/",
]


class Result(NamedTuple):
    """How one gate ended."""

    gate: str
    seconds: float
    output: str
    green: bool


def find_python() -> str:
    """Return the interpreter whose packages mypy reads: that of the tests, or of the product."""
    for name in (".venv-test", ".venv"):
        if (ROOT / name / "bin" / "python").exists():
            return str(ROOT / name / "bin" / "python")
    return sys.executable


def list_gates() -> dict[str, list[list[str]]]:
    """Return each gate's commands; the slowest come first."""
    own = {name: [[sys.executable, "-m", f"tools.{name}"]] for name in ("waivers", "leaks", "lock", "share", "words")}
    cached = str(CACHE / "ruff")
    return {
        "types": [
            [
                str(BIN / "mypy"),
                "--python-executable",
                find_python(),
                "--cache-dir",
                str(CACHE / "mypy"),
                "-p",
                "sluicegate",
                "-p",
                "tools",
            ]
        ],
        "semgrep": [
            [*SEMGREP, "--error", "--jobs", "1", *CODE],
            [*SEMGREP, "--test", "semgrep/"],
        ],
        "bandit": [[sys.executable, "-m", "tools.bandit", *CODE]],
        "floors": [[str(BIN / "lint-imports"), "--no-logo", "--cache-dir", str(CACHE / "importlinter")]],
        "lint": [[str(BIN / "ruff"), "check", "--quiet", "--cache-dir", cached, "."]],
        "format": [[str(BIN / "ruff"), "format", "--check", "--quiet", "--cache-dir", cached, "."]],
        **own,
    }


def run_gate(name: str, commands: list[list[str]]) -> Result:
    """Run one gate's commands in turn; it is green when every one exits 0."""
    env = {
        **os.environ,
        "PYTHONPATH": "src",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        "SEMGREP_SEND_METRICS": "off",
        "SEMGREP_ENABLE_VERSION_CHECK": "0",
        "SEMGREP_SETTINGS_FILE": str(CACHE / "semgrep.yml"),
        "SEMGREP_LOG_FILE": str(CACHE / "semgrep.log"),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    began = time.monotonic()
    output, green = "", True
    for command in commands:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output += done.stdout.decode(errors="replace")
        green = green and done.returncode == 0
    return Result(name, time.monotonic() - began, output.strip(), green)


def main(names: list[str]) -> int:
    """Run the named gates, or all, and print one line for each."""
    gates = list_gates()
    if unknown := set(names) - set(gates):
        print(f"There is no gate {', '.join(sorted(unknown))}. There are: {', '.join(gates)}.", file=sys.stderr)
        return 2
    CACHE.mkdir(exist_ok=True)
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        tasks = [
            pool.submit(run_gate, name, commands) for name, commands in gates.items() if not names or name in names
        ]
        results = [task.result() for task in tasks]
    red = [result for result in results if not result.green]
    for result in red:
        print(f"\n--- {result.gate} ---\n{result.output or 'no output'}\n")
    for result in results:
        print(f"  {'ok ' if result.green else 'RED'}  {result.gate:<8} {result.seconds:5.1f} s")
    print(f"gates: {len(results) - len(red)} green, {len(red)} red, {time.monotonic() - began:.0f} s")
    return bool(red)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
