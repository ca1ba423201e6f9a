"""What an installation holds of its own: keys, passwords in its settings, and where these belong; and its swap."""

from __future__ import annotations

import base64
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from sluicegate.base.model import Model
from sluicegate.base.secret import SecretText, SecretUrl
from sluicegate.conformance.leaks.search import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.base.settings import Settings


class Installation:
    """What it holds, by name, and what may lie where."""

    def __init__(self, settings: Settings, variables: Mapping[str, str]) -> None:
        """Read the keys; ``settings`` are in force, by the file and by these ``variables``."""
        self._settings, self._variables = settings, variables
        self.words: dict[str, str | bytes] = {}
        self.apart: dict[Path, set[str]] = {}
        """Names of what may lie in a file."""
        self.environment: set[str] = set()
        """Names of what is given by a variable, so that environments hold it."""
        self.missing: list[str] = []
        """What cannot be looked for, and why."""
        self._keys()
        toml = settings.home / "sluice.toml"
        found = tomllib.loads(toml.read_text(encoding="utf-8")) if toml.exists() else {}
        for table, value in settings:
            if isinstance(value, Model):
                for field, secret in value:
                    if isinstance(secret, SecretUrl) and secret:
                        self._setting(table, field, secret, found.get(table, {}).get(field), toml)

    def _keys(self) -> None:
        key = self._settings.home / "root.key"
        if key.exists():
            text = key.read_text(encoding="ascii").strip()
            self._add("root key", base64.b64decode(text), key)
            self._add("root key as it is kept", text, key)
        files = sorted((self._settings.home / "tls").glob("*-key.pem"))
        own = self._settings.server.key
        for file in (*files, *((own,) if own else ())):
            self._add(file.name, inner(file.read_text(encoding="ascii")), file)

    def _setting(self, table: str, field: str, secret: SecretUrl, written: Any, toml: Path) -> None:
        """Add a setting that is a secret; of an address, only what is secret in it."""
        name, text = f"{table}.{field}", secret.reveal()
        variable = f"SLUICE_{table}_{field}".upper()
        place: Path | None = toml
        if f"{variable}_FILE" in self._variables:
            place = Path(self._variables[f"{variable}_FILE"])
        elif variable in self._variables:
            place = None
        elif isinstance(written, dict):
            place = Path(written["file"])
        if isinstance(secret, SecretText):
            self._add(name, text, place)
        elif password := urlsplit(text).password:
            self._add(name, text, place)
            self._add(f"password in {name}", unquote(password), place)

    def _add(self, name: str, word: str | bytes, place: Path | None) -> None:
        if len(word.encode() if isinstance(word, str) else word) < SHORTEST:
            self.missing.append(f"{name}: it is so short that chance would find it")
            return
        self.words[name] = word
        if place is None:
            self.environment.add(name)
        else:
            self.apart.setdefault(place, set()).add(name)


def inner(pem: str) -> str:
    """Return one whole line from within an armoured key."""
    lines = [line for line in pem.splitlines() if len(line) > 40 and " " not in line and ":" not in line]
    return lines[len(lines) // 2]


def swap() -> list[str]:
    """Return where the machine may write memory to a disk in clear: it is not searched."""
    try:
        lines = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return []
    places = [line.split()[0] for line in lines if line.strip()]
    return [each for each in places if not each.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]
