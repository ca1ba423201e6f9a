"""The reference pages, made from the code: ``python tools/docs.py`` writes them, ``--check`` is red when one is stale.

Sources: the operations table, ``settings.describe()``, the plugins' models, ``errors.CODES``, the tree of commands and
``policy.GRANTS``. In a page that people write, only what stands between two marks is replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tools import pages as made  # noqa: E402 - found by the line above

DOCS = ROOT / "docs"
NOTE = "<!-- Made by tools/docs.py from the code: change the code, then run `python tools/docs.py`. -->\n\n"
BEGIN, END = "<!-- begin {name}: written by tools/docs.py -->", "<!-- end {name} -->"

PAGES = {
    "reference/cli.md": made.cli,
    "reference/settings.md": made.settings,
    "reference/operations.md": made.operations,
    "reference/connections.md": made.connections,
    "reference/formats.md": made.formats,
    "reference/steps.md": made.steps,
    "reference/errors.md": made.errors,
}
"""Pages that are written whole."""

PARTS = {"security/model.md": {"roles": made.roles, "public": made.public}}
"""Pages that people write, and the parts of them that are not theirs."""


def filled(text: str, name: str, part: str) -> str:
    """Return ``text`` with the part called ``name`` replaced. Raises ``ValueError`` when its marks are not there."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no part {name!r}")
    return f"{before}{begin}\n\n{part.strip()}\n\n{end}{after}"


def pages() -> dict[Path, str]:
    """Return every page as it should be, by its path."""
    found = {DOCS / name: NOTE + make().rstrip() + "\n" for name, make in PAGES.items()}
    for name, parts in PARTS.items():
        path = DOCS / name
        text = path.read_text(encoding="utf-8")
        for part, make in parts.items():
            text = filled(text, part, make())
        found[path] = text
    return found


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` tell which are stale."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: python tools/docs.py [--check]", file=sys.stderr)
        return 2
    wanted = pages()
    stale = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]  # fmt: skip
    for path in stale:
        print(f"{path.relative_to(ROOT)} is stale" if arguments else f"wrote {path.relative_to(ROOT)}")
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
    if stale and arguments:
        print("Run: python tools/docs.py")
    return bool(stale and arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
