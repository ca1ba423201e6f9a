"""How a service is reached that keeps a sealing key: over TLS alone, to the one address that the settings name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Invalid, Unavailable
from sluicegate.kit.net import Egress, Grant, Net
from sluicegate.kit.service import Answer, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def reach(url: str, ca: Path | None, called: str) -> Iterator[Service]:
    """Give the service at ``url``. Raises ``Unavailable`` for whatever goes wrong there."""
    parts = urlsplit(url)
    net = Net(Egress(allow=(Grant(host=parts.hostname or "", ports=(parts.port or 443,)),)))
    try:
        with Service(net, url, called, ca=_read(ca)) as service:
            yield service
    except (Failed, EgressRefused) as fault:
        raise Unavailable(f"{called} cannot be asked: {fault.message}", where=parts.netloc, hint=fault.hint) from None


def good(answer: Answer, service: Service) -> dict[str, Any]:
    """Return what was asked for. Raises ``Unavailable`` when it is refused."""
    if not answer.good:
        hint = _HINTS.get(answer.status, "Its log says more.")
        raise Unavailable(f"{service.called} answers {answer.status}.", where=service.place, hint=hint)
    return answer.body


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
