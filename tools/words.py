"""Words that do not belong into the repository: paths of one machine, addresses of package hosts, merge leftovers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tools.tree import read_texts

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.:/-])/(?:work|workspace|builds|Users|home/[a-z]+)/[\w.-]+/|[A-Z]:\\Users\\",
    "an address of a package host": r"(?:pythonhosted|pypi|npmjs|deb[.]debian)[.]org/(?:simple|packages|debian)",
    "a merge leftover": r"(?m)^(?:<{7}|>{7}) ",
    "a note for later": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?![-\w])",
    "a word about who wrote it": r"(?i)co-authored-b[y]:|\bas an ai\b|\bcoding assistant\b|\blanguage model\b",
}


def find_words(root: Path) -> list[str]:
    """Return one line per find: file, line, what."""
    patterns = {what: re.compile(pattern) for what, pattern in FORBIDDEN.items()}
    if len(root.parts) > 2:  # noqa: PLR2004  # "/src" alone would be found everywhere
        patterns["this checkout's own path"] = re.compile(re.escape(str(root)) + r"\b")
    found = []
    for name, text in read_texts(root).items():
        if name == "ui/package-lock.json":
            continue
        for what, pattern in patterns.items():
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{name}:{line}: {what}: {match[0].strip()}")
    return found


if __name__ == "__main__":
    lines = find_words(ROOT)
    print("\n".join(lines))
    sys.exit(bool(lines))
