"""What every answer carries so that browsers keep what they are told (SEC-W01, W02)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

_ALWAYS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "server": "sluicegate",  # else the listener says what it is made of
}
_HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


_PORT_MAX = 65535
_HOST = re.compile(rb"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::([0-9]{1,5}))?", re.IGNORECASE)


def _name(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the name that a request calls this server by, without its port; empty when it is not one and well-formed.

    All of it must be a name and a port (RFC 9110 §7.2): what follows ``localhost:`` would else become part of links.
    An IPv6 address stands in brackets in a request, and without them in the settings.
    """
    told = [value for name, value in headers if name == b"host"]
    found = _HOST.fullmatch(told[0]) if len(told) == 1 else None
    if found is None or int(found[3] or 0) > _PORT_MAX:
        return ""
    return (found[1] or found[2]).decode("ascii").lower()


class Headers:
    """ASGI wrapper: adds the headers, refuses unknown hosts, lets no cookie out."""

    def __init__(self, app: App, hosts: frozenset[str]) -> None:
        """``hosts``: names that a request may call this server by (SEC-N08; DNS rebinding)."""
        self._app = app
        self._hosts = hosts
        self._plain = [(name.encode(), value.encode()) for name, value in _ALWAYS.items()]

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _name(scope["headers"])
        added = self._plain if name in LOCAL else [*self._plain, _HSTS]  # no HSTS on localhost: it would bind all ports

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"set-cookie"]
                message["headers"] = [*kept, *added]
            await send(message)

        if name not in self._hosts and not (name and "*" in self._hosts):
            title = b"This server has another name."
            body = b'{"type":"urn:sluicegate:malformed","code":"malformed","status":421,"title":"%s"}' % title
            start = {
                "type": "http.response.start",
                "status": 421,
                "headers": [(b"content-type", b"application/problem+json")],
            }
            await dressed(start)
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, dressed)
