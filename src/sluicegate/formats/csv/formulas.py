"""Texts that a spreadsheet takes for a formula (CWE-1236): found, and written without harm or loss.

``escape`` puts an apostrophe before a text that is, behind any apostrophes, such a formula; ``unescape`` takes one off
under the same condition. So each undoes the other for every text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_SIGN = r"[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""RE2; the last four are the full-width forms of ``= + - @``."""


def find(texts: pa.Array) -> int | None:
    """Return the place of the first formula; ``None`` when there is none."""
    import pyarrow.compute as pc

    found: int = pc.index(pc.match_substring_regex(texts, "^" + _SIGN), value=True).as_py()
    return found if found >= 0 else None


def escape(texts: pa.Array) -> pa.Array:
    """Return the texts with an apostrophe before each formula."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(texts, rf"^('*{_SIGN})", r"'\1")


def unescape(texts: pa.Array) -> pa.Array:
    """Return the texts that ``escape`` made these of."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(texts, rf"^'('*{_SIGN})", r"\1")
