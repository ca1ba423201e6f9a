"""Where a secret lies that is kept elsewhere: ``bao:shop/warehouse?version=3#password``.

The order is that of a URI (RFC 3986): source, path, which version, which field of it. The source is the name of a
connection that keeps secrets, or one of ``BUILT_IN``. There is one spelling for each reference, and no encoding.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import hide_tokens

BUILT_IN: Final = ("environment", "file")
"""What an operator lets a tenant take from the server's own machine."""
LENGTH: Final = 1024
"""Characters of a reference at the most."""
_PART = r"[A-Za-z0-9_.+=@,:-]+"
_SHAPE = re.compile(
    rf"(?P<source>[a-z0-9](?:[a-z0-9_-]{{0,62}}[a-z0-9])?):(?P<path>/?{_PART}(?:/{_PART})*)"
    r"(?:\?version=(?P<version>[A-Za-z0-9_.+=@-]{1,64}))?(?:#(?P<field>[A-Za-z0-9_.+=@/-]{1,128}))?"
)


class Reference(NamedTuple):
    """One secret, elsewhere. ``str()`` gives it back as it was written."""

    source: str
    path: str
    version: str = ""
    """Which version; the newest when empty."""
    field: str = ""
    """Which value of several; the whole when empty."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the reference that ``text`` is. Raises ``Invalid``, which does not repeat it: it may be a secret."""
        found = _SHAPE.fullmatch(text) if len(text) <= LENGTH else None
        if found is None or hide_tokens(text) != text:
            raise Invalid(
                "this does not say where a secret lies",
                where="reference",
                hint="Write SOURCE:PATH#FIELD (bao:shop/warehouse#password); ?version=N before the # for one version.",
            )
        if {".", ".."} & set(found["path"].split("/")):
            raise Invalid("a path has no parts . and ..", where="reference")
        return cls(found["source"], found["path"], found["version"] or "", found["field"] or "")

    def __str__(self) -> str:
        """Return it as it is written."""
        version = f"?version={self.version}" if self.version else ""
        return f"{self.source}:{self.path}{version}" + (f"#{self.field}" if self.field else "")

    def plain(self) -> None:
        """Raise ``Invalid`` when a version or a field is asked for, where there are none."""
        if self.version or self.field:
            raise Invalid(f"{self.source} has no versions and no fields", where="reference")
