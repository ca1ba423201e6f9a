"""How a service is asked that keeps a sealing key: over TLS alone, to the one address that the settings name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Invalid, Unavailable
from sluicegate.kit.net import Egress, Grant, Net

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STEP, TOTAL = 5.0, 15.0
"""Seconds that one step on the wire, and the whole question, may take."""
SIZE: Final = 64 * 1024
"""Bytes of an answer at the most."""


def ask(url: str, body: bytes, headers: Mapping[str, str], ca: Path | None, called: str) -> dict[str, Any]:
    """Post ``body`` and return the JSON object that comes back. ``called`` is how messages name the service.

    Raises ``Unavailable`` for whatever goes wrong there; nothing that the service says is repeated.
    """
    parts = urlsplit(url)
    grant = Grant(host=parts.hostname or "", ports=(parts.port or 443,))
    net = Net(Egress(allow=(grant,)))
    try:
        with net.http(ca=_read(ca), timeout=STEP, total=TOTAL) as client:
            status, raw = net.read(client, "POST", url, limit=SIZE, content=body, headers=dict(headers))
    except (Failed, EgressRefused) as fault:
        raise Unavailable(f"{called} cannot be asked: {fault.message}", where=parts.netloc, hint=fault.hint) from None
    if status != 200:  # noqa: PLR2004
        raise Unavailable(f"{called} answers {status}.", where=parts.netloc, hint=_HINTS.get(status, _HINT))
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"{called} answers with what is no JSON object.", where=parts.netloc)
    return found


_HINT = "Its log says more."
_HINTS = {
    400: "Is the key there, and of the right kind? Its log says more.",
    403: "Has the token or access key run out, or may it not use this key?",
    404: "Is the engine mounted, and is there such a key?",
    503: "Is it sealed itself?",
}


def _read(ca: Path | None) -> str | None:
    if ca is None:
        return None
    try:
        return ca.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise Invalid("the file of certificates cannot be read", where=str(ca)) from None
