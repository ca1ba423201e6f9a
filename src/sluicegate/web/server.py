"""The ASGI app: one route for each operation, the OpenAPI document, the built UI. It decodes and asks the gate."""

from __future__ import annotations

import asyncio
import mimetypes
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sluicegate.app import App
from sluicegate.base.errors import Malformed, Missing, SluiceError, Throttled, TooLarge, wait_of
from sluicegate.base.log import Log
from sluicegate.base.model import Model, new_id
from sluicegate.base.networks import Networks, networks
from sluicegate.base.principal import Credentials, Peer
from sluicegate.base.secret import Secret, hide_tokens
from sluicegate.guard.gate import Entry
from sluicegate.guard.operation import Operation
from sluicegate.operations import OPERATIONS
from sluicegate.web import body, oauth, openapi, sending
from sluicegate.web.headers import Headers
from sluicegate.web.peer import client_address
from sluicegate.web.pools import Pool, Pools

STATIC = Path(__file__).parent / "static"
_API_HEADERS = {"cache-control": "no-store"}


def build(app: App) -> Headers:
    """Return the ASGI app for a wired ``App``. Every route comes from an operation, but for the UI's files."""
    pools = Pools(app.settings.server.threads)
    log = Log()
    routes = [
        Route(openapi.PREFIX + each.http.path, _endpoint(app, each, pools, log), methods=[each.http.method])
        for each in OPERATIONS
    ]
    health = next(each for each in OPERATIONS if each.name == "system.health")
    routes.append(Route("/health", _endpoint(app, health, pools, log), methods=["GET"]))
    exchange = next(each for each in OPERATIONS if each.name == "session.key")
    routes.append(Route(oauth.PATH, _token_endpoint(app, exchange, pools.of(exchange), log), methods=["POST"]))
    routes.append(Route(openapi.PREFIX + "/openapi.json", _describe, methods=["GET"]))
    routes.append(Route("/{path:path}", Static(STATIC), methods=["GET"]))
    inner = Starlette(routes=routes, exception_handlers={404: _lost, 405: _lost})
    inner.router.redirect_slashes = False
    return Headers(inner, frozenset(name.lower() for name in app.settings.server.names))


@cache
def _description() -> bytes:
    """Return the OpenAPI document; it takes a third of a second to make, and few ask."""
    return orjson.dumps(openapi.document(OPERATIONS))


async def _describe(_request: Request) -> Response:
    document = await asyncio.to_thread(_description)
    return Response(document, media_type="application/json", headers=_API_HEADERS)


def _endpoint(app: App, operation: Operation, pools: Pools, log: Log) -> Callable[[Request], Awaitable[Response]]:
    http, gate, pool, door = operation.http, app.gate, pools.of(operation), pools.door(operation)
    proxies = networks(app.settings.server.proxies)
    numbers = {name for name, field in operation.takes.model_fields.items() if _is_number(field.annotation)}

    async def answer(request: Request, peer: Peer) -> Model:
        credentials = _credentials(request)
        if http.method in {"POST", "PUT"}:
            body.check_length(request, http.body_max)
            entry = await door.run(partial(gate.enter, operation, credentials, peer))  # nothing is read for a stranger
            raw = await body.read(request, http.body_max)
            return await pool.run(lambda: gate.proceed(entry, _ask(body.parse(raw), request, http.places)))
        ask = _ask(_query(request, numbers), request, http.places)
        if not http.waits:
            return await pool.run(partial(gate.call, operation, ask, credentials, peer))
        entry = await door.run(partial(gate.enter, operation, credentials, peer))
        return await _poll(app, entry, ask, pool)

    async def respond(request: Request, peer: Peer) -> Response:
        if operation.ticketed:
            return await sending.answer(app, operation, pool, request, peer)
        found = await answer(request, peer)
        told = found.__pydantic_serializer__.to_json(found, by_alias=True)
        return Response(told, http.status, media_type="application/json", headers=_API_HEADERS)

    async def endpoint(request: Request) -> Response:
        began = time.perf_counter()
        peer = peer_of(request, proxies)
        try:
            response = await respond(request, peer)
        except SluiceError as fault:
            await body.hear_out(request, begun=isinstance(fault, TooLarge))
            response = problem(fault, peer)
        except ClientDisconnect:
            response = Response(status_code=499)
        except Exception as fault:  # noqa: BLE001 - the last door: log it whole, tell nothing
            log("A request failed unexpectedly.", level="error", request=peer.request, path=operation.http.path,
                error=type(fault).__name__, trace="".join(traceback.format_tb(fault.__traceback__)))  # fmt: skip
            response = problem(
                SluiceError("Something went wrong on our side.", hint=f"The log has it under {peer.request}."), peer
            )
        if app.settings.server.access_log:
            _log_access(log, operation, request, peer, response, began)
        if operation.name == "session.logout":
            response.headers["clear-site-data"] = '"storage"'
        return response

    return endpoint


def _log_access(log: Log, operation: Operation, request: Request, peer: Peer, response: Response, began: float) -> None:
    log("request", action=operation.name, method=request.method, path=request.scope["path"], peer=peer.address,
        request=peer.request, status=response.status_code, seconds=time.perf_counter() - began)  # fmt: skip


