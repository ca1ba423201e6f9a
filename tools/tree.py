"""The files of the repository, with or without git."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SKIPPED = {".git", ".cache", "node_modules", "__pycache__", "static", "dist"}
BINARY = {".png", ".ico", ".woff", ".woff2", ".gz", ".parquet", ".zip", ".age", ".so", ".whl", ".pyc"}


def list_files(root: Path) -> list[Path]:
    """Return the files that are or would be committed, sorted; without git, all but caches and environments."""
    if (root / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        return sorted({root / name for name in listed if name and (root / name).is_file()})
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name not in SKIPPED and not name.startswith(".venv") and not name.endswith("_cache")
        ]
        found += [root / folder / name for name in names]
    return sorted(found)


def read_texts(root: Path) -> dict[str, str]:
    """Return the text files: path inside the repository → contents."""
    texts = {}
    for path in list_files(root):
        if path.suffix in BINARY:
            continue
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            texts[path.relative_to(root).as_posix()] = data.decode("utf-8", errors="replace")
    return texts
