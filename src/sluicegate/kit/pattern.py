"""Regular expressions of people, in the dialect of RE2: what can be known to be wrong before any row is read."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?(?:<?[=!]|>|\(|P=)|.", re.DOTALL)
_OTHERWISE_READ = re.compile(r"\[\^?\[|--|&&|~~|\|\|")
"""What Python reads with a warning, and RE2 in its own way."""
_REASONS = {
    "missing ), unterminated subpattern": "a parenthesis is not closed",
    "unbalanced parenthesis": "a parenthesis is closed that was not opened",
    "unterminated character set": "a bracket is not closed",
    "bad escape (end of pattern)": "it ends in a backslash",
    "min repeat greater than max repeat": "a repetition has its numbers the wrong way round",
}
_DIALECT = "the dialect is RE2"


def explain(pattern: str) -> str:
    """Return why ``pattern`` is not valid, or nothing when that is not sure without RE2 itself."""
    for found in _TOKEN.finditer(pattern):
        if re.fullmatch(r"\\[1-9k]", found[0]):
            return f"it refers back to a group; {_DIALECT}, which has no back references"
        if found[0].startswith("(?"):
            return f"it looks around, or has a condition; {_DIALECT}, which has neither"
    if _OTHERWISE_READ.search(pattern):
        return ""
    try:
        re.compile(pattern)
    except re.error as fault:  # only what RE2 refuses as well
        if fault.msg.startswith("bad character range"):
            return "a range runs backwards"
        if fault.msg == "nothing to repeat" and (not fault.pos or pattern[fault.pos - 1] in "(|"):
            return "there is nothing before a repetition"
        return _REASONS.get(fault.msg, "")
    except (OverflowError, RecursionError):
        return "it is too large"
    return ""


def retell(said: str) -> str:
    """Return why a pattern is not valid from what RE2 says of it, without the pattern."""
    for word, reason in (
        ("missing )", "a parenthesis is not closed"), ("unexpected )", "a parenthesis is closed that was not opened"),
        ("missing ]", "a bracket is not closed"), ("no argument for rep", "there is nothing before a repetition"),
        ("bad repetition", "a repetition is repeated"), ("invalid escape", "it holds an escape that RE2 does not know"),
        ("trailing \\", "it ends in a backslash"), ("invalid character class", "a range or class is not known"),
        ("invalid repetition size", "a repetition is longer than 1000"),
        ("invalid perl operator", "it looks around, or has another construct that RE2 does not know"),
        ("too large", "it is too large"), ("invalid named capture", "the name of a group is not valid"),
    ):  # fmt: skip
        if word in said:
            return reason
    return _DIALECT
