"""Lock files: ``python -m tools.lock`` checks them, ``python -m tools.lock write [--upgrade]`` writes them.

A lock holds names, exact versions and hashes: no address, no machine's path. It is installed by plain pip. Versions
younger than two weeks are left out: a hijacked release is mostly found by then.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("run", "test", "tools", "moto", "ui")
QUARANTINE = timedelta(days=14)
FORBIDDEN = re.compile(r"[a-z]+://|^\s*-|\s@\s|file:|[\w)]\s*@ ", re.MULTILINE)


def read_requirements(path: Path) -> list[str]:
    """Return the requirement lines of an ``.in`` file and of its ``-r`` files, without comments and options."""
    lines = []
    for raw in path.read_text().splitlines():
        line = raw.split("#")[0].strip()
        if line.startswith("-r "):
            lines += read_requirements(path.parent / line[3:].strip())
        elif line and not line.startswith("-"):
            lines.append(line)
    return sorted(lines)


def stamp(path: Path) -> str:
    """Return the first line of the lock that belongs to ``path``: it ties the two together."""
    return f"# {path.name} {hashlib.sha256(chr(10).join(read_requirements(path)).encode()).hexdigest()[:32]}"


def write(options: list[str]) -> int:
    """Write every lock anew, keeping versions that still fit unless ``--upgrade`` is given."""
    folder = ROOT / "requirements"
    fixed = [
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-header",
        "--no-emit-index-url",
        "--no-annotate",
    ]
    before = (datetime.now(UTC) - QUARANTINE).date().isoformat()
    for name in NAMES:
        target = folder / f"{name}.txt"
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            "--quiet",
            *fixed,
            *options,
            f"{name}.in",
            "-o",
            f"{name}.txt",
        ]
        dated = subprocess.run([*command, "--exclude-newer", before], cwd=folder, check=False, capture_output=True)
        if dated.returncode:  # an index that tells no dates
            print(
                f"lock: {name}.in could not be locked to versions before {before}; locking the newest ones",
                file=sys.stderr,
            )
            subprocess.run(command, cwd=folder, check=True)
        body = (
            target.read_text().removeprefix(target.read_text().partition("\n")[0] + "\n")
            if _stamped(target)
            else target.read_text()
        )
        target.write_text(f"{stamp(folder / f'{name}.in')}\n{body}")
    if (ROOT / "ui" / "package.json").is_file():
        quiet = {**os.environ, "npm_config_omit_lockfile_registry_resolved": "true"}
        command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=ROOT / "ui", env=quiet, check=True)
    return 0


def _stamped(path: Path) -> bool:
    return path.read_text().startswith("# ")


def read_lock(path: Path) -> tuple[dict[str, set[str]], list[str]]:
    """Return a lock as name → versions (one per environment marker), and what is wrong with its lines."""
    versions: dict[str, set[str]] = {}
    problems = []
    for entry in path.read_text().replace("\\\n", " ").splitlines():
        if entry.startswith("#") or not entry.strip():
            continue
        head, *hashes = entry.split("--hash=")
        found = re.match(r"([a-z0-9][a-z0-9.-]*)==(\S+)\s*(?:;.*)?$", head.strip())
        if not found or FORBIDDEN.search(entry.replace("--hash=", "")):
            problems.append(f"{path.name}: not a plain `name==version` line: {entry[:60]}")
            continue
        versions.setdefault(found[1], set()).add(found[2])
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", item) for item in hashes):
            problems.append(f"{path.name}: {found[1]} has no sha256 hash")
    return versions, problems


def _check_python(root: Path) -> list[str]:
    folder = root / "requirements"
    problems: list[str] = []
    locks: dict[str, dict[str, set[str]]] = {}
    for name in NAMES:
        source, target = folder / f"{name}.in", folder / f"{name}.txt"
        locks[name], wrong = read_lock(target)
        problems += wrong
        if target.read_text().partition("\n")[0] != stamp(source):
            problems.append(f"{target.name} was not made from this {source.name}: run `make lock`")
        for line in read_requirements(source):
            wanted = Requirement(line)
            got = locks[name].get(canonicalize_name(wanted.name), set())
            if not got or not all(wanted.specifier.contains(version, prereleases=True) for version in got):
                problems.append(f"{target.name}: {line} is locked to {', '.join(got) or 'nothing'}")
    for name, pinned in locks["run"].items():
        if locks["test"].get(name) != pinned:
            problems.append(f"test.txt: {name} differs from run.txt: what is tested must be what runs")
    return problems


def _check_npm(root: Path) -> list[str]:
    path = root / "ui" / "package-lock.json"
    if not path.is_file():
        return []
    problems = []
    packages = json.loads(path.read_text())["packages"]
    for name, entry in packages.items():
        wanted = entry.get("optionalDependencies", {})  # npm leaves out what its registry lacks, then refuses the lock
        lost = [each for each in wanted if not any(place.endswith(f"node_modules/{each}") for place in packages)]
        if lost:
            problems.append(f"package-lock.json: {name} lacks {', '.join(lost)}: `npm ci` fails; take another version")
        if name == "" or entry.get("link"):
            continue
        if "resolved" in entry:
            problems.append(f"package-lock.json: {name} holds an address")
        if not str(entry.get("integrity", "")).startswith("sha512-") and not entry.get("inBundle"):
            problems.append(f"package-lock.json: {name} has no sha512 hash")
    return problems


def check(root: Path = ROOT) -> list[str]:
    """Return what is wrong with the locks: missing hashes, addresses, versions that no longer fit their source."""
    return _check_python(root) + _check_npm(root)


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        sys.exit(write(sys.argv[2:]))
    found = check()
    print("\n".join(found))
    sys.exit(bool(found))
