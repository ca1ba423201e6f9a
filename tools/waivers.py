"""Waivers: what silences a security rule has a reason, an owner and a last day in waivers.toml.

An unused, incomplete or expired waiver is as red as a missing one. Ruff's ``S…`` and bandit's ``B…`` of one number are
one rule.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
import tomllib
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from pathlib import Path

from tools.tree import read_texts

ROOT = Path(__file__).resolve().parent.parent
FIELDS = {"rule", "path", "reason", "owner", "expires"}
LONGEST_DAYS = 400
FIXTURES = "semgrep/"
TESTS = "tests/"  # a test may do what the product may not, but must name the rule
MARK = re.compile(
    r"#\s*(?P<kind>noqa|nosec|nosemgrep|type:\s*ignore|pyright:\s*ignore|ruff:\s*noqa)\b\s*:?\s*(?P<codes>\[[^\]]*\]|[\w\s,.-]*)",
    re.IGNORECASE,
)
SECURITY = re.compile(r"S\d{3}")  # in ruff's words; its own B… is another matter
BANDIT = re.compile(r"B\d{3}")


def normalise(rule: str) -> str:
    """Return bandit's name of a rule as ruff's."""
    return f"S{rule[1:]}" if BANDIT.fullmatch(rule) else rule


def _read_mark(match: re.Match[str]) -> set[str] | None:
    """Return the security rules that a comment silences; ``None`` when it names no rule at all."""
    kind, codes = match["kind"].lower(), match["codes"].strip()
    if "ignore" in kind:
        return set() if codes.startswith("[") and codes != "[]" else None
    if kind == "nosemgrep":
        named = set(re.findall(r"[\w.-]+", codes.split(" ")[0])) if codes else set()
        return {name.rsplit(".", 1)[-1] for name in named} or None
    named = set(re.findall(r"\b[A-Z]+\d+\b", codes))
    if kind == "nosec":
        named = {normalise(name) for name in named}
    return {name for name in named if SECURITY.fullmatch(name)} if named else None


def find_silenced(root: Path) -> tuple[set[tuple[str, str]], list[str]]:
    """Return the (rule, path) pairs that are silenced somewhere, and the comments that name no rule."""
    silenced: set[tuple[str, str]] = set()
    problems = []
    for name, text in read_texts(root).items():
        if name.startswith(FIXTURES):
            continue
        if "allowlist secret" in text and re.search(r"#\s*pragma: allowlist secret", text):
            silenced.add(("secret", name))
        if not name.endswith(".py"):
            continue
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type != tokenize.COMMENT:
                continue
            for match in MARK.finditer(token.string):
                rules = _read_mark(match)
                if rules is None:
                    problems.append(f"{name}:{token.start[0]}: silences every rule: name the one that is meant")
                if not name.startswith(TESTS):
                    silenced |= {(rule, name) for rule in rules or ()}
    return silenced | find_configured(root), problems


def find_configured(root: Path) -> set[tuple[str, str]]:
    """Return the security rules that pyproject.toml silences outside the tests, each with its pattern or ``*``."""
    tool = tomllib.loads((root / "pyproject.toml").read_text())["tool"]
    lint = tool["ruff"]["lint"]
    pairs = {
        (rule, "*") for rule in [*lint.get("ignore", []), *map(normalise, tool.get("bandit", {}).get("skips", []))]
    }
    for pattern, rules in lint.get("per-file-ignores", {}).items():
        if not pattern.startswith("tests/"):
            pairs |= {(rule, pattern) for rule in rules}
    return {(rule, path) for rule, path in pairs if SECURITY.fullmatch(rule) or rule == "S"}


def read_waivers(root: Path, today: date) -> tuple[set[tuple[str, str]], list[str]]:
    """Return the (rule, path) pairs of the valid waivers, and what is wrong with the others."""
    pairs: set[tuple[str, str]] = set()
    problems = []
    for waiver in tomllib.loads((root / "waivers.toml").read_text()).get("waiver", []):
        title = f"waivers.toml: {waiver.get('rule')} in {waiver.get('path')}"
        if set(waiver) != FIELDS or not all(waiver.values()):
            problems.append(f"{title}: needs exactly {', '.join(sorted(FIELDS))}")
            continue
        left = (waiver["expires"] - today).days
        if left < 0:
            problems.append(f"{title}: expired on {waiver['expires']}")
        elif left > LONGEST_DAYS:
            problems.append(f"{title}: runs longer than {LONGEST_DAYS} days")
        pairs.add((normalise(waiver["rule"]), waiver["path"]))
    return pairs, problems


def check(root: Path = ROOT, today: date | None = None) -> list[str]:
    """Return what is wrong between waivers.toml and the code."""
    waived, problems = read_waivers(root, today or datetime.now(UTC).date())
    silenced, unnamed = find_silenced(root)
    problems += unnamed

    def covers(waiver: tuple[str, str], rule: str, path: str) -> bool:
        return waiver[0] == rule and (waiver[1] == path or fnmatch(path, waiver[1]))

    for rule, path in sorted(silenced):
        if not any(covers(waiver, rule, path) for waiver in waived):
            problems.append(f"{path}: {rule} is silenced without a waiver")
    for waiver in sorted(waived):
        if not any(covers(waiver, rule, path) for rule, path in silenced):
            problems.append(f"waivers.toml: {waiver[0]} in {waiver[1]} is not used")
    return problems


if __name__ == "__main__":
    found = check()
    print("\n".join(found))
    sys.exit(bool(found))
