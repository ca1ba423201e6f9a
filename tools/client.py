"""The UI's types, made from the OpenAPI document: ``python tools/client.py`` writes, ``--check`` is red when stale.

``--document FILE`` writes the OpenAPI document alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tools.install import find_node  # noqa: E402 - found by the line above

UI = ROOT / "ui"
TYPES = UI / "src" / "openapi.d.ts"


def document() -> str:
    """Return the OpenAPI document as text."""
    from sluicegate.operations import OPERATIONS
    from sluicegate.web import openapi

    return json.dumps(openapi.document(OPERATIONS), indent=1, ensure_ascii=False) + "\n"


def types(text: str) -> str:
    """Return the types of an OpenAPI document. A field with a default may be left out of a question."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "openapi.json", Path(folder) / "openapi.d.ts"
        source.write_text(text, encoding="utf-8")
        command = [
            str(UI / "node_modules" / ".bin" / "openapi-typescript"), str(source), "--output", str(target),
            "--default-non-nullable", "false",
        ]  # fmt: skip
        environment = {**os.environ, **find_node()}
        done = subprocess.run(command, cwd=UI, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr or done.stdout)
        return target.read_text(encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Write the types, or the document, or tell whether the types are stale."""
    if len(arguments) == 2 and arguments[0] == "--document":  # noqa: PLR2004 - the option and its file
        Path(arguments[1]).write_text(document(), encoding="utf-8")
        return 0
    if list(arguments) not in ([], ["--check"]):
        print("usage: python tools/client.py [--check | --document FILE]", file=sys.stderr)
        return 2
    wanted = types(document())
    if TYPES.exists() and TYPES.read_text(encoding="utf-8") == wanted:
        return 0
    if arguments:
        print(f"{TYPES.relative_to(ROOT)} is stale\nRun: python tools/client.py")
        return 1
    TYPES.write_text(wanted, encoding="utf-8")
    print(f"wrote {TYPES.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
