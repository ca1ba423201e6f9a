"""What every answer carries so that browsers keep what they are told (SEC-W01, W02)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
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
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        name = (host if host.endswith("]") else host.rsplit(":", 1)[0]).lower()
        if name.startswith("[") and name.endswith("]"):
            name = name[1:-1]  # an IPv6 address stands in brackets in a request, and without them in the settings
        added = self._plain if name in LOCAL else [*self._plain, _HSTS]  # no HSTS on localhost: it would bind all ports

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"set-cookie"]
                message["headers"] = [*kept, *added]
            await send(message)

        if name not in self._hosts and "*" not in self._hosts:
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
