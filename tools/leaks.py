"""The secret scan: keys, tokens and passwords that were committed by accident."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from detect_secrets.core.scan import get_plugins, scan_line
from detect_secrets.settings import transient_settings

from tools.tree import read_texts

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector

ROOT = Path(__file__).resolve().parent.parent
DETECTORS = [
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "CloudantDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "IbmCloudIamDetector",
    "IbmCosHmacDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SoftlayerDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
]
GUESSES = ["KeywordDetector"]  # a word such as password beside a value; ruff's S105-S107 do the same for Python
OWN = {
    "age key": re.compile(r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{40,}"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:\\n|\s)+[\w+/=:. -]{40}"),
    # a host that could be real: not loopback, not a bare name, not one reserved for examples
    "password in an address": re.compile(
        r"[a-z]+://[^\s:/@{}\"'<]+:[^\s:/@{}\"'<$*]{4,}@(?:[\w-]+\.)*(?!example\b)[\w-]+\.(?!example\b|test\b|invalid\b|local)[a-z]{2,}\b"
    ),
}
SKIPPED = re.compile(r"requirements/.*\.txt|ui/package-lock\.json")
SETTINGS = re.compile(r".*\.(?:ya?ml|toml|ini|cfg|conf|env|sh|service)|(?:.*/)?[A-Z][a-z]+file")


def _list_signs() -> list[re.Pattern[str]]:
    """Return what the detectors look for in a line, for the lines of a whole file."""
    with transient_settings({"plugins_used": [{"name": plugin} for plugin in DETECTORS]}):
        found = [pattern for plugin in get_plugins() for pattern in cast("RegexBasedDetector", plugin).denylist]
    return [re.compile(each.pattern, each.flags | re.MULTILINE) for each in found]


def find_leaks(root: Path) -> list[str]:
    """Return one line per find: file, line and kind, never the value."""
    found = set()
    signs = _list_signs()
    texts = {name: text for name, text in read_texts(root).items() if not SKIPPED.fullmatch(name)}
    for name, text in texts.items():
        lines = text.splitlines()
        guesses = GUESSES if SETTINGS.fullmatch(name) and not name.startswith("tests/") else []
        whole = "\n".join(lines)
        if guesses or any(sign.search(whole) for sign in signs):  # the library is slow, and nearly no file has any
            with transient_settings(
                {"plugins_used": [{"name": plugin} for plugin in DETECTORS + guesses], "filters_used": FILTERS}
            ):
                for number, line in enumerate(lines, 1):
                    if len(line) <= LONGEST_LINE:
                        found |= {(name, number, secret.type) for secret in scan_line(line)}
        for kind, pattern in OWN.items():
            found |= {(name, text.count("\n", 0, match.start()) + 1, kind) for match in pattern.finditer(text)}
        found = {find for find in found if find[0] != name or ALLOWED not in lines[find[1] - 1]}
    return [f"{name}:{number}: {kind}" for name, number, kind in sorted(found)]


LONGEST_LINE = 4000  # beyond is minified text
ALLOWED = "pragma: allowlist secret"  # each needs a waiver: tools/waivers.py
FILTERS = [
    {"path": f"detect_secrets.filters.heuristic.{name}"}
    for name in ("is_indirect_reference", "is_templated_secret", "is_prefixed_with_dollar_sign", "is_sequential_string")
]

if __name__ == "__main__":
    lines = find_leaks(ROOT)
    print("\n".join(lines))
    sys.exit(bool(lines))