def _token_endpoint(app: App, operation: Operation, pool: Pool, log: Log) -> Callable[[Request], Awaitable[Response]]:
    """Return ``session.key`` as OAuth clients speak it."""
    gate, proxies = app.gate, networks(app.settings.server.proxies)

    async def endpoint(request: Request) -> Response:
        began, peer = time.perf_counter(), peer_of(request, proxies)
        headers = request.headers
        told: tuple[Mapping[str, Any], int, Mapping[str, str]]
        try:
            body.check_length(request, oauth.BODY_MAX)
            entry = await pool.run(partial(gate.enter, operation, _credentials(request), peer))
            raw = await body.read(request, oauth.BODY_MAX, form=True)
            ask, scopes = oauth.question(raw, headers.get("content-type", ""), headers.get("authorization", ""))
            told = oauth.answer(await pool.run(partial(gate.proceed, entry, ask)), scopes), 200, {}
        except (SluiceError, oauth.Refused) as fault:
            await body.hear_out(request)
            told = oauth.problem(fault, proof="dpop" in headers)
        except ClientDisconnect:
            return Response(status_code=499)
        answer, status, more = told
        response = Response(
            orjson.dumps(answer), status, media_type="application/json", headers={**_API_HEADERS, **more}
        )
        if app.settings.server.access_log:
            _log_access(log, operation, request, peer, response, began)
        return response

    return endpoint


async def _poll(app: App, entry: Entry, ask: dict[str, Any], pool: Pool) -> Model:
    """Hold the answer back while there is nothing new; a token that ends meanwhile ends the wait (SEC-T09)."""
    until = time.monotonic() + _seconds(ask.get("wait"))
    while True:
        found = await pool.run(partial(app.gate.proceed, entry, ask))
        left = until - time.monotonic()
        if left <= 0 or getattr(found, "items", None) or getattr(found, "done", None):
            return found
        entry = replace(entry, told=True)
        await app.events.wait(str(ask["id"]), left)
        entry = await pool.run(partial(app.gate.still, entry))


def _seconds(wait: object) -> float:
    return float(wait) if isinstance(wait, int) else 0.0  # what does not fit is refused by the model


def _ask(found: dict[str, Any], request: Request, places: tuple[str, ...]) -> dict[str, Any]:
    for place in places:
        if place in found:
            raise Malformed(f"{place!r} is in the path already")
        found[place] = request.path_params[place]
    return found


def _is_number(annotation: object) -> bool:
    return annotation is int or int in get_args(annotation)


def peer_of(request: Request, proxies: Networks) -> Peer:
    """Return who is at the other end of the wire."""
    wire = request.client.host if request.client else ""
    address = client_address(wire, request.headers.getlist("x-forwarded-for"), proxies)
    return Peer(address, request.headers.get("user-agent", "")[:200], new_id())


def _credentials(request: Request) -> Credentials:
    if len(request.headers.getlist("authorization")) > 1:  # a proxy before us may have looked at the other one
        raise Malformed("There is more than one Authorization header.")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = Secret(token) if scheme.lower() in ("dpop", "bearer") and token else None
    proofs = request.headers.getlist("dpop")
    if len(proofs) > 1:
        raise Malformed("There is more than one DPoP header.")
    url = f"https://{request.headers.get('host', '')}{request.scope['raw_path'].decode('latin-1')}"
    return Credentials(found, proofs[0] if proofs else None, request.method, url)


def _query(request: Request, numbers: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name in found:
            raise Malformed("A name stands twice in the query.")
        found[name] = int(text) if name in numbers and text.isascii() and text.isdecimal() and len(text) < 19 else text  # noqa: PLR2004
    return found


def problem(fault: SluiceError, peer: Peer | None = None) -> Response:
    """Return an error as a problem document (RFC 9457)."""
    headers = dict(_API_HEADERS)
    if isinstance(fault, Throttled):
        headers["retry-after"] = str(wait_of(fault.after))
    if fault.status == 401:  # noqa: PLR2004
        headers["www-authenticate"] = 'DPoP algs="ES256"'
    shown = fault.problem() | ({"request": peer.request} if peer else {})
    shown = {key: hide_tokens(each) if isinstance(each, str) else each for key, each in shown.items()}
    return Response(orjson.dumps(shown), fault.status, media_type="application/problem+json", headers=headers)


async def _lost(request: Request, _fault: Exception) -> Response:
    await body.hear_out(request)
    return problem(Missing("There is no such endpoint.", where=f"{request.method} {request.url.path[:200]}"))


class Static:
    """The built UI: files by exact name from a list made at start, ``index.html`` for the pages inside the app."""

    def __init__(self, folder: Path) -> None:
        """Read them all."""
        self._files: Mapping[str, tuple[bytes, str]] = {}
        if folder.is_dir():
            self._files = {
                str(file.relative_to(folder)): (
                    file.read_bytes(),
                    mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                )
                for file in folder.rglob("*")
                if file.is_file()
            }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send one file."""
        path = scope["path"].lstrip("/")
        if path.startswith("api/"):
            response = problem(Missing("There is no such endpoint.", where=f"{scope['method']} {scope['path'][:200]}"))
        elif path in self._files and path != "index.html":
            content, kind = self._files[path]
            lasting = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
            response = Response(content, media_type=kind, headers={"cache-control": lasting})
        elif "index.html" in self._files and "." not in path:  # names and ids hold no dot; files and .git do
            response = Response(
                self._files["index.html"][0], media_type="text/html", headers={"cache-control": "no-store"}
            )
        else:
            response = problem(Missing("There is no such page.", where=scope["path"][:200]))
        await response(scope, receive, send)
