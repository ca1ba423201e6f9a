"""Downloads and streams over HTTP: a one-time ticket in the address opens one, and nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from sluicegate.base.errors import SluiceError, Unauthenticated
from sluicegate.base.principal import Credentials, Peer
from sluicegate.base.secret import Secret

if TYPE_CHECKING:
    from sluicegate.app import App
    from sluicegate.guard.gate import Gate
    from sluicegate.guard.operation import Operation
    from sluicegate.guard.pieces import Pieces
    from sluicegate.web.pools import Pool

_BEAT = 0.4
"""Seconds between two looks at whether a stream still may go on: a revocation ends it within one (SEC-T09)."""
_QUIET = 15.0
"""Seconds after which a stream with no news says that it is there."""
_TICKET_MAX = 64
_BEGUN, _REST = "http.response.start", "http.response.body"


def credentials(request: Request) -> Credentials:
    """Return the ticket of a request. Raises ``Unauthenticated`` for one that brings anything else, or none."""
    found = request.query_params.multi_items()
    if request.method != "GET" or len(found) != 1 or found[0][0] != "ticket" or "authorization" in request.headers:
        raise Unauthenticated
    text = found[0][1]
    if not (text.isascii() and len(text) <= _TICKET_MAX):
        raise Unauthenticated
    return Credentials(method=request.method, ticket=Secret(text))


def begin(
    gate: Gate, operation: Operation, given: Credentials, peer: Peer, places: dict[str, Any]
) -> tuple[Pieces, bytes | None]:
    """Ask the gate, and make the first piece: until it is there, what is wrong can be told properly."""
    found: Any = gate.proceed(gate.enter(operation, given, peer), places)
    try:
        return found, found.next()
    except BaseException:
        found.close()
        raise


async def answer(app: App, operation: Operation, pool: Pool, request: Request, peer: Peer) -> Response:
    """Return what sends a download or a stream. Raises what the gate raises."""
    given = credentials(request)
    begun = partial(begin, app.gate, operation, given, peer, dict(request.path_params))
    return Sending(app, operation, pool, *await pool.run(begun))


class Sending(Response):
    """Sends pieces as they are made, and none after what they were asked for with has been made void."""

    def __init__(self, app: App, operation: Operation, pool: Pool, pieces: Pieces, first: bytes | None) -> None:
        """Send ``first``, then what ``pieces`` gives."""
        self._app, self._pool, self._pieces, self._first = app, pool, pieces, first
        self._stream = operation.serves == "stream"
        headers = {"cache-control": "no-store", "content-type": pieces.media}
        if not self._stream:
            headers["content-disposition"] = f'attachment; filename="{pieces.name}"'
        super().__init__(None, operation.http.status, headers)
        del self.headers["content-length"]

    async def __call__(
        self,
        scope: MutableMapping[str, Any],  # noqa: ARG002 - ASGI's signature
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Send it all."""
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await send({"type": _BEGUN, "status": self.status_code, "headers": self.raw_headers})
            piece, quiet = self._first, 0.0
            while piece is not None and not gone.done():
                if piece or quiet >= _QUIET:
                    await send({"type": _REST, "body": piece or b":\n\n", "more_body": True})
                    quiet = 0.0
                if not piece:
                    await self._app.events.wait(self._pieces.topic, _BEAT)
                    quiet += _BEAT
                try:
                    piece = await self._pool.run(self._pieces.next)
                except SluiceError as fault:
                    if not self._stream:
                        raise  # what is cut must not look whole: the connection ends without an end
                    piece = None
                    told = b'event: end\ndata: {"why":"%s"}\n\n' % fault.code.encode()
                    await send({"type": _REST, "body": told, "more_body": True})
            if not gone.done():
                await send({"type": _REST, "body": b"", "more_body": False})
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._pieces.close))


async def _gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
