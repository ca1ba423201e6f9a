"""The bandit gate.

Where ruff's rule of the same number is silenced, with its waiver, bandit's is silent as well: one rule, one comment.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BROKEN = 2


def is_silenced(find: dict[str, Any], configured: dict[str, list[str]]) -> bool:
    """Tell whether ruff's rule of this number is silenced on one of the find's lines or for its file."""
    name, rule = find["filename"].removeprefix("./"), f"S{find['test_id'][1:]}"
    if any(rule in rules and fnmatch(name, pattern) for pattern, rules in configured.items()):
        return True
    lines = (ROOT / name).read_text().splitlines()
    return any(re.search(rf"#\s*noqa:[^#]*\b{rule}\b", lines[number - 1]) for number in find["line_range"])


def main(folders: list[str]) -> int:
    """Run bandit on ``folders`` and print what is left: medium and high severity, as ruff shows the rest."""
    command = [sys.executable, "-m", "bandit", "-q", "-r", "-ll", "-ii", "-f", "json", "-c", "pyproject.toml", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        print(done.stdout + done.stderr)
        return BROKEN
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["per-file-ignores"]
    left = [find for find in report["results"] if not is_silenced(find, configured)]
    for find in left:
        print(f"{find['filename']}:{find['line_number']}: {find['test_id']} {find['issue_text']}")
    for fault in report["errors"]:
        print(f"{fault['filename']}: {fault['reason']}")
    return bool(left or report["errors"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
