"""Names of files: what a relative path may look like, before any file system sees it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from sluicegate.base.errors import Denied, Invalid

PART_BYTES: Final = 255
PATH_BYTES: Final = 4096

_ENCODED = re.compile(r"%(?:2e|2f|5c|25|00)", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"]
    + [f"{port}{number}" for port in ("COM", "LPT") for number in range(10)]
)


_COMPANIONS = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a database: on opening it, SQLite believes what stands in them, paths included."""


def is_companion(name: str) -> bool:
    """Tell whether SQLite would take the file for the journal of a database beside it."""
    return unicodedata.normalize("NFKC", name).casefold().endswith(_COMPANIONS)


def check_file(path: str) -> tuple[str, ...]:
    """Return the parts of a relative path to a file. Raises as ``check``; ``Denied`` for a journal of SQLite's."""
    parts = check(path)
    if is_companion(parts[-1]):
        raise Denied(
            "Names that end with -journal, -wal or -shm are SQLite's own.",
            where=ascii(path)[1:121],
            hint="Choose another name.",
        )
    return parts


def check(path: str) -> tuple[str, ...]:
    """Return the parts of a relative path. Raises ``Denied`` (leads out) or ``Invalid`` (not a usable name)."""
    where = ascii(path)[1:-1][:120]
    if not path or len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES:
        raise Invalid(f"A path is 1 to {PATH_BYTES} bytes long.", where="path")
    if path.startswith("/") or _DRIVE.match(path):
        raise Denied("The path is absolute.", where=where, hint="Write it relative to the connection's root.")
    if "\0" in path:
        raise Denied("The path holds a NUL.", where=where)
    if "\\" in path:
        raise Denied("The path holds a backslash.", where=where, hint="Separate folders with /.")
    parts = tuple(path.split("/"))
    for part in parts:
        _check_part(part, where)
    return parts


def _check_part(part: str, where: str) -> None:
    shown = unicodedata.normalize("NFKC", part)
    if part in (".", ".."):
        raise Denied(f"The path holds the part {part!r}.", where=where, hint="Name the folder itself.")
    if _ENCODED.search(shown):
        raise Denied("The path holds a percent-encoded dot, slash, percent sign or NUL.", where=where)
    if any(shown.count(sign) > part.count(sign) for sign in ("/", "\\", "..")) or shown in (".", ".."):
        raise Denied("The path holds a letter that some systems read as a dot or slash.", where=where)
    if not part:
        raise Invalid("The path holds an empty part.", where=where, hint="Write a single / between names.")
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _BIDI for sign in part):
        raise Invalid("The path holds a control character or one that is not Unicode.", where=where)
    if len(part.encode()) > PART_BYTES:
        raise Invalid(f"A name in the path is longer than {PART_BYTES} bytes.", where=where)
    if shown.endswith((".", " ")):
        raise Invalid("A name in the path ends with a dot or space.", where=where)
    if shown.split(".", 1)[0].rstrip(" ").upper() in _DEVICES:
        raise Invalid("A name in the path is a device on Windows.", where=where, hint="Choose another name.")
    if part.startswith(".sluice-"):
        raise Denied("Names that start with .sluice- are reserved.", where=where)
